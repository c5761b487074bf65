"""What an SDK says about its types, as frozen data: resources, functions, provider instances and the objects in them.

The JSON form is for the cache alone: compact, and read back one record at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

SHOWN: Final = 12
"""How many values of an enumeration a message shows."""


class Shape(StrEnum):
    """What a value looks like as JSON; `ANY` is not checked."""

    ANY = "any"
    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    LIST = "list"
    MAP = "map"
    OBJECT = "object"
    ENUM = "enum"
    UNION = "union"


@dataclass(frozen=True, slots=True)
class Type:
    """A type.

    `of` holds the one type of a list's or a map's items, or the choices of a union; `name` says where an object's
    properties are found (`Sdk.properties`); `values` are those of an enumeration.
    """

    shape: Shape
    of: tuple[Type, ...] = ()
    name: str = ""
    values: tuple[str | int | float | bool, ...] = ()

    def __str__(self) -> str:
        """The type in words, as messages show it."""
        match self.shape:
            case Shape.LIST:
                return f"list of {self.of[0]}"
            case Shape.MAP:
                return f"map of {self.of[0]}"
            case Shape.ENUM:
                shown = " | ".join(repr(value) for value in self.values[:SHOWN])
                more = len(self.values) - SHOWN
                return f"{shown} and {more} more" if more > 0 else shown
            case Shape.UNION:
                return " or ".join(str(choice) for choice in self.of)
            case _:
                return str(self.shape)

    def as_json(self) -> Any:
        """A text for a plain shape, a list that begins with the shape for any other."""
        if self.shape is Shape.OBJECT:
            return [str(self.shape), self.name]
        if self.shape is Shape.ENUM:
            return [str(self.shape), *self.values]
        return [str(self.shape), *(item.as_json() for item in self.of)] if self.of else str(self.shape)

    @classmethod
    def from_json(cls, record: Any) -> Type:
        """Read back what `as_json` made."""
        if isinstance(record, str):
            return _PLAIN[record]
        shape, *rest = record
        if shape == Shape.OBJECT:
            return cls(Shape.OBJECT, name=rest[0])
        if shape == Shape.ENUM:
            return cls(Shape.ENUM, values=tuple(rest))
        return cls(Shape(shape), tuple(cls.from_json(item) for item in rest))


ANY: Final = Type(Shape.ANY)
STRING: Final = Type(Shape.STRING)
_PLAIN: Final = {str(shape): Type(shape) for shape in Shape}
_ABSENT: Final[tuple[Any, ...]] = (0, "", 0, "")
"""What `Property.as_json` leaves out at the end, from `required` on."""


@dataclass(frozen=True, slots=True)
class Property:
    """An input or an output.

    `python_name` is what the Python SDK calls it, for hints; `deprecated` is the SDK's message, empty when it is not;
    `secret` is true for an input that the SDK always sends as a secret.
    """

    type: Type
    required: bool = False
    python_name: str = ""
    secret: bool = False
    deprecated: str = ""

    def as_json(self) -> list[Any]:
        """The fields in order, without empty ones at the end."""
        record = [self.type.as_json(), int(self.required), self.python_name, int(self.secret), self.deprecated]
        while not record[-1]:
            record.pop()
        return record

    @classmethod
    def from_json(cls, record: list[Any]) -> Property:
        """Read back what `as_json` made."""
        kind, *rest = record
        required, python_name, secret, deprecated = (*rest, *_ABSENT[len(rest) :])
        return cls(Type.from_json(kind), bool(required), python_name, bool(secret), deprecated)


Properties: TypeAlias = Mapping[str, Property]
"""Properties by their names on the wire."""


def properties_to_json(properties: Properties) -> dict[str, Any]:
    """Properties as JSON data."""
    return {name: item.as_json() for name, item in properties.items()}


def properties_from_json(record: Mapping[str, Any]) -> dict[str, Property]:
    """Read back what `properties_to_json` made."""
    return {name: Property.from_json(item) for name, item in record.items()}


@dataclass(frozen=True, slots=True)
class Schema:
    """A resource type, a function or a provider instance.

    `aliases` are former tokens; `secret_outputs` are the outputs that the SDK asks the engine to treat as secrets. An
    `open` schema takes and gives further properties of any type: custom resources, and types that the SDK builds by
    hand.
    """

    token: str
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    deprecated: str = ""
    open: bool = False

    def output(self, name: str) -> Property | None:
        """What a reference may name: an output, or an input, which the engine keeps as an output of the same name."""
        return self.outputs.get(name) or self.inputs.get(name)

    def as_json(self) -> list[Any]:
        """The fields in order."""
        return [
            self.token,
            properties_to_json(self.inputs),
            properties_to_json(self.outputs),
            self.aliases,
            self.secret_outputs,
            self.deprecated,
            self.open,
        ]

    @classmethod
    def from_json(cls, record: list[Any]) -> Schema:
        """Read back what `as_json` made."""
        token, inputs, outputs, aliases, secret_outputs, deprecated, is_open = record
        return cls(
            token,
            properties_from_json(inputs),
            properties_from_json(outputs),
            tuple(aliases),
            tuple(secret_outputs),
            deprecated,
            is_open,
        )
