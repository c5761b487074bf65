"""Pydantic's validation errors as diagnostics, in the words of somebody who wrote the value."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mlinfra.diagnostics import Diagnostic, Location
from mlinfra.documented import descriptions

Path = tuple[str | int, ...]
Place = Callable[[Path], Location | None]

_WANTS_OBJECT = ("model_type", "model_class_type", "is_instance_of")
_WORDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "a boolean", "NoneType": "nothing"}


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

    `place` maps a path to where it stands; `subject` names what is being checked. Values are not told here, as a field
    may be a secret; what a field is for is told as the detail.
    """
    found = []
    for item in error.errors(include_url=False):
        path = _path_in(data, item["loc"], is_missing=item["type"] == "missing")
        fields = _fields_at(model, path)
        name = str(path[-1]) if path else ""
        found.append(
            Diagnostic(
                f"{subject}: {_summary(item, path)}",
                detail=descriptions(fields[name]).get(name, "") if name in fields else "",
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
        there = part in data if isinstance(data, Mapping) else isinstance(part, int) and part < _length(data)
        if there:
            data = data[part]  # type: ignore[index]
        elif not (is_missing and position == len(parts) - 1):
            continue
        path.append(part)
    return tuple(path)


def _length(data: object) -> int:
    return len(data) if isinstance(data, list | tuple) else 0


def _fields_at(model: type[BaseModel], path: Path) -> dict[str, type[BaseModel]]:
    """The fields that there are beside the last part of `path`, in every member of a union, and whose they are."""
    models = [model]
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        inner = [item.model_fields[part].annotation for item in models if part in item.model_fields]
        # A key of a dictionary is no field: the models that are its values stay the ones to look at.
        models = [found for annotation in inner for found in _models(annotation)] if inner else models
    return {name: item for item in models for name in item.model_fields}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _names(fields: Mapping[str, type[BaseModel]]) -> list[str]:
    """The names of fields that are given by name; a component's first argument is not."""
    return sorted(name for name, model in fields.items() if model.model_fields[name].kw_only is not False)


def _summary(item: ErrorDetails, path: Path) -> str:
    name = ".".join(str(part) for part in path)
    kind, message = item["type"], item["msg"]
    if kind == "extra_forbidden":
        return f"there is no field {name!r}"
    if kind == "missing":
        return f"{name} is missing"
    if kind in _WANTS_OBJECT and not isinstance(item["input"], Mapping):
        context = item.get("ctx", {})
        wanted = context.get("class_name") or context.get("class")
        return f"{name or 'it'} is {_described(item['input'])}, not a {wanted}"
    if kind == "tuple_type":
        return f"{name} is {_described(item['input'])}, not a list"
    if kind in ("value_error", "assertion_error"):  # a check of our own: its words as they are
        text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    else:
        text = message.removeprefix("Input ")
        text = f"{text[:1].lower()}{text[1:]}"
    return f"{name}: {text}" if name else text


def _described(value: object) -> str:
    """What a value is, without what it holds, which may be secret."""
    name = getattr(value, "name", None)
    if isinstance(value, BaseModel) and isinstance(name, str):
        return f"{type(value).__name__}({name!r})"
    kind = type(value).__name__
    return _WORDS.get(kind, f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}")


def _remedy(kind: str, path: Path, value: object, known: list[str]) -> str:
    if kind == "extra_forbidden" and path:
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        if close:
            return f"Did you mean {close[0]!r}?"
        return f"The fields are {', '.join(known)}." if known else "Remove it, or correct its name."
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "Put it in quotes."
    if kind in _WANTS_OBJECT and isinstance(value, str):
        return "Give the component itself, the variable that holds it, and not its name."
    if kind == "tuple_type" and isinstance(value, BaseModel):
        return f"Write `{path[-1]}=[…]`."
    return ""
