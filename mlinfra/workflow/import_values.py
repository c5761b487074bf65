"""Values that are imported, held against the parameters that they are for, and stand-ins for those not known yet.

A stand-in is made of the parameter's own JSON Schema: its first example, else the least that its type takes. It lets a
blueprint be checked on a machine that cannot see the other stack's state; nothing is ever made from one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError, create_model

from mlinfra.authoring import Params
from mlinfra.diagnostics import Diagnostic, Location, Problems, Severity
from mlinfra.documented import Documented
from mlinfra.engine.redaction import Redactor
from mlinfra.functions import reveal
from mlinfra.graph import Path, Secret
from mlinfra.stack import Stack
from mlinfra.validation import diagnostics_of
from mlinfra.workflow.imports import Imported

_NOTHING: Final = object()


def fill(
    params: type[Params], stack: Stack, imported: Mapping[str, Imported], problems: Problems, *, stand_in: bool
) -> dict[str, Any]:
    """The imported parameters as plain JSON values, each checked by the type of its parameter.

    What is missing is an error, or with `stand_in` a warning and a value of the parameter's shape. A name that is no
    parameter is left to the check of all parameters together.
    """
    values: dict[str, Any] = {}
    for name, item in imported.items():
        known = name in params.model_fields
        if item.missing is None:
            values[name] = reveal(item.value)
            problems.extend(_wrong(params, name, item, stack.place("imports", name)) if known else ())
        elif known and stand_in:
            value = sample(params, name)
            problems.found += [_stood_in(item.missing, params, name, value)]
            values |= {} if value is _NOTHING else {name: value}
        else:
            problems.found += [item.missing]
    return values


def _stood_in(missing: Diagnostic, params: type[Params], name: str, value: Any) -> Diagnostic:
    """What is said of an import that is missing where it need not be there."""
    if value is not _NOTHING:
        what = f"with {json.dumps(value, ensure_ascii=False)} in its place"
    elif not params.model_fields[name].is_required():
        what = "with the parameter's default"
    else:
        remedy = f"{missing.remedy}\nOr give the parameter an example: {name}: … = Field(examples=[…])".strip()
        return replace(missing, detail=f"{missing.detail} Nothing could stand in for it.", remedy=remedy)
    detail = f"{missing.detail} The rest was checked {what}."
    return replace(missing, detail=detail, severity=Severity.WARNING)


def _wrong(params: type[Params], name: str, item: Imported, place: Location) -> Iterator[Diagnostic]:
    """What is wrong with a value for its parameter. No secret is told."""
    redactor = Redactor()
    redactor.learn(item.value)
    data = {name: reveal(item.value)}
    alone = _alone(params, name)
    try:
        read = alone.model_validate_json(json.dumps(data))
    except ValidationError as error:
        for told in diagnostics_of(error, data, alone, lambda _: place, item.source):
            detail = f"{told.detail}\nThe parameter wants another form than {item.source} has.".strip()
            yield replace(told, summary=redactor.text(told.summary), detail=detail, code="import-type")
        return
    for path in _secrets(item.value):
        if not _kept_secret(getattr(read, name), path):
            yield Diagnostic(
                f"{item.source} holds a secret, and the parameter {'.'.join(map(str, (name, *path)))} would show it",
                remedy="Declare it as `SecretStr` in the blueprint's parameters.",
                location=place,
                code="import-secret",
            )


def _alone(params: type[Params], name: str) -> type[Documented]:
    """A model of one parameter by itself."""
    field = params.model_fields[name]
    fields: dict[str, Any] = {name: (field.annotation, field)}
    return create_model(params.__name__, __base__=Documented, **fields)


def _secrets(value: Any, path: Path = ()) -> Iterator[Path]:
    match value:
        case Secret():
            yield path
        case Mapping():
            for key, item in value.items():
                yield from _secrets(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                yield from _secrets(item, (*path, index))


def _kept_secret(read: Any, path: Path) -> bool:
    """Whether what stands at a path of a validated value keeps itself from being shown."""
    for part in path:
        if isinstance(read, SecretStr | SecretBytes):
            return True
        if isinstance(read, BaseModel) and isinstance(part, str):
            read = getattr(read, part, None)
        else:
            try:
                read = read[part]
            except (KeyError, IndexError, TypeError):
                return False
    return isinstance(read, SecretStr | SecretBytes)


# ------------------------------------------------------------------------------------------------ stand-ins


def sample(params: type[Params], name: str) -> Any:
    """A value that a parameter takes, as JSON; `_NOTHING` where its type does not lead to one."""
    alone = _alone(params, name)
    schema = alone.model_json_schema()
    value = _from_schema(schema["properties"][name], schema.get("$defs", {}))
    try:
        alone.model_validate_json(json.dumps({name: value}))
    except (ValidationError, TypeError):
        return _NOTHING
    return value


def _from_schema(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """The first example, else the least that a JSON Schema takes; `_NOTHING`, which is no JSON, where none is found."""
    if "$ref" in schema:
        return _from_schema(definitions[str(schema["$ref"]).rpartition("/")[2]], definitions)
    choices = [*schema.get("examples", ()), *schema.get("enum", ())]
    if choices or "const" in schema:
        return choices[0] if choices else schema["const"]
    options = [item for key in ("anyOf", "oneOf") for item in schema.get(key, ()) if item.get("type") != "null"]
    if options:
        return _from_schema(options[0], definitions)
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {key: _from_schema(fields[key], definitions) for key in schema.get("required", ())}
    if schema.get("type") == "array":
        # Pydantic writes the least of a list behind a validator of ours (`Many`) as that of a text.
        least = schema.get("minItems", schema.get("minLength", 0))
        return [_from_schema(schema.get("items", {}), definitions)] * least
    return _least(schema)


def _least(schema: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "string" if "pattern" not in schema:
            return "x" * max(1, schema.get("minLength", 1))
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        case "boolean":
            return False
    return _NOTHING
