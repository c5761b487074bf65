"""Settings that SNS and SQS keep as attributes: a map of texts, whatever the setting is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.shapes import from_aws, to_aws


def to_attributes(fields: tuple[Field, ...], values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as attributes: every value a text."""
    return {name: _attribute(value) for name, value in to_aws(fields, values).items()}


def from_attributes(fields: tuple[Field, ...], attributes: Mapping[str, str]) -> dict[str, Any]:
    """Attributes as settings; an empty text is none."""
    found = from_aws(fields, attributes)
    kinds = {field.name: field.kind for field in fields}
    return {name: _value(kinds[name], text) if text else None for name, text in found.items()}


def _attribute(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(kind: Any, text: str) -> Any:
    if kind is bool:
        return text == "true"
    return int(text) if kind is int else text
