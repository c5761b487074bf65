"""Fields: what a resource type takes, as data. Validation, defaults, comparison and translation all read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, TypeAlias

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Path

Kind: TypeAlias = "type | tuple[Field, ...]"

_WORDS: Final = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "a map of texts"}


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a resource type, or one field of an object within it.

    `name` is pulumi_aws's wire name. `kind` is `str`, `bool`, `int`, `float`, `dict` (a map of texts) or a tuple of
    fields (an object); `many` makes it a list of them.

    - `default`: what AWS takes where nothing is given; None if there is no such value.
    - `computed`: AWS chooses a value where none is given, so that none is no change.
    - `replaces`: why a change forces a replacement: the document that says so. Empty where it can be changed.
    - `apart`: no part of the record that AWS takes and gives: it speaks to the provider (`forceDestroy`), or has calls
      of its own.
    - `forgotten`: moto takes it and does not report it, so that a refresh cannot see it drift.
    - `document`: a text that holds JSON, compared by its meaning.
    - `unordered`: a list whose order means nothing.
    - `secret`: always secret in the state.
    - `choices`, `bounds` (least, most) and `pattern` (expression, in words): what AWS takes.
    - `aws`: AWS's name for it, where that is not `name` in the service's style.
    - `pairs`: for a map that AWS has as a list of pairs, the pair's two keys.
    """

    name: str
    kind: Kind = str
    _: KW_ONLY
    many: bool = False
    required: bool = False
    default: Any = None
    computed: bool = False
    replaces: str = ""
    apart: bool = False
    forgotten: bool = False
    document: bool = False
    unordered: bool = False
    secret: bool = False
    choices: tuple[Any, ...] = ()
    bounds: tuple[float, float] | None = None
    pattern: tuple[str, str] | None = None
    aws: str = ""
    pairs: tuple[str, str] | None = None


REGION: Final = Field(
    "region",
    computed=True,
    apart=True,
    replaces="https://docs.aws.amazon.com/general/latest/gr/rande.html: a resource lives in one region",
)
"""`region`, an input of every regional resource since pulumi_aws 7: where it lives, the provider's region if absent."""

TAGS: Final = Field("tags", dict)
"""`tags`: AWS's own (`aws:…`) are never among them."""


def problems(fields: tuple[Field, ...], values: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """What is wrong with `values`, as (path, reason). Reasons never hold a value: it may be secret."""
    known = {field.name: field for field in fields}
    for name in sorted(values):
        if name not in known and not name.startswith("__"):
            yield (*path, name), "is not supported by mlinfra's embedded AWS provider"
    for field in fields:
        value = values.get(field.name)
        if value is None:
            if field.required:
                yield (*path, field.name), "is required"
        elif value is not UNKNOWN:
            yield from _field_problems(field, value, (*path, field.name))


def _field_problems(field: Field, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if not field.many:
        yield from _value_problems(field, value, path)
    elif not isinstance(value, list):
        yield path, "must be a list"
    else:
        for index, item in enumerate(value):
            if item is not UNKNOWN:
                yield from _value_problems(field, item, (*path, index))


def _value_problems(field: Field, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(field.kind, tuple):
        if isinstance(value, Mapping):
            yield from problems(field.kind, value, path)
        else:
            yield path, "must be an object"
    elif not _is(field.kind, value):
        if not (field.document and isinstance(value, (Mapping, list))):
            yield path, f"must be {_WORDS[field.kind]}"
    elif field.choices and value not in field.choices:
        yield path, f"must be one of {', '.join(str(choice) for choice in field.choices)}"
    elif field.bounds and not field.bounds[0] <= value <= field.bounds[1]:
        yield path, f"must be from {field.bounds[0]:.12g} to {field.bounds[1]:.12g}"
    elif field.pattern and not re.fullmatch(field.pattern[0], value):
        yield path, f"must be {field.pattern[1]}"
    elif field.document and not _is_json(value):
        yield path, "must be JSON"


def _is(kind: type, value: Any) -> bool:
    if kind is dict:
        return isinstance(value, Mapping) and all(item is UNKNOWN or isinstance(item, str) for item in value.values())
    if kind in (int, float):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        return fits and (kind is float or float(value).is_integer())
    return isinstance(value, kind)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def filled(fields: tuple[Field, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the defaults of what is absent, and with documents that were given as objects as JSON text."""
    complete = {name: value for name, value in values.items() if value is not None}
    for field in fields:
        value = complete.get(field.name, field.default)
        if field.document and isinstance(value, (Mapping, list)):
            value = document_text(value)
        if value is not None:
            complete[field.name] = value
    return complete


def document_text(value: Any) -> Any:
    """A JSON value as text, keys sorted; unknown if anything in it is."""
    unknown = False

    def seen(item: Any) -> str:
        nonlocal unknown
        unknown = unknown or item is UNKNOWN
        return str(item)

    text = json.dumps(value, sort_keys=True, default=seen)
    return UNKNOWN if unknown else text
