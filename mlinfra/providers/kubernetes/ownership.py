"""Whose an object is, and whose its fields are: https://kubernetes.io/docs/reference/using-api/server-side-apply/.

Server-side apply takes over an existing object without a word. So each resource applies under a manager name of its
own, made from its URN: an object that exists already and that this manager has not applied belongs to somebody else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.kubernetes.client import Applied, Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import (
    IMPORTED,
    INPUTS,
    MANAGER,
    PATCH_FORCE,
    annotation,
    lookup,
    object_id,
)

_LONGEST: Final = 128  # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/, fieldManager
_OFFICIAL: Final = "pulumi-kubernetes"
_INHERITED: Final = (_OFFICIAL, "kubectl")
"""Managers whose fields become ours when their object is handed to us: another provider's, and those of a person."""
_ATTEMPTS: Final = 4


@dataclass(frozen=True, slots=True)
class Previous:
    """What is known of an object from the state: declared `inputs`, `uid`, field manager, whether just imported."""

    inputs: Mapping[str, Any]
    uid: str
    manager: str
    imported: bool = False

    @classmethod
    def of(cls, urn: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> Previous:
        """Read it from what the engine keeps; plain values."""
        return cls(
            inputs=inputs or lookup(outputs, INPUTS, default={}),
            uid=str(lookup(outputs, "metadata", "uid", default="")),
            manager=manager_of(urn, outputs),
            imported=bool(outputs.get(IMPORTED)),
        )


def manager_of(urn: str, outputs: Mapping[str, Any]) -> str:
    """The field manager of a resource: the one that has applied it so far, else one made from stack and URN."""
    if isinstance(known := outputs.get(MANAGER), str) and known:
        return known
    stack = urn.split("::")[0].rpartition(":")[2]
    digest = hashlib.sha256(urn.encode()).hexdigest()[:10]
    return f"mlinfra-{stack[: _LONGEST - 20]}-{digest}"


def applied_by(live: Object, manager: str) -> bool:
    """Whether a manager has applied an object."""
    entries = lookup(live, "metadata", "managedFields", default=[])
    return any(entry.get("manager") == manager and entry.get("operation") == "Apply" for entry in entries)


def foreign(inputs: Mapping[str, Any], live: Object) -> MlinfraError:
    """The refusal to touch an object that somebody else made."""
    return MlinfraError(
        Diagnostic(
            f"{inputs['kind']} {object_id(live)} exists already and was not made by this stack",
            remedy="Give yours another name, import the one that is there, or take it over with the annotation "
            f'{PATCH_FORCE}: "true".',
            code="kubernetes-exists",
        )
    )


def forced(inputs: Mapping[str, Any]) -> bool:
    """Whether inputs ask to take over whatever is there."""
    return annotation(inputs, PATCH_FORCE) == "true"


def apply_declared(
    cluster: Cluster,
    manifest: Object,
    manager: str,
    previous: Previous | None,
    *,
    dry_run: bool = False,
    wait_for_kind: float = 0.0,
) -> Applied:
    """Apply; where that conflicts only over fields that were declared before, of the same object, take them back.

    Somebody has changed those since (`kubectl scale`, `kubectl edit`), and the declaration is what holds. Any other
    conflict is raised, for a person to decide.
    """
    force = forced(manifest) or manager.startswith(_OFFICIAL)
    options: dict[str, Any] = {"manager": manager, "dry_run": dry_run, "wait_for_kind": wait_for_kind}
    try:
        return cluster.apply(manifest, force=force, **options)
    except ApiError as error:
        if previous is None or not error.conflicts:
            raise
        if not all(declares(previous.inputs, cause.field) for cause in error.conflicts):
            raise
        metadata = manifest["metadata"]
        live = cluster.get(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))
        if live is None or live["metadata"]["uid"] != previous.uid:
            raise
    return cluster.apply(manifest, force=True, **options)


_ELEMENT = re.compile(r"\[([^\]]*)\]")
_PAIR = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\]]+))')


def declares(value: Any, field: str) -> bool:
    """Whether inputs have the field that a conflict names, such as `.spec.containers[name="app"].image`.

    Names of fields may hold dots and are not quoted, so every key that the text can begin with is tried. Notation:
    https://pkg.go.dev/sigs.k8s.io/structured-merge-diff/v6/fieldpath#PathElement.String
    """
    if not field:
        return True
    if field.startswith(".") and isinstance(value, Mapping):
        rest = field[1:]
        return any(
            declares(item, rest[len(key) :])
            for key, item in value.items()
            if rest.startswith(key) and rest[len(key) : len(key) + 1] in ("", ".", "[")
        )
    if (match := _ELEMENT.match(field)) and isinstance(value, list):
        wanted = {key: quoted or plain for key, quoted, plain in _PAIR.findall(match[1])}
        return any(
            all(isinstance(item, Mapping) and str(item.get(key)) == text for key, text in wanted.items())
            and declares(item, field[match.end() :])
            for item in value
        )
    return False


def inherit(cluster: Cluster, path: str, manager: str) -> None:
    """Make the fields ours that the official provider or kubectl wrote, once their object has been handed to us.

    They wrote with plain requests, which record another sort of ownership than apply: without this every later change
    is a conflict, and no key can be removed. `kubectl apply --server-side` does the same for what it wrote before:
    https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply
    """
    for _ in range(_ATTEMPTS):
        live = cluster.request("GET", path)
        entries = lookup(live, "metadata", "managedFields", default=[])
        theirs = [entry for entry in entries if _inherited(entry, manager)]
        if not theirs:
            return
        fields: Object = {}
        for entry in theirs:
            _merge(fields, entry.get("fieldsV1") or {})
        merged = {**theirs[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
            {
                "op": "replace",
                "path": "/metadata/managedFields",
                "value": [merged, *(entry for entry in entries if entry not in theirs)],
            },
        ]
        try:
            cluster.request("PATCH", path, patch, content_type="application/json-patch+json")
            return
        except ApiError as error:
            if error.status not in (409, 422):  # somebody wrote in between: look again
                raise


def _inherited(entry: Mapping[str, Any], manager: str) -> bool:
    name = str(entry.get("manager"))
    ours = name == manager and entry.get("operation") == "Apply"
    return not entry.get("subresource") and not ours and name.startswith(_INHERITED)


def _merge(target: Object, source: Mapping[str, Any]) -> None:
    for key, item in source.items():
        _merge(target.setdefault(key, {}), item)
