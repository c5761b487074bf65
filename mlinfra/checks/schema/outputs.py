"""What a reference, or a value made of references, is: its type, or why there is no such output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mlinfra.checks.schema.catalog import Catalog, Sdk
from mlinfra.checks.schema.model import ANY, STRING, Properties, Schema, Shape, Type
from mlinfra.checks.schema.problems import Problem, a, closest, listed, place
from mlinfra.functions import FUNCTIONS
from mlinfra.graph import Call, Document, Graph, Join, Kind, Path, Ref, Secret, Value, references, walk

ALWAYS: Final = ("id", "urn")
"""Outputs of every node, both texts."""

_RETURNS: Final = {
    "str": STRING,
    "bool": Type(Shape.BOOLEAN),
    "int": Type(Shape.INTEGER),
    "float": Type(Shape.NUMBER),
    "list": Type(Shape.LIST, (ANY,)),
    "dict": Type(Shape.MAP, (ANY,)),
}
_NUMBERS: Final = (Shape.INTEGER, Shape.NUMBER)
_TEXTS: Final = (Shape.STRING, Shape.ENUM)
_OBJECTS: Final = (Shape.MAP, Shape.OBJECT)
_CONTAINERS: Final = (Shape.LIST, *_OBJECTS)


class NoOutputError(LookupError):
    """A reference names an output that the node's type does not have; the text says which, `remedy` what it has."""

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


@dataclass
class Outputs:
    """The types of references into one graph."""

    graph: Graph
    catalog: Catalog
    _known: dict[Ref, Type] = field(default_factory=dict)

    def type_of(self, ref: Ref) -> Type:
        """The type of what `ref` names, `ANY` where nobody knows; raises `NoOutputError`."""
        if ref not in self._known:
            self._known[ref] = self._type_of(ref)
        return self._known[ref]

    def type_of_value(self, value: Value) -> Type:
        """The type of a value that is not plain: a reference or what is made of some. `ANY` where nobody knows."""
        match value:
            case Secret(inner):
                return self.type_of_value(inner)
            case Join() | Document():
                return STRING
            case Call(name, _) if name in FUNCTIONS:
                returned = str(FUNCTIONS[name].__annotations__.get("return", ""))
                return _RETURNS.get(returned.partition("[")[0], ANY)
            case Ref():
                try:
                    return self.type_of(value)
                except NoOutputError:
                    return ANY
        return ANY

    def problems(self, value: Value, path: Path) -> Iterator[Problem]:
        """Every reference within `value` that names no output, and every part of a text that is no text."""
        match value:
            case Mapping():
                for key, item in value.items():
                    yield from self.problems(item, (*path, key))
            case list():
                for index, item in enumerate(value):
                    yield from self.problems(item, (*path, index))
            case Secret(inner):
                yield from self.problems(inner, path)
            case Ref() | Join() | Document() | Call():
                yield from self._problems_of_marked(value, path)

    def _problems_of_marked(self, value: Value, path: Path) -> Iterator[Problem]:
        for ref in references(value):
            try:
                self.type_of(ref)
            except NoOutputError as error:
                yield Problem("unknown-output", path, f"refers to {error}", error.remedy)
        for text in walk(value):
            for part in text.parts if isinstance(text, Join) else ():
                kind = self.type_of_value(part)
                if kind.shape in _CONTAINERS:
                    summary = f"joins {a(kind)} into a text"
                    yield Problem("wrong-shape", path, summary, "Name a part of it that is a text.")

    def _type_of(self, ref: Ref) -> Type:
        node = self.graph.nodes.get(ref.node)
        if node is None:
            return ANY
        if not ref.path or (len(ref.path) == 1 and ref.path[0] in ALWAYS):
            return STRING
        sdk = None if node.kind is Kind.COMPONENT else self.catalog.sdk(node.type)
        schema = self.catalog.schema(node)
        if sdk is None or schema is None:
            return ANY
        first, *rest = ref.path
        found = STRING if first in ALWAYS else _output(schema, first)
        if found is None:
            raise _missing(f"{node.type} {node.name}", first, {**schema.inputs, **schema.outputs})
        return _descend(sdk, found, tuple(rest), (first,), node.name)


def fits(actual: Type, wanted: Type) -> bool:
    """Whether a value of the type `actual` can stand where `wanted` is asked for, as far as types tell."""
    if Shape.ANY in (actual.shape, wanted.shape):
        return True
    if wanted.shape is Shape.UNION:
        return any(fits(actual, choice) for choice in wanted.of)
    if actual.shape is Shape.UNION:
        return any(fits(choice, wanted) for choice in actual.of)
    if actual.shape is wanted.shape and actual.shape in (Shape.LIST, Shape.MAP):
        return fits(actual.of[0], wanted.of[0])
    groups = (_NUMBERS, _TEXTS, _OBJECTS)
    return actual.shape is wanted.shape or any(actual.shape in group and wanted.shape in group for group in groups)


def _output(schema: Schema, name: str | int) -> Type | None:
    found = schema.output(name) if isinstance(name, str) else None
    return found.type if found else ANY if schema.open else None


def _descend(sdk: Sdk, kind: Type, path: Path, gone: Path, node: str) -> Type:
    """The type at `path` within a value of the type `kind`; `gone` is the path so far."""
    if not path or kind.shape in (Shape.ANY, Shape.UNION):
        return ANY if path else kind
    part, rest = path[0], path[1:]
    if kind.shape is Shape.OBJECT and isinstance(part, str):
        properties = sdk.properties(kind)
        if part not in properties:
            raise _missing(f"{place(gone)} of {node}", part, properties)
        return _descend(sdk, properties[part].type, rest, (*gone, part), node)
    if (kind.shape is Shape.LIST and isinstance(part, int)) or (kind.shape is Shape.MAP and isinstance(part, str)):
        return _descend(sdk, kind.of[0], rest, (*gone, part), node)
    raise NoOutputError(f"{place((*gone, part))} of {node}, but {place(gone)} is {a(kind)}")


def _missing(owner: str, name: str | int, properties: Properties) -> NoOutputError:
    by_python_name = next((wire for wire, item in properties.items() if item.python_name == name), None)
    near = by_python_name or closest(str(name), properties)
    known = f"Its outputs are {listed(properties)}."
    return NoOutputError(f"{name}, which {owner} does not have", f"Did you mean {near}? {known}" if near else known)
