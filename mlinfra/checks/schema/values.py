"""One value against one type: shapes, names, required properties, enumerations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mlinfra.checks.schema.catalog import Sdk
from mlinfra.checks.schema.model import Properties, Property, Shape, Type
from mlinfra.checks.schema.outputs import Outputs, fits
from mlinfra.checks.schema.problems import Problem, a, closest, listed
from mlinfra.diagnostics import Severity
from mlinfra.graph import Call, Document, Join, Path, Ref, Secret, Value

_MARKED: Final = (Ref, Join, Document, Call)
_SCALARS: Final[Mapping[Shape, tuple[type, ...]]] = {
    Shape.STRING: (str,),
    Shape.BOOLEAN: (bool,),
    Shape.INTEGER: (int,),
    Shape.NUMBER: (int, float),
}
_NAMES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks values against the types of one SDK. What is `hidden` never gets into a message."""

    sdk: Sdk
    outputs: Outputs
    hidden: bool = False

    def properties(
        self, value: Mapping[str, Value], known: Properties, path: Path = (), *, is_open: bool = False
    ) -> Iterator[Problem]:
        """The problems of an object's properties; one that `is_open` may have others than those known."""
        for key, item in value.items():
            name = _wire_key(key, known)
            if name is not None:
                yield from self._property(item, known[name], (*path, key))
            elif is_open:
                yield from self.outputs.problems(item, (*path, key))
            else:
                yield _unknown(key, known, path)
        for name, declared in known.items():
            if declared.required and value.get(name) is None:
                yield Problem("missing-input", (*path, name), "is required and missing", f"Give it: {declared.type}.")

    def value(self, value: Value, wanted: Type, path: Path) -> Iterator[Problem]:
        """The problems of a value where `wanted` is asked for. None is the same as absent."""
        if isinstance(value, Secret):
            yield from replace(self, hidden=True).value(value.value, wanted, path)
        elif isinstance(value, _MARKED):
            yield from self._marked(value, wanted, path)
        elif wanted.shape is Shape.ANY or value is None:
            yield from self.outputs.problems(value, path)
        else:
            yield from self._plain(value, wanted, path)

    def _property(self, value: Value, declared: Property, path: Path) -> Iterator[Problem]:
        if value is None:
            return
        checker = replace(self, hidden=True) if declared.secret else self
        yield from checker.value(value, declared.type, path)
        if declared.deprecated:
            yield Problem(
                "deprecated-input", path, "is deprecated", detail=declared.deprecated, severity=Severity.WARNING
            )
        if declared.secret and _is_literal(value):
            yield Problem(
                "plain-secret",
                path,
                "is a secret, and is written as plain text",
                "Mark it as a secret, or let AWS or Kubernetes make and keep it.",
                severity=Severity.WARNING,
            )

    def _marked(self, value: Value, wanted: Type, path: Path) -> Iterator[Problem]:
        missing = list(self.outputs.problems(value, path))
        yield from missing
        actual = self.outputs.type_of_value(value)
        if missing or fits(actual, wanted):
            return
        text, from_text = fits(Type(Shape.STRING), wanted), actual.shape in (Shape.STRING, Shape.ENUM)
        scalar = actual.shape in _SCALARS or actual.shape is Shape.ENUM
        # Providers read numbers and booleans out of texts in places, and no function here does it for them.
        tolerated = from_text and wanted.shape in _SCALARS
        yield Problem(
            "wrong-shape",
            path,
            f"refers to {a(actual)}, where {a(wanted)} is asked for",
            "Make it a text: join(…)." if text and scalar else "",
            severity=Severity.WARNING if tolerated else Severity.ERROR,
        )

    def _plain(self, value: Value, wanted: Type, path: Path) -> Iterator[Problem]:
        match wanted.shape:
            case Shape.UNION:
                yield from self._union(value, wanted, path)
            case Shape.LIST if isinstance(value, list):
                for index, item in enumerate(value):
                    yield from self.value(item, wanted.of[0], (*path, index))
            case Shape.MAP if isinstance(value, Mapping):
                for key, item in value.items():
                    yield from self.value(item, wanted.of[0], (*path, key))
            case Shape.OBJECT if isinstance(value, Mapping):
                yield from self.properties(value, self.sdk.properties(wanted), path)
            case Shape.ENUM if any(_literal_type(value) == _literal_type(item) for item in wanted.values):
                yield from self._enum(value, wanted, path)
            case shape if not _is_scalar(value, shape):
                yield _wrong_shape(value, wanted, path, "" if self.hidden else _remedy(value, wanted))

    def _enum(self, value: Value, wanted: Type, path: Path) -> Iterator[Problem]:
        if value in wanted.values:
            return
        near = None if self.hidden else closest(str(value), map(str, wanted.values))
        shown = "not a value that it can have" if self.hidden else repr(value)
        remedy = f"Did you mean {near!r}?" if near else ""
        yield Problem("bad-enum", path, f"is {shown}", remedy, f"It is one of {wanted}.")

    def _union(self, value: Value, wanted: Type, path: Path) -> Iterator[Problem]:
        """The problems of the choice that comes nearest: none, or those of the choice that has the value's shape."""
        found = [list(self._plain(value, choice, path)) for choice in wanted.of]
        for problems in found:
            if all(item.severity is not Severity.ERROR for item in problems):
                yield from problems
                return
        nearer = [
            problems for problems in found if any(item.path != path or item.code != "wrong-shape" for item in problems)
        ]
        yield from min(nearer, key=len) if nearer else [_wrong_shape(value, wanted, path)]


def _wire_key(key: str, known: Properties) -> str | None:
    """The property that `key` names; Kubernetes' own `x-kubernetes-…` is `x_kubernetes_…` in the SDK."""
    if key in known:
        return key
    spelt = key.replace("-", "_") if key.startswith("x-kubernetes-") else ""
    return spelt if spelt in known else None


def _unknown(key: str, known: Properties, path: Path) -> Problem:
    wire = next((name for name, item in known.items() if item.python_name == key), None) or closest(key, known)
    remedy = f"Did you mean {wire}?" if wire else ""
    place = "It has" if path else "The inputs are"
    return Problem(
        "unknown-input", (*path, key), "is not an input", remedy, f"{place} {listed(known) or 'no properties'}."
    )


def _wrong_shape(value: Value, wanted: Type, path: Path, remedy: str = "") -> Problem:
    return Problem("wrong-shape", path, f"is {a(_shape_of(value))}, where {a(wanted)} is asked for", remedy)


def _is_scalar(value: Value, shape: Shape) -> bool:
    if isinstance(value, bool):
        return shape is Shape.BOOLEAN
    if shape is Shape.INTEGER and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _SCALARS.get(shape, ()))


def _is_literal(value: Value) -> bool:
    """Whether a value holds a text that is neither marked as a secret nor refers to anything."""
    if isinstance(value, Secret | Ref | Join | Document | Call) or value in ("", None):
        return False
    parts = [*value.values()] if isinstance(value, Mapping) else value if isinstance(value, list) else None
    return isinstance(value, str) if parts is None else any(_is_literal(item) for item in parts)


def _shape_of(value: Value) -> str:
    return "map" if isinstance(value, Mapping) else _NAMES.get(type(value), type(value).__name__)


def _remedy(value: Value, wanted: Type) -> str:
    if wanted.shape is Shape.LIST and fits(_literal_type(value), wanted.of[0]):
        return "Put it in a list."
    if wanted.shape is Shape.STRING and isinstance(value, bool | int | float):
        return f'Write it as text: "{str(value).lower()}".'
    return ""


def _literal_type(value: Value) -> Type:
    for shape in (Shape.BOOLEAN, Shape.INTEGER, Shape.NUMBER, Shape.STRING):
        if _is_scalar(value, shape):
            return Type(shape)
    return Type(Shape.MAP, (Type(Shape.ANY),)) if isinstance(value, Mapping) else Type(Shape.LIST, (Type(Shape.ANY),))
