"""The codes of diagnostics, read from the source of the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping


def codes(tree: ast.Module) -> Iterator[str]:
    """The codes that a module gives: as an argument `code`, by keyword or by place, or in a table of remedies."""
    constants = dict(assigned(tree))
    places = {
        node.name: [item.arg for item in node.args.args].index("code") - (node.args.args[0].arg in ("self", "cls"))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any(item.arg == "code" for item in node.args.args)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [item.value for item in node.keywords if item.arg == "code"]
            given += node.args[places[name] : places[name] + 1] if name in places else []
            for value in given:
                yield from texts(value, constants)
    for row in getattr(constants.get("REMEDIES"), "elts", ()):  # what an error of the engine is told by
        yield from texts(row.elts[1], constants)


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The names that a module gives values to at its top, and the values as source."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def texts(value: ast.expr | None, constants: Mapping[str, ast.expr]) -> Iterator[str]:
    """The texts that an expression may be: itself, a constant of the module, each side of a choice."""
    match value:
        case ast.Constant(value=str(text)) if re.fullmatch(r"[a-z][a-z0-9-]+", text):
            yield text
        case ast.Name(id=name) if name in constants:
            yield from texts(constants[name], {})
        case ast.IfExp(body=body, orelse=other):
            yield from texts(body, constants)
            yield from texts(other, constants)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from texts(part, constants)
