"""What holds data: the table, and the types that depend on what is in them."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.schema.source import find_package
from mlinfra.holding import CLAIM, HELD, NAMESPACE, STATEFUL_SET, in_namespace, lost_with


def test_every_type_of_the_table_is_one_that_there_is() -> None:
    known: set[str] = set()
    for name in {token.partition(":")[0] for token in HELD}:
        package = find_package(name)
        assert package is not None
        known |= set(package.resources)
    assert set(HELD) - known == set()


@pytest.mark.parametrize("token", ["aws:s3/bucket:Bucket", "aws:rds/instance:Instance", "aws:kms/key:Key", CLAIM])
def test_what_holds_data_says_what_is_lost(token: str) -> None:
    assert lost_with(token, {})


@pytest.mark.parametrize(
    "token",
    ["aws:sqs/queue:Queue", "aws:s3/bucketPolicy:BucketPolicy", "kubernetes:core/v1:Secret", NAMESPACE, "random:x:Y"],
)
def test_what_can_be_made_again_loses_nothing(token: str) -> None:
    assert not lost_with(token, {})


@pytest.mark.parametrize(
    ("spec", "holds"),
    [({"volumeClaimTemplates": [{}]}, True), ({"volumeClaimTemplates": []}, False), ({}, False), ("[secret]", False)],
)
def test_a_stateful_set_holds_data_where_it_makes_claims(spec: Any, holds: bool) -> None:
    assert bool(lost_with(STATEFUL_SET, {"spec": spec})) == holds


@pytest.mark.parametrize(
    ("inputs", "namespace"),
    [
        ({"metadata": {"namespace": "ml"}}, "ml"),
        ({"metadata": {}}, ""),
        ({"metadata": {"namespace": {"$ref": ["space"]}}}, ""),
        ({}, ""),
    ],
)
def test_the_namespace_of_a_resource(inputs: Any, namespace: str) -> None:
    assert in_namespace(inputs) == namespace
