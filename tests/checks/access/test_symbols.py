from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.access.symbols import ANY_ACCOUNT, MASTER_SECRET, Symbols, shown
from mlinfra.graph import Call, Document, Graph, Kind, Node, Options, Ref, Secret, join

AWS = Node("@aws", "pulumi:providers:aws", {"region": "eu-west-1"}, Kind.PROVIDER)


def graph(*nodes: Node) -> Graph:
    return Graph("sample", "1.0.0", "test", {node.name: node for node in (AWS, *nodes)})


def resource(name: str, token: str, /, **inputs: Any) -> Node:
    return Node(name, token, inputs, options=Options(provider="@aws"))


NODES = [
    resource("bucket", "aws:s3/bucket:Bucket", bucket="data-1"),
    resource("role", "aws:iam/role:Role", name="fit", path="/jobs/"),
    resource("policy", "aws:iam/policy:Policy", name="read"),
    resource("key", "aws:kms/key:Key", description="d"),
    resource("far", "aws:kms/key:Key", region="us-east-1"),
    resource("queue", "aws:sqs/queue:Queue", name="work"),
    resource("secret", "aws:secretsmanager/secret:Secret", name="hub"),
    resource("parameter", "aws:ssm/parameter:Parameter", name="/a/b"),
    resource("db", "aws:rds/instance:Instance", identifier="main"),
    resource("nameless", "aws:s3/bucket:Bucket"),
    Node("me", "aws:index/getCallerIdentity:getCallerIdentity", {}, Kind.LOOKUP),
]


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (Ref("bucket"), "data-1"),
        (Ref("bucket", ("bucket",)), "data-1"),
        (Ref("bucket", ("arn",)), "arn:aws:s3:::data-1"),
        (Ref("role", ("arn",)), "arn:aws:iam::111122223333:role/jobs/fit"),
        (Ref("role"), "fit"),
        (Ref("policy"), "arn:aws:iam::111122223333:policy/read"),
        (Ref("key", ("arn",)), "arn:aws:kms:eu-west-1:111122223333:key/⟨key.keyId⟩"),
        (Ref("key", ("keyId",)), "⟨key.keyId⟩"),
        (Ref("key"), "⟨key.keyId⟩"),
        (Ref("key", ("description",)), "d"),
        (Ref("far", ("arn",)), "arn:aws:kms:us-east-1:111122223333:key/⟨far.keyId⟩"),
        (Ref("queue", ("arn",)), "arn:aws:sqs:eu-west-1:111122223333:work"),
        (Ref("queue", ("url",)), "⟨queue.url⟩"),
        (Ref("parameter", ("arn",)), "arn:aws:ssm:eu-west-1:111122223333:parameter/a/b"),
        (Ref("nameless", ("arn",)), "arn:aws:s3:::⟨nameless.id⟩"),
        (Ref("me", ("accountId",)), "111122223333"),
        (Ref("nowhere", ("x", 0)), "⟨nowhere.x.0⟩"),
        (join("a-", Ref("bucket"), "/*"), "a-data-1/*"),
        (Document({"b": Ref("bucket")}), '{"b": "data-1"}'),
        (Call("base64_encode", (Ref("bucket"),)), "ZGF0YS0x"),
        (Call("base64_decode", (Ref("key"),)), "⟨?⟩"),
        (Secret("never shown"), ""),
    ],
)
def test_texts(ref: Any, text: str) -> None:
    assert Symbols(graph(*NODES), "111122223333").text(ref) == text


def test_what_nobody_knows_before_is_shown_as_such() -> None:
    symbols = Symbols(graph(*NODES))
    assert symbols.account == ANY_ACCOUNT
    assert len(ANY_ACCOUNT) == 12
    secret = symbols.arn(symbols.graph.nodes["secret"])
    assert shown(secret) == "arn:aws:secretsmanager:eu-west-1:<account>:secret:hub-??????"
    master = symbols.output(symbols.graph.nodes["db"], *MASTER_SECRET)
    assert ":secret:rds!db-⟨db⟩-" in master


@pytest.mark.parametrize(("region", "arn"), [("cn-north-1", "arn:aws-cn:"), ("us-gov-west-1", "arn:aws-us-gov:")])
def test_partitions(region: str, arn: str) -> None:
    nodes = {"@aws": Node("@aws", AWS.type, {"region": region}, Kind.PROVIDER), "bucket": NODES[0]}
    symbols = Symbols(Graph("sample", "1.0.0", "test", nodes))
    assert symbols.arn(nodes["bucket"]).startswith(arn)
