"""Every type holds against pulumi_aws: tokens, inputs at any depth, outputs, secrets, lookups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlinfra.checks.schema.catalog import Catalog, Sdk
from mlinfra.checks.schema.model import Properties, Shape, Type
from mlinfra.graph import Kind
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.lookups import LOOKUPS
from mlinfra.providers.aws.registry import RESOURCES, TYPES

SHAPES = {str: Shape.STRING, bool: Shape.BOOLEAN, int: Shape.INTEGER, float: Shape.NUMBER, dict: Shape.MAP}
STRICTER = {
    "aws:kms/alias:Alias": {"name"},  # the official one makes a name up, which nobody could find the key by
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {"rules"},  # AWS takes none without a rule
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"comparisonOperator", "evaluationPeriods"},  # PutMetricAlarm wants both
}


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Sdk:
    folder: Path = tmp_path_factory.mktemp("schema")
    found = Catalog(folder).sdk("aws:s3/bucket:Bucket")
    assert found is not None
    return found


def differences(sdk: Sdk, fields: tuple[Field, ...], official: Properties, path: str = "") -> Iterator[str]:
    for field in fields:
        place = f"{path}{field.name}"
        if field.name not in official:
            yield f"{place} is no official input"
            continue
        kind, wanted = official[field.name].type, field.kind
        if field.required != official[field.name].required:
            yield f"{place} required"
        if field.many:
            if kind.shape is not Shape.LIST:
                yield f"{place} is no list"
                continue
            kind = kind.of[0]
        if isinstance(wanted, tuple):
            yield from differences(sdk, wanted, sdk.properties(kind), f"{place}.")
        elif SHAPES[wanted] not in shapes(kind):
            yield f"{place} is {kind}"


def shapes(kind: Type) -> set[Shape]:
    if kind.shape is Shape.UNION:
        return {shape for choice in kind.of for shape in shapes(choice)}
    return {Shape.STRING} if kind.shape is Shape.ENUM else {kind.shape}


@pytest.mark.parametrize("token", sorted(TYPES))
def test_type(sdk: Sdk, token: str) -> None:
    kind, schema = RESOURCES[token], sdk.find(Kind.RESOURCE, token)
    assert schema is not None
    found = set(differences(sdk, kind.fields, schema.inputs))
    assert found == {f"{name} required" for name in STRICTER.get(token, ())}
    assert {name.partition(".")[0] for name in kind.outputs} <= set(schema.outputs)
    assert set(kind.volatile) <= set(kind.outputs)
    given = {field.name for field in kind.fields}
    assert kind.secrets == {name for name, item in schema.inputs.items() if item.secret} & given
    assert set(kind.names) <= given
    assert all(field.replaces for field in kind.fields if field.name in kind.names)


@pytest.mark.parametrize("token", sorted(TYPES))
def test_what_forces_a_replacement_has_a_source(token: str) -> None:
    for field in RESOURCES[token].fields:
        assert not field.replaces or field.replaces.startswith("https://docs.aws.amazon.com/")


@pytest.mark.parametrize("token", sorted(LOOKUPS))
def test_lookup(sdk: Sdk, token: str) -> None:
    schema = sdk.find(Kind.LOOKUP, token)
    assert schema is not None
    assert {field.name for field in LOOKUPS[token][1]} <= set(schema.inputs)
