"""The engine's journal entries: what each kind tells, in which order they count, and what of them is held to be sound.

Source: sdk/go/common/apitype/journal.go of pulumi/pulumi, version 3.222.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

VERSION: Final = 1
"""The only version of journal entries that there is."""

_TEXTS: Final = ("urn", "parent", "provider", "deletedWith", "viewOf")
_LISTS: Final = ("dependencies", "aliases", "replaceWith")


class Kind(IntEnum):
    """What an entry tells; the names and numbers are those of `JournalEntryKind`."""

    BEGIN = 0
    SUCCESS = 1
    FAILURE = 2
    REFRESH_SUCCESS = 3
    OUTPUTS = 4
    WRITE = 5
    SECRETS_MANAGER = 6
    REBUILT_BASE_STATE = 7


class ReplayError(ValueError):
    """A journal that cannot be replayed.

    `sequence` is the sequence id of the entry at fault, where it is one entry's fault: the entries before it are sound.
    The text names URNs at most, never a resource's properties.
    """

    def __init__(self, reason: str, sequence: int | None = None) -> None:
        super().__init__(reason if sequence is None else f"journal entry {sequence}: {reason}")
        self.reason, self.sequence = reason, sequence


def in_order(entries: Iterable[Json]) -> list[tuple[int, Json]]:
    """Entries with their sequence ids, in the order of these. Raises `ReplayError`."""
    ordered: dict[int, Json] = {}
    for entry in entries:
        sequence = whole_number(as_object(entry, "an entry"), "sequenceID")
        if sequence is None or sequence < 1:
            raise ReplayError("an entry has no sequence id")
        if sequence in ordered:
            raise ReplayError("there is another one of this sequence id", sequence)
        if entry.get("version") != VERSION:
            raise ReplayError(f"it is not of version {VERSION}", sequence)
        ordered[sequence] = entry
    return sorted(ordered.items())


def whole_number(entry: Json, field: str) -> int | None:
    """A whole number, or None where there is none."""
    value = entry.get(field)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ReplayError(f"its {field} is not a whole number")
    return value


def as_object(value: Any, what: str) -> Json:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise ReplayError(f"{what} is not an object")
    return value


def as_list(value: Json, field: str) -> list[Any]:
    """A list, empty where there is none."""
    items = value.get(field)
    if not isinstance(items, list | None):
        raise ReplayError(f"{field} is not a list")
    return items or []


def as_operation(value: Any) -> Json:
    """An operation: what the engine is about to do to a resource."""
    found = as_object(value, "an operation")
    if not isinstance(found.get("type"), str):
        raise ReplayError("an operation has no type")
    as_resource(found.get("resource"))
    return found


def as_resource(value: Any) -> Json:
    """A resource whose references, the only part of it that is read here, are of the right types."""
    state = as_object(value, "a resource")
    for field in _TEXTS:
        if not isinstance(state.get(field), str | None):
            raise ReplayError(f"a resource's {field} is not a text")
    for field in _LISTS:
        _texts(state.get(field), field)
    by_property = state.get("propertyDependencies")
    if by_property is not None:
        for urns in as_object(by_property, "a resource's propertyDependencies").values():
            _texts(urns, "propertyDependencies")
    return state


def _texts(value: Any, field: str) -> None:
    if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise ReplayError(f"a resource's {field} is not a list of texts")
