"""Secrets on the way in and out: laid open for the call to AWS, marked again in all that goes back to the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.struct_pb2 import Struct

from mlinfra.functions import holds, reveal
from mlinfra.graph import Secret, walk
from mlinfra.wire.values import SIGNATURE, decode

_MARK: Final = SIGNATURE.encode()


@dataclass(frozen=True, slots=True)
class Opened:
    """Properties as the engine sent them: plain `values`, the names of those that were secret, all secret texts."""

    values: dict[str, Any]
    secrets: frozenset[str]
    texts: frozenset[str]


def opened(struct: Struct, always: Set[str] = frozenset()) -> Opened:
    """Properties laid open. `always` names those that are secret whether they are marked or not."""
    marked = decode(struct)
    if _MARK not in struct.SerializeToString():  # a fifth of the time, and nearly always so
        names = frozenset(always & marked.keys())
        return Opened(marked, names, frozenset(_texts(marked[name] for name in names)))
    names = frozenset(name for name, value in marked.items() if name in always or holds(value, Secret))
    values = {name: reveal(value) for name, value in marked.items()}
    return Opened(values, names, frozenset(_texts(values[name] for name in names)))


def closed(values: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    """Values with those called `secrets` marked, whole; all tags are as secret as those that the user gave."""
    names = set(secrets)
    if "tags" in names:
        names.add("tagsAll")
    return {name: Secret(value) if name in names and value is not None else value for name, value in values.items()}


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (item for value in values for item in walk(value) if isinstance(item, str) and item)
