"""A create that was cut off: what it made is taken over, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from mlinfra.providers.aws import serve
from tests.providers.aws.conftest import Engine, World, urn

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("aws:s3/bucket:Bucket", {"bucket": "cut-off"}),
    ("aws:iam/role:Role", {"name": "cut-off", "assumeRolePolicy": '{"Version":"2012-10-17","Statement":[]}'}),
    ("aws:iam/policy:Policy", {"name": "cut-off", "policy": POLICY}),
    ("aws:ecr/repository:Repository", {"name": "cut-off"}),
    ("aws:sns/topic:Topic", {"name": "cut-off"}),
    ("aws:ssm/parameter:Parameter", {"name": "/cut-off", "type": "String", "value": "one"}),
    ("aws:secretsmanager/secret:Secret", {"name": "cut-off"}),
    ("aws:cloudwatch/logGroup:LogGroup", {"name": "cut-off"}),
    ("aws:cloudwatch/dashboard:Dashboard", {"dashboardName": "cut-off", "dashboardBody": '{"widgets":[]}'}),
]


@pytest.fixture
def unfinished() -> set[str]:
    return set()


@pytest.fixture
def adopter(unfinished: set[str], endpoint: str) -> Iterator[Engine]:
    """A provider that is told of unfinished creates, on an account of its own."""
    with serve(unfinished) as server:
        yield World(endpoint, server.address).engine


@pytest.mark.parametrize(("token", "inputs"), CASES, ids=[token.rpartition(":")[2] for token, _ in CASES])
def test_what_was_made_is_taken_over(adopter: Engine, unfinished: set[str], token: str, inputs: dict[str, Any]) -> None:
    inputs = adopter.checked(token, inputs)
    made, outputs = adopter.create(token, inputs)
    if "bucket" not in token:  # in us-east-1 the names that are taken are asked for once a run
        with pytest.raises(grpc.RpcError, match="belongs to somebody else"):
            adopter.create(token, inputs)
    unfinished.add(urn(token))
    again, adopted = adopter.create(token, inputs)
    assert again == made
    assert adopted == outputs
    tagged = {**inputs, "tags": {"after": "the crash"}}
    if "dashboard" not in token:
        assert adopter.create(token, adopter.checked(token, tagged))[1]["tags"] == {"after": "the crash"}


def test_what_is_not_there_is_made(adopter: Engine, unfinished: set[str]) -> None:
    token = "aws:s3/bucket:Bucket"
    unfinished.add(urn(token))
    made, _ = adopter.create(token, adopter.checked(token, {"bucket": "never-made"}))
    assert made == "never-made"


def test_what_could_not_have_been_ours_is_refused(adopter: Engine, unfinished: set[str]) -> None:
    token = "aws:iam/role:Role"
    trust = '{"Version":"2012-10-17","Statement":[]}'
    adopter.create(token, adopter.checked(token, {"name": "theirs", "path": "/a/", "assumeRolePolicy": trust}))
    unfinished.add(urn(token))
    with pytest.raises(grpc.RpcError, match="belongs to somebody else"):
        adopter.create(token, adopter.checked(token, {"name": "theirs", "path": "/b/", "assumeRolePolicy": trust}))
