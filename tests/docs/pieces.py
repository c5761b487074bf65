"""The pieces of Python in a document, put into the blueprint that the document begins with.

A piece takes the place of the statements that give a value to the same names; what has no such place goes before the
statement that it stands with. An annotated name is a parameter. What a piece uses is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

import mlinfra


def names(statement: ast.stmt) -> set[str]:
    """What a statement gives a value to; `return` for what a function ends with."""
    if isinstance(statement, ast.Return):
        return {"return"}
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def put_in(blueprint: str, piece: str) -> str:
    """The source of the blueprint with the piece in it; `ValueError` where the piece has no place there."""
    tree = ast.parse(blueprint)
    [params] = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    statements = ast.parse(piece).body
    asked = [item for item in statements if isinstance(item, ast.AnnAssign)]
    params.body.extend(asked)
    made = [item for item in statements if item not in asked]
    if made:
        function.body = spliced(function.body, made)
    tree.body = [item for item in tree.body if not isinstance(item, ast.ImportFrom)]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & set(mlinfra.__all__)
    return f"from mlinfra import {', '.join(sorted(used))}\n\n{ast.unparse(ast.fix_missing_locations(tree))}\n"


def spliced(body: Sequence[ast.stmt], made: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements of a function with those of a piece."""
    given = set().union(*map(names, made))
    kept = [item for item in body if not names(item) & given]
    replaced = [place for place, item in enumerate(body) if names(item) & given]
    if not replaced:
        raise ValueError("it gives no value to any name of the blueprint")
    # In the place of the last one, so that all that it is made from is there; what needs it comes after it.
    place = sum(1 for item in body[: replaced[-1]] if item in kept)
    return [*kept[:place], *made, *kept[place:]]
