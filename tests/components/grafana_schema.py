"""Dashboards held against the schema that Grafana publishes, as the classes of its Foundation SDK have it.

The SDK reads what it knows and leaves out the rest, and does not look at types. Here nothing may be left out, and each
value has to be of the type that its class declares.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard

register_default_plugins()


def problems(document: dict[str, Any]) -> list[str]:
    """What of a dashboard the schema does not know, and what is of another type than it says."""
    read = dashboard.Dashboard.from_json(document)
    written = json.loads(JSONEncoder().encode(read))
    return [*_left_out(document, written, "$"), *_mistyped(read, "$")]


def _left_out(given: Any, written: Any, place: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(written, dict):
        for key, value in given.items():
            if key not in written:
                yield f"{place}.{key} is not in the schema"
            else:
                yield from _left_out(value, written[key], f"{place}.{key}")
    elif isinstance(given, list) and isinstance(written, list) and len(given) == len(written):
        for number, (one, other) in enumerate(zip(given, written, strict=True)):
            yield from _left_out(one, other, f"{place}[{number}]")
    elif given != written:
        yield f"{place} is {given!r}, and {written!r} in the schema's words"


def _mistyped(read: Any, place: str) -> Iterator[str]:
    """Walk over the SDK's objects and hold each attribute against what its class says of it."""
    for name, wanted in typing.get_type_hints(type(read)).items():
        value = getattr(read, name)
        if not _fits(value, wanted):
            yield f"{place}.{name} is {value!r}, not {wanted}"
        for part in value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]:
            if type(part).__module__.startswith("grafana_foundation_sdk") and not isinstance(part, Enum):
                yield from _mistyped(part, f"{place}.{name}")


def _fits(value: Any, wanted: Any) -> bool:
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or wanted is object:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    if origin is typing.Literal:
        return value in inner
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return value in [item.value for item in wanted]
    return isinstance(value, wanted)
