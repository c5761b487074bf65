"""Pydantic's validation errors as diagnostics, in the words of somebody who wrote the value."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mlinfra.diagnostics import Diagnostic, Location

Place = Callable[[tuple[str | int, ...]], Location | None]


def diagnostics_of(
    error: ValidationError,
    place: Place,
    subject: str,
    *,
    known: Sequence[str] = (),
    component: str | None = None,
    prefix: tuple[str | int, ...] = (),
) -> list[Diagnostic]:
    """One diagnostic for each problem in `error`.

    `place` maps a path to where it stands; `subject` names what is being checked; `known` are the fields there are,
    for a hint at a misspelt one. Values are told only for simple mistakes, never for a field that may be secret.
    """
    found = []
    for item in error.errors(include_url=False):
        path = prefix + tuple(part for part in item["loc"] if not _is_tag(part))
        name = ".".join(str(part) for part in path) or "the value"
        found.append(
            Diagnostic(
                f"{subject}: {_summary(item, name)}",
                remedy=_remedy(item, path, known),
                location=place(path),
                component=component,
                code="invalid-value" if item["type"] != "extra_forbidden" else "unknown-field",
            )
        )
    return found


def _is_tag(part: Any) -> bool:
    """Whether a part of a path is pydantic's own: the tag of a union or the name of a validator."""
    return isinstance(part, str) and (part in ("local", "aws", "kubeconfig") or "[" in part or "(" in part)


_WANTS_INSTANCE = ("model_type", "model_class_type", "is_instance_of", "dataclass_type")


def _summary(item: ErrorDetails, name: str) -> str:
    kind = item["type"]
    if kind == "extra_forbidden":
        return f"there is no field {name!r}"
    if kind == "missing":
        return f"{name} is missing"
    if kind in _WANTS_INSTANCE and not isinstance(item["input"], dict):
        wanted = item.get("ctx", {}).get("class_name") or item.get("ctx", {}).get("class")
        return f"{name} is {_described(item['input'])}, not a {wanted}"
    if kind == "tuple_type":
        return f"{name} is {_described(item['input'])}, not a list"
    text = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{name}: {text[:1].lower()}{text[1:]}"


def _described(value: object) -> str:
    """What a value is, without saying what it holds, which may be secret."""
    name = getattr(value, "name", None)
    if isinstance(value, BaseModel) and isinstance(name, str):
        return f"{type(value).__name__}({name!r})"
    words = {"str": "a text", "int": "a number", "float": "a number", "bool": "a boolean", "NoneType": "nothing"}
    kind = type(value).__name__
    return words.get(kind, f"{'an' if kind[:1] in 'AEIOUaeiou' else 'a'} {kind}")


def _remedy(item: ErrorDetails, path: tuple[str | int, ...], known: Sequence[str]) -> str:
    kind = item["type"]
    if kind == "extra_forbidden" and path:
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        if close:
            return f"Did you mean {close[0]!r}?"
        return f"The fields are {', '.join(sorted(known))}." if known else "Remove it, or correct its name."
    if kind in _WANTS_INSTANCE and isinstance(item["input"], str):
        return "Give the object itself, not its name."
    if kind == "tuple_type" and isinstance(item["input"], BaseModel):
        return f"Write `{path[-1]}=[…]`."
    return ""
