"""Annotations of the SDK's Python become types."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

from mlinfra.checks.schema.model import ANY, STRING, Shape, Type
from mlinfra.checks.schema.source import Package

_PLAIN: Final = {
    "str": STRING,
    "bool": Type(Shape.BOOLEAN),
    "int": Type(Shape.INTEGER),
    "float": Type(Shape.NUMBER),
}
_WRAPPERS: Final = frozenset({"Input", "InputType", "Output", "Optional", "NotRequired"})
_ROOTS: Final = {"_root_inputs": "_inputs", "_root_enums": "_enums", "_root_outputs": "outputs"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads annotations that stand in a folder of a package.

    `objects` says which module of that folder a bare name means: `_inputs` or `outputs`.
    """

    package: Package
    folder: str
    objects: str = "_inputs"

    def read(self, node: ast.expr | None) -> Type:
        """The type that an annotation means; `ANY` for what has no JSON form of its own (assets, resources)."""
        match node:
            case ast.Constant(value=str(text)):
                return self._named(text) if "[" not in text else self.read(ast.parse(text, mode="eval").body)
            case ast.Subscript(value=head, slice=inner):
                return self._generic(ast.unparse(head).rpartition(".")[2], _elements(inner))
            case ast.Name() | ast.Attribute():
                return self._named(ast.unparse(node))
            case _:
                return ANY

    def _generic(self, head: str, arguments: list[ast.expr]) -> Type:
        if head in _WRAPPERS:
            return self.read(arguments[0])
        if head in ("Sequence", "List"):
            return Type(Shape.LIST, (self.read(arguments[0]),))
        if head in ("Mapping", "Dict"):
            return Type(Shape.MAP, (self.read(arguments[1]),))
        if head == "Literal":
            return _enumeration(arguments)
        if head == "Union":
            return _union([self.read(item) for item in arguments if not _is_none(item)])
        return ANY

    def _named(self, text: str) -> Type:
        """A class by its dotted name: `_builtins.str`, `BucketArgs`, `outputs.X`, `_meta.v1.outputs.ObjectMeta`."""
        *path, name = text.split(".")
        if path in ([], ["_builtins"]) and name in _PLAIN:
            return _PLAIN[name]
        folder, modules = self._place(path)
        name = name.removesuffix("Dict") if name.endswith("ArgsDict") else name
        for module in modules:
            module = f"{folder}/{module}" if folder else module
            if self.package.block(module, name) is not None:
                return (
                    self._enum(module, name)
                    if module.endswith("_enums")
                    else Type(Shape.OBJECT, name=f"{module}:{name}")
                )
        return ANY

    def _place(self, path: list[str]) -> tuple[str, list[str]]:
        """The folder that a dotted path means, and the modules in it where the class may be."""
        match path:
            case []:
                return self.folder, [self.objects, "_enums"]
            case ["outputs"]:
                return self.folder, ["outputs"]
            case [root] if root in _ROOTS:
                return "", [_ROOTS[root]]
            case [first, *rest] if first.startswith("_"):
                # `from ... import meta as _meta`; the enumerations of `lambda_` are `_lambda_`.
                inner = [part for part in rest if part not in ("outputs", "_inputs", "_enums")]
                return "/".join([first[1:], *inner]), ["outputs"] if "outputs" in rest else ["_inputs", "_enums"]
        return self.folder, []

    def _enum(self, module: str, name: str) -> Type:
        definition = self.package.definition(module, name)
        body = definition.body if definition else []
        return _enumeration([item.value for item in body if isinstance(item, ast.Assign)])


def _enumeration(constants: list[ast.expr]) -> Type:
    found = [item.value for item in constants if isinstance(item, ast.Constant)]
    values = tuple(value for value in found if isinstance(value, (str, int, float)))
    return Type(Shape.ENUM, values=values) if values else ANY


def _union(choices: list[Type]) -> Type:
    """A union without duplicates: the SDK names an object twice, as a class and as a dictionary."""
    distinct = tuple(dict.fromkeys(choices))
    if ANY in distinct or not distinct:
        return ANY
    return distinct[0] if len(distinct) == 1 else Type(Shape.UNION, distinct)


def _elements(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
