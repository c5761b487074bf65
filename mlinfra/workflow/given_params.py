"""The parameters that a blueprint got, as plain data: noted with each version of a state, compared, and given again."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

from mlinfra.authoring import Params

Path: TypeAlias = tuple[str, ...]
"""The way to a value: the parameter's name, and the keys within it."""

MISSING: Final = object()


class _SecretError(ValueError):
    """A value that is not to be noted."""


def plain_params(params: Params) -> dict[str, Any]:
    """Each parameter as plain data, defaults of parameters included; those that hold a secret are left out.

    Within a parameter only what was written is in it, as some models tell that apart from a default.
    """
    found: dict[str, Any] = {}
    for name in type(params).model_fields:
        with suppress(_SecretError, PydanticSerializationError):
            found[name] = _plain(getattr(params, name))
    return found


def _plain(value: Any) -> Any:
    match value:
        case SecretStr() | SecretBytes():
            raise _SecretError
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in sorted(value.model_fields_set)}
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return to_jsonable_python(value)


def at(params: Mapping[str, Any], path: Path) -> Any:
    """The value at a path; `MISSING` where there is none."""
    value: Any = params
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return MISSING
        value = value[key]
    return value


def with_values(params: Mapping[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
    """The parameters that these values are in, with them; the others are left out."""
    found = {path[0]: copy.deepcopy(params.get(path[0])) for path in values}
    for path, value in values.items():
        *folders, last = path
        place: Any = found
        for key in folders:
            place = place[key]
        place[last] = value
    return found


def differences(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[Path, Any]:
    """What was another value then, each by its path as far down as both have the same keys; of parameters that both
    know."""
    return dict(_differences({key: now[key] for key in now if key in then}, then, ()))


def _differences(now: Any, then: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    within = isinstance(now, Mapping) and isinstance(then, Mapping) and (not path or set(now) == set(then))
    if within:
        for key in sorted(now):
            yield from _differences(now[key], then[key], (*path, key))
    elif now != then:
        yield path, then


def nested(values: Mapping[Path, Any]) -> dict[str, Any]:
    """Values by their paths as a stack file writes them."""
    whole: dict[str, Any] = {}
    for path, value in values.items():
        place = whole
        *folders, last = path
        for key in folders:
            place = place.setdefault(key, {})
        place[last] = value
    return whole
