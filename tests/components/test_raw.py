from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from mlinfra.components.bucket import Bucket
from mlinfra.components.raw import Raw
from mlinfra.graph import Kind, Ref, Secret, from_json, to_json

QUEUE = "aws:sqs/queue:Queue"


def test_inputs_references_and_secrets(expanded: Any) -> None:
    def declare() -> Raw:
        bucket = Bucket("data")
        return Raw(
            "queue",
            type=QUEUE,
            inputs={
                "name": "q",
                "tags": {"bucket": bucket.arn},
                "password": SecretStr("hidden"),
                "list": ({"a": 1}, 2.5),
            },
        )

    result = expanded(declare)
    node = result.node("queue/resource")
    assert (node.type, node.kind, node.options.provider) == (QUEUE, Kind.RESOURCE, "@aws")
    assert node.inputs == {
        "name": "q",
        "tags": {"bucket": Ref("data/bucket", ("arn",))},
        "password": Secret("hidden"),
        "list": [{"a": 1}, 2.5],
    }
    assert "data/bucket" in result.graph.nodes, "a bucket whose output is used is part of the blueprint"
    assert "hidden" not in result.graph.dumps()


def test_one_raw_feeds_another(expanded: Any) -> None:
    def declare() -> Raw:
        queue = Raw("queue", type=QUEUE)
        return Raw("policy", type="aws:sqs/queuePolicy:QueuePolicy", inputs={"queueUrl": queue.output("url")})

    result = expanded(declare)
    assert result.inputs("policy/resource")["queueUrl"] == Ref("queue/resource", ("url",))
    assert "queue/resource" in result.graph.nodes


@pytest.mark.parametrize(
    ("token", "provider", "expected"),
    [
        (QUEUE, None, "@aws"),
        ("kubernetes:apps/v1:Deployment", None, "@kubernetes"),
        (QUEUE, {"region": "eu-west-3"}, "r/provider"),
        ("datadog:index/monitor:Monitor", {"apiKey": SecretStr("k")}, "r/provider"),
        ("random:index/randomPet:RandomPet", None, "r/provider"),
    ],
)
def test_providers(expanded: Any, token: str, provider: dict[str, Any] | None, expected: str) -> None:
    result = expanded(lambda: Raw("r", type=token, provider=provider))
    assert result.node("r/resource").options.provider == expected
    instance = result.node(expected)
    assert (instance.kind, instance.type) == (Kind.PROVIDER, f"pulumi:providers:{token.partition(':')[0]}")


@pytest.mark.parametrize(
    ("token", "target", "code"),
    [
        (QUEUE, "kubeconfig", "target-without-aws"),
        ("kubernetes:apps/v1:Deployment", "aws-only", "target-without-kubernetes"),
    ],
)
def test_what_the_target_has_not(expanded: Any, token: str, target: str, code: str) -> None:
    assert expanded(lambda: Raw("r", type=token), target).codes == [code]


def test_protection(expanded: Any) -> None:
    assert expanded(lambda: Raw("r", type=QUEUE, protect=True)).node("r/resource").options.protect
    assert expanded(lambda: Raw("r", type=QUEUE), protect=("r",)).node("r/resource").options.protect
    assert not expanded(lambda: Raw("r", type=QUEUE)).node("r/resource").options.protect


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"type": "aws.sqs.Queue"}, "type"),
        ({"type": "aws:sqs/queue"}, "type"),
        ({"type": QUEUE, "inputs": {"a": [{"b": {1, 2}}]}}, "a[0].b is a set"),
        ({"type": QUEUE, "inputs": {"a": {3: 4}}}, "a is a dict"),
        ({"type": QUEUE, "inputs": {"a": float("nan")}}, "a is a float"),
        ({"type": QUEUE, "inputs": {"a": Bucket("b")}}, "a is the component Bucket('b'); give one of its outputs"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: Raw("r", **fields)).diagnostics
    assert says in diagnostic.summary


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_any_json_comes_through_unchanged(inputs: dict[str, Any]) -> None:
    raw = Raw("r", type=QUEUE, inputs=inputs)
    assert raw.inputs == inputs
    assert from_json(to_json(raw.inputs)) == inputs
