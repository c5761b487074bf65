"""Inputs to AWS parameters and back, by the fields' names: pulumi_aws says `noncurrentDays`, S3 `NoncurrentDays`."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mlinfra.providers.aws.fields import Field

Style: TypeAlias = Callable[[str], str]


def capital(name: str) -> str:
    """The style of most services: `bucketKeyEnabled` is `BucketKeyEnabled`."""
    return name[:1].upper() + name[1:]


def same(name: str) -> str:
    """The style of ECR and CloudWatch Logs, whose names begin with a small letter."""
    return name


def to_aws(fields: tuple[Field, ...], values: Mapping[str, Any], style: Style = capital) -> dict[str, Any]:
    """What is given in `values`, in AWS's names; without the fields that stand apart."""
    return {
        field.aws or style(field.name): _out(field, values[field.name], style)
        for field in fields
        if not field.apart and values.get(field.name) is not None
    }


def from_aws(fields: tuple[Field, ...], record: Mapping[str, Any], style: Style = capital) -> dict[str, Any]:
    """The fields of an AWS `record` in pulumi_aws's names; None for each that AWS does not have.

    Without the fields that stand apart, since the record does not hold them.
    """
    return {
        field.name: _in(field, record.get(field.aws or style(field.name)), style) for field in fields if not field.apart
    }


def given(record: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `record` that are not None."""
    return {name: value for name, value in record.items() if value is not None}


def moment(value: datetime.datetime) -> str:
    """A time, which is in UTC, as pulumi_aws gives it: RFC 3339."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _out(field: Field, value: Any, style: Style) -> Any:
    if field.pairs:
        key, content = field.pairs
        return [{key: name, content: item} for name, item in sorted(value.items())]
    kind = field.kind
    if isinstance(kind, tuple):
        return [to_aws(kind, item, style) for item in value] if field.many else to_aws(kind, value, style)
    return value


def _in(field: Field, value: Any, style: Style) -> Any:
    if value is None:
        return None
    if field.pairs:
        key, content = field.pairs
        return {item[key]: item[content] for item in value}
    kind = field.kind
    if isinstance(kind, tuple):
        return (
            [given(from_aws(kind, item, style)) for item in value]
            if field.many
            else given(from_aws(kind, value, style))
        )
    if isinstance(value, datetime.datetime):
        return moment(value)
    return list(value) if field.many else value
