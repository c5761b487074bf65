"""Check: fill in what the program left out, so that inputs are complete and the same every time. No requests."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.functions import UNKNOWN, reveal
from mlinfra.graph import Path
from mlinfra.providers.base import autoname
from mlinfra.providers.kubernetes.objects import AUTONAMED, WAIT_FOR, annotation, lookup
from mlinfra.providers.kubernetes.secrets import conceal, input_secrets, secret_paths
from mlinfra.providers.kubernetes.waitfor import parse

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SEGMENT: Final = re.compile(r"(?!\.\.?$)[^/%]+")
"""The three sorts of names: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
_LABEL_KINDS: Final = frozenset({"Namespace", "Service"})


@dataclass(frozen=True, slots=True)
class Naming:
    """What a name is made of where the program gives none.

    `resource` is the resource's own name, `seed` the engine's for this resource, `proposed` a name that the project's
    naming rule makes, and `off` says that the project wants names to be given.
    """

    resource: str
    seed: bytes
    proposed: str = ""
    off: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """Complete inputs, secrets marked, and what is wrong with them: (path, reason)."""

    inputs: dict[str, Any]
    problems: list[tuple[Path, str]]


def check(
    news: Mapping[str, Any],
    olds: Mapping[str, Any],
    kind: tuple[str, str],
    naming: Naming,
    namespace: Any,
) -> Checked:
    """Complete the inputs `news`, in which secrets and unknowns may stand anywhere.

    `olds` are the former inputs, plain; `kind` is apiVersion and kind; `namespace` the default one, None for a kind
    without namespaces.
    """
    paths = set(secret_paths(news))
    plain: dict[str, Any] = {**reveal(news), "apiVersion": kind[0], "kind": kind[1]}
    if kind[1] == "Secret":
        paths = _fold_string_data(plain, paths)
    problems: list[tuple[Path, str]] = []
    metadata = plain.get("metadata")
    if metadata is None or isinstance(metadata, Mapping):
        plain["metadata"] = _named(dict(metadata or {}), olds, naming, problems)
        if namespace is not None and plain["metadata"].get("namespace") in (None, ""):
            plain["metadata"]["namespace"] = namespace
        problems += _problems(plain, paths)
    elif metadata is not UNKNOWN:
        problems.append((("metadata",), "must be an object"))
    return Checked(conceal(plain, input_secrets(kind[1], paths)), problems)


def _named(
    metadata: dict[str, Any], olds: Mapping[str, Any], naming: Naming, problems: list[tuple[Path, str]]
) -> dict[str, Any]:
    if metadata.get("name") not in (None, ""):
        return metadata
    if metadata.get("generateName") not in (None, ""):
        problems.append((("metadata", "generateName"), "cannot be applied: leave it out for an automatic name"))
        return metadata
    if naming.off:
        problems.append((("metadata", "name"), "is missing, and automatic names are off in this project"))
        return metadata
    annotations = metadata.get("annotations") or {} if metadata.get("annotations") is not UNKNOWN else UNKNOWN
    if isinstance(annotations, Mapping):
        metadata["annotations"] = {**annotations, AUTONAMED: "true"}
    kept = lookup(olds, "metadata", "name") if annotation(olds, AUTONAMED) == "true" else None
    base = re.sub(r"[^a-z0-9.-]", "-", naming.resource.lower()).strip("-.") or "x"
    metadata["name"] = kept or naming.proposed or autoname(base, naming.seed)
    return metadata


def _problems(plain: Mapping[str, Any], secret: Iterable[Path]) -> list[tuple[Path, str]]:
    """What can be said of a name and of annotations. Values that are secret are not shown."""
    problems: list[tuple[Path, str]] = []
    path: Path = ("metadata", "name")
    name = lookup(plain, *path)
    if name is not UNKNOWN and name is not None and not any(path[: len(other)] == other for other in secret):
        rule = _rule(str(plain["apiVersion"]), str(plain["kind"]))
        if not isinstance(name, str) or not rule.fullmatch(name):
            problems.append((path, f"is {name!r}, which is not a name that a Kubernetes {plain['kind']} may have"))
    try:
        if text := annotation(plain, WAIT_FOR):
            parse(text)
    except ValueError as error:
        problems.append((("metadata", "annotations", WAIT_FOR), str(error)))
    return problems


def _rule(api_version: str, kind: str) -> re.Pattern[str]:
    if api_version.startswith("rbac.authorization.k8s.io/"):
        return _SEGMENT
    return _LABEL if api_version == "v1" and kind in _LABEL_KINDS else _SUBDOMAIN


def _fold_string_data(plain: dict[str, Any], paths: set[Path]) -> set[Path]:
    """`stringData` becomes part of `data`: the secret paths after that.

    The server never gives `stringData` back, and keys that came in by it cannot be removed; as `data` they can.
    https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/
    """
    texts, data = plain.get("stringData"), plain.get("data", {})
    if not isinstance(texts, Mapping) or not isinstance(data, Mapping):
        return paths
    if not all(text is UNKNOWN or isinstance(text, str) for text in texts.values()):
        return paths  # the server says what is wrong with it
    encoded = {key: text if text is UNKNOWN else _base64(text) for key, text in texts.items()}
    plain["data"] = {**data, **encoded}
    del plain["stringData"]
    return {("data", *path[1:]) if path[:1] == ("stringData",) else path for path in paths}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
