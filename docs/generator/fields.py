"""The fields of models as tables, from their JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from docs.generator.markdown import table
from mlinfra.components import (
    alert_values,
    bucket_options,
    drift_values,
    eks_values,
    endpoint_model,
    endpoint_signals,
    endpoint_values,
    grafana_values,
    job_values,
    model_store,
    network_policies,
    network_values,
    rollout_values,
    secret_sources,
    slo,
    training_vm_values,
    values,
)
from mlinfra.components.registry import KINDS

STRUCTURES = (
    values.Autoscale,
    values.ScaleMetric,
    values.Route,
    values.TeamRoute,
    values.Taint,
    values.Quota,
    model_store.StoredModel,
    *endpoint_values.STRUCTURES,
    endpoint_model.BucketModel,
    endpoint_model.RegisteredModel,
    *rollout_values.STRUCTURES,
    *bucket_options.STRUCTURES,
    *eks_values.STRUCTURES,
    *grafana_values.STRUCTURES,
    *secret_sources.STRUCTURES,
    *job_values.STRUCTURES,
    *alert_values.STRUCTURES,
    endpoint_signals.Thresholds,
    slo.Slo,
    slo.LatencyGoal,
    drift_values.Fairness,
    drift_values.Retrain,
    network_policies.Egress,
    network_values.ExistingNetwork,
    network_values.FlowLogs,
    training_vm_values.Volume,
)
TEXTS = (values.Image, values.Model, values.Receiver)
KIND_NAMES = {kind.__name__ for kind in KINDS}
FORMS = {f"Must be {text.FORM}.": text.__name__ for text in TEXTS}
LINKED = KIND_NAMES | {kind.__name__ for kind in STRUCTURES} | set(FORMS.values())
WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "null",
}

Schema: TypeAlias = Mapping[str, Any]


def kind_of(schema: Schema) -> str:
    """A field's type in words, from its JSON Schema."""
    if "$ref" in schema:
        return linked(str(schema["$ref"]).rpartition("/")[2])
    if "anyOf" in schema or "oneOf" in schema:
        found = [kind_of(item) for item in schema.get("anyOf") or schema["oneOf"] if item.get("type") != "null"]
        return alternatives(list(dict.fromkeys(found)))
    if "enum" in schema:
        return alternatives([f"`{item}`" for item in schema["enum"]])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("description") in FORMS:
        return linked(FORMS[schema["description"]])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema['items'])}"
    if schema.get("type") == "object":
        return object_kind(schema)
    return plain_kind(schema)


def alternatives(items: list[str]) -> str:
    """`a`, `b` or `c`."""
    return " or ".join([*([", ".join(items[:-1])] if items[1:] else []), items[-1]])


def object_kind(schema: Schema) -> str:
    """A component or a value by its name, a mapping by what it holds."""
    if "properties" in schema:
        return linked(str(schema["title"]))
    inner = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
    return f"mapping of {kind_of(inner)}" if isinstance(inner, Mapping) else "mapping"


def plain_kind(schema: Schema) -> str:
    """A text or a number, with its bounds."""
    word = WORDS.get(schema.get("type", ""), "any value")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:g}"
    if "exclusiveMinimum" in schema:
        return f"{word} above {schema['exclusiveMinimum']:g}" + (f", at most {high:g}" if high is not None else "")
    return f"{word}, at least {low:g}" if low is not None else word


def linked(name: str) -> str:
    """A name, as a link where a section of the page of components describes it."""
    if name in ("DataStore", "Watched"):
        return {"DataStore": "[Bucket](#bucket)", "Watched": "[Endpoint](#endpoint) or [TrainingJob](#trainingjob)"}[
            name
        ]
    return f"[{name}](#{name.lower()})" if name in LINKED else f"`{name}`"


def default_of(schema: Schema, required: bool) -> str:
    """A field's default as it would be written."""
    if required:
        return "required"
    value = schema.get("default")
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, Mapping):
        given = {key: item for key, item in value.items() if item is not None}
        return f"`{{{', '.join(f'{key}: {item}' for key, item in given.items())}}}`" if given else "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def fields(schema: Schema, without: tuple[str, ...] = ()) -> str:
    """The fields of an object as a table."""
    if "properties" not in schema:  # a kind that has a field of its own kind
        schema = schema["$defs"][str(schema["$ref"]).rpartition("/")[2]]
    required = schema.get("required", [])
    rows = [
        (f"`{name}`", kind_of(item), default_of(item, name in required), meaning(item))
        for name, item in schema["properties"].items()
        if name not in without
    ]
    return table(("field", "type", "default", "meaning"), rows)


def meaning(schema: Schema) -> str:
    """What a field is for, as its docstring says it."""
    return " ".join(str(schema.get("description", "")).split())
