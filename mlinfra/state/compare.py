"""What differs between two deployments: resource by resource, property by property, secrets never told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.graph import REDACTED
from mlinfra.report import PropertyChange
from mlinfra.state.entries import Json
from mlinfra.wire.values import SECRET, SIGNATURE

SECRET_CHANGED: Final = "secret changed"  # noqa: S105 — what is told of one
"""The kind of a change of which nothing more is told."""

_NOT_COMPARED: Final = frozenset({"created", "modified", "sourcePosition", "stackTrace"})
"""When a resource was touched, and by which line of a program, says nothing of what it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that two deployments differ in: `added`, `removed` or `changed`, and if changed, the properties."""

    urn: str
    type: str
    what: str
    properties: tuple[PropertyChange, ...] = ()


def compare(before: Json, after: Json) -> list[Change]:
    """What differs between two deployments, by URN.

    Secrets are equal when their ciphertexts are: a provider of secrets that gives another ciphertext for the same text
    wants them opened first (`with_secrets`).
    """
    olds, news = (_by_urn(item) for item in (before, after))
    changes = []
    for key in sorted(olds.keys() | news.keys()):
        old, new = olds.get(key), news.get(key)
        kind = str((new or old or {}).get("type", ""))
        if old is None or new is None:
            changes.append(Change(key[0], kind, "removed" if new is None else "added"))
        elif properties := tuple(_differences(old, new, "")):
            changes.append(Change(key[0], kind, "changed", properties))
    return changes


def with_secrets(value: Any, known: Callable[[str], str]) -> Any:
    """The same JSON with what `known` says of each ciphertext in the ciphertext's place."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET and isinstance(value.get("ciphertext"), str):
            return {SIGNATURE: SECRET, "ciphertext": known(value["ciphertext"])}
        return {key: with_secrets(item, known) for key, item in value.items()}
    return [with_secrets(item, known) for item in value] if isinstance(value, list) else value


def redacted(value: Any) -> Any:
    """The same JSON without secrets: neither what they are nor their ciphertexts."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return REDACTED
        return {key: redacted(item) for key, item in value.items()}
    return [redacted(item) for item in value] if isinstance(value, list) else value


def _by_urn(deployment: Json) -> dict[tuple[str, bool], Json]:
    """A resource that is being replaced is there twice, the old one marked for deletion."""
    return {(item["urn"], bool(item.get("delete"))): item for item in deployment.get("resources") or []}


def _differences(old: Any, new: Any, path: str) -> Iterator[PropertyChange]:
    """The paths at which two values differ, the shortest that tell."""
    secret = _is_secret(old) or _is_secret(new)
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and not secret:
        for key in sorted(old.keys() | new.keys()):
            if path or key not in _NOT_COMPARED:
                yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif secret:
        yield PropertyChange(path, SECRET_CHANGED)
    else:
        kind = "add" if old is None else "delete" if new is None else "update"
        yield PropertyChange(path, kind, redacted(old), redacted(new))


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET
