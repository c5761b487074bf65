"""Models whose fields are described by the docstring below each, read from the source when somebody asks.

Pydantic can do so itself, when a class is made (`use_attribute_docstrings`): it parses the source of every model in
every run, about 0.2 s of each command, for texts that schemas and error messages alone need.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Documented(BaseModel):
    """Base of what people write: no unknown field, no type guessed, frozen; its docstrings are in its JSON Schema."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """As pydantic writes it, and each field with its description, which comes before that of the field's type."""
        written = handler(schema)
        fields = handler.resolve_ref_schema(written).get("properties", {})
        for name, text in descriptions(cls).items():
            if name in fields:
                fields[name]["description"] = text
        return written


@cache
def descriptions(model: type[BaseModel]) -> Mapping[str, str]:
    """What each field of a model is for, by its name: the text given to `Field`, else the docstring below the field.

    A field of a class whose source is not at hand, such as one made in an interpreter, has no docstring.
    """
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel):
            found |= _docstrings(base)
    given = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: text for name, text in (found | given).items() if name in model.model_fields}


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    try:
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    if not isinstance(definition, ast.ClassDef):
        return {}
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
