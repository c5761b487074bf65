"""Pydantic's validation errors as diagnostics, in the words of somebody who wrote the value."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mlinfra.diagnostics import Diagnostic, Location

Path = tuple[str | int, ...]
Place = Callable[[Path], Location | None]


def diagnostics_of(
    error: ValidationError,
    data: object,
    model: type[BaseModel],
    place: Place,
    subject: str,
    *,
    component: str | None = None,
) -> list[Diagnostic]:
    """One diagnostic for each problem in `error`, which validating `data` as `model` came to.

    `place` maps a path to where it stands; `subject` names what is being checked. Values are never told, as a field
    may be a secret; a field's own description is told as the detail.
    """
    found = []
    for item in error.errors(include_url=False, include_context=False):
        path = _path_in(data, item["loc"], is_missing=item["type"] == "missing")
        fields = _fields_at(model, path)
        field = fields.get(str(path[-1])) if path else None
        found.append(
            Diagnostic(
                f"{subject}: {_summary(item['type'], path, item['msg'])}",
                detail=(field.description or "") if field else "",
                remedy=_remedy(item["type"], path, item["input"], _names(fields)),
                location=place(path),
                component=component,
                code="invalid-value" if item["type"] != "extra_forbidden" else "unknown-field",
            )
        )
    # A union tells of each of its members; about one value, one sentence in the same words is enough.
    return list(dict.fromkeys(found))


def _path_in(data: object, location: Iterable[str | int], *, is_missing: bool) -> Path:
    """The part of an error's location that leads through the data.

    Pydantic puts names of its own in between: the tags of unions, the names of validators. The last part of a missing
    field is not in the data either, but is the author's to write.
    """
    path: list[str | int] = []
    parts = list(location)
    for position, part in enumerate(parts):
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif not (is_missing and position == len(parts) - 1):
            continue
        path.append(part)
    return tuple(path)


def _fields_at(model: type[BaseModel], path: Path) -> dict[str, FieldInfo]:
    """The fields that there are beside the last part of `path`, those of every member of a union."""
    models = [model]
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        inner = [item.model_fields[part].annotation for item in models if part in item.model_fields]
        # A key of a dictionary is no field: the models that are its values stay the ones to look at.
        models = [found for annotation in inner for found in _models(annotation)] if inner else models
    return {name: field for item in models for name, field in item.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _names(fields: Mapping[str, FieldInfo]) -> list[str]:
    """The names of fields that are given by name; a component's first argument is not."""
    return sorted(name for name, field in fields.items() if field.kw_only is not False)


def _summary(kind: str, path: Path, message: str) -> str:
    name = ".".join(str(part) for part in path)
    if kind == "extra_forbidden":
        return f"there is no field {name!r}"
    if kind == "missing":
        return f"{name} is missing"
    text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ").removeprefix("Input ")
    text = f"{text[:1].lower()}{text[1:]}"
    return f"{name}: {text}" if name else text


def _remedy(kind: str, path: Path, value: object, known: list[str]) -> str:
    if kind == "extra_forbidden" and path:
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        if close:
            return f"Did you mean {close[0]!r}?"
        return f"The fields are {', '.join(known)}." if known else "Remove it, or correct its name."
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "Put it in quotes."
    if kind == "is_instance_of" and isinstance(value, str):
        return "Give the component itself, the variable that holds it, and not its name."
    return ""
