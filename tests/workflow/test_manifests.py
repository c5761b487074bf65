"""A graph's Kubernetes objects: what is known is filled in, what is not is marked, secrets are left out."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.graph import Call, Document, Graph, Kind, Node, Options, Ref, Secret, Value, join
from mlinfra.wire.values import SECRET, SIGNATURE
from mlinfra.workflow.manifests import LeftOut, Manifest, Manifests

CLOSED = {SIGNATURE: SECRET, "ciphertext": "AAAA"}


def config(name: str, *, data: Value = None, **options: Any) -> Node:
    return Node(
        f"{name}/config",
        "kubernetes:core/v1:ConfigMap",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": Ref("team/namespace", ("metadata", "name"))},
            "data": {"a": data},
        },
        component=name,
        options=Options(provider="@kubernetes", **options),
    )


NAMESPACE = Node(
    "team/namespace",
    "kubernetes:core/v1:Namespace",
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml-team"}},
    component="team",
    options=Options(provider="@kubernetes"),
)
KUBERNETES_SECRET = Node(
    "word/secret",
    "kubernetes:core/v1:Secret",
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "word", "namespace": "ml-team"},
        "stringData": {"password": Secret("hunter2")},
    },
    component="word",
)
OTHERS = (
    NAMESPACE,
    KUBERNETES_SECRET,
    Node("team", "mlinfra:component:Team", kind=Kind.COMPONENT),
    Node("word", "mlinfra:component:ManagedSecret", kind=Kind.COMPONENT),
    Node("api", "mlinfra:component:Endpoint", kind=Kind.COMPONENT),
    Node("@kubernetes", "pulumi:providers:kubernetes", kind=Kind.PROVIDER),
    Node("@aws", "pulumi:providers:aws", {"region": "eu-west-1"}, Kind.PROVIDER),
    Node("data/bucket", "aws:s3/bucket:Bucket", {"bucket": "my-data"}, options=Options(provider="@aws")),
    Node("data/key", "aws:kms/key:Key", {}, options=Options(provider="@aws")),
    Node("data/role", "aws:iam/role:Role", {"name": "r"}, options=Options(provider="@aws")),
    Node("word/value", "pulumi:index:Stash", {"input": {}}),
    Node(
        "db/instance",
        "aws:rds/instance:Instance",
        {"identifier": "db"},
        options=Options(provider="@aws", secret_outputs=("password",)),
    ),
)


def graph(*nodes: Node) -> Graph:
    return Graph("b", "1.0.0", "dev", {node.name: node for node in (*nodes, *OTHERS)})


def made(data: Value, account: str = "", **outputs: Any) -> Manifest | LeftOut:
    known = {name.replace("__", "/"): value for name, value in outputs.items()}
    found = list(Manifests(graph(config("api", data=data)), account, known).objects())
    return next(item for item in found if item.node == "api/config")


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("plain", "plain"),
        (Ref("data/bucket"), "my-data"),
        (Ref("data/bucket", ("arn",)), "arn:aws:s3:::my-data"),
        (join("s3://", Ref("data/bucket", ("bucket",)), "/models"), "s3://my-data/models"),
        (Ref("team/namespace", ("metadata", "name")), "ml-team"),
        (Document({"b": Ref("data/bucket")}), '{"b": "my-data"}'),
        (Call("without_scheme", (join("https://", Ref("data/bucket")),)), "my-data"),
        ([{"x": Ref("data/bucket")}], [{"x": "my-data"}]),
    ],
)
def test_what_the_graph_says_is_filled_in(data: Value, shown: Any) -> None:
    found = made(data)
    assert isinstance(found, Manifest)
    assert found.body["data"]["a"] == shown
    assert found.body["metadata"] == {"name": "api", "namespace": "ml-team"}
    assert (found.component, found.cluster, found.title) == ("api", "@kubernetes", "ConfigMap ml-team/api")
    assert found.awaited == ()


ADDRESS = Ref("db/instance", ("address",))
LATER = "KNOWN_AFTER_UP(db/instance.address)"


@pytest.mark.parametrize(
    ("data", "shown", "awaited"),
    [
        (ADDRESS, LATER, ["db/instance.address"]),
        (join("postgres://", ADDRESS, ":5432"), f"postgres://{LATER}:5432", ["db/instance.address"]),
        (Document({"host": ADDRESS}), f'{{"host": "{LATER}"}}', ["db/instance.address"]),
        (
            Call("rds_user_arn", (Ref("db/instance", ("arn",)), ADDRESS, "reader")),
            "KNOWN_AFTER_UP(db/instance.arn, db/instance.address)",
            ["db/instance.arn", "db/instance.address"],
        ),
        (Ref("data/key", ("keyId",)), "KNOWN_AFTER_UP(data/key.keyId)", ["data/key.keyId"]),
        # An account that nobody has named is no part of an ARN.
        (Ref("data/role", ("arn",)), "KNOWN_AFTER_UP(data/role.arn)", ["data/role.arn"]),
        (Ref("team/namespace", ("metadata", "uid")), "KNOWN_AFTER_UP(team/namespace.metadata.uid)", None),
    ],
)
def test_what_only_an_update_makes_known_is_marked(data: Value, shown: str, awaited: list[str] | None) -> None:
    found = made(data)
    assert isinstance(found, Manifest)
    assert found.body["data"]["a"] == shown
    assert list(found.awaited) == (awaited or ["team/namespace.metadata.uid"])


def test_an_account_that_is_known_makes_arns_known() -> None:
    found = made(Ref("data/role", ("arn",)), account="111122223333")
    assert isinstance(found, Manifest)
    assert found.body["data"]["a"] == "arn:aws:iam::111122223333:role/r"


def test_the_state_knows_what_an_update_has_made() -> None:
    found = made(join("postgres://", ADDRESS), db__instance={"address": "db.example.com", "id": "db"})
    assert isinstance(found, Manifest)
    assert (found.body["data"]["a"], found.awaited) == ("postgres://db.example.com", ())
    missing = made(ADDRESS, db__instance={"id": "db", "address": None})
    assert isinstance(missing, Manifest)
    assert missing.body["data"]["a"] == LATER


@pytest.mark.parametrize(
    ("data", "outputs"),
    [
        (Secret("hunter2"), {}),
        (join("postgres://u:", Secret("hunter2"), "@h"), {}),
        (Document({"password": Secret("hunter2")}), {}),
        (Ref("word/value", ("output", "value")), {}),
        (Ref("word/secret", ("stringData", "password")), {}),
        (Ref("db/instance", ("password",)), {}),
        (Call("base64_encode", (Ref("word/value", ("output", "value")),)), {}),
        (Ref("db/instance", ("token",)), {"db__instance": {"token": CLOSED}}),
        (Ref("db/instance", ("deep", "token")), {"db__instance": {"deep": CLOSED}}),
        (Ref("db/instance", ("deep",)), {"db__instance": {"deep": {"token": [CLOSED]}}}),
    ],
)
def test_what_has_a_secret_in_it_is_left_out_and_named(data: Value, outputs: dict[str, Any]) -> None:
    found = made(data, **outputs)
    assert isinstance(found, LeftOut)
    assert (found.title, found.component) == ("ConfigMap ml-team/api", "api")
    assert "secret" in found.why
    assert "hunter2" not in repr(found)


def test_secrets_are_left_out_and_named_whatever_is_in_them() -> None:
    found = {item.node: item for item in Manifests(graph()).objects()}
    assert isinstance(found["word/secret"], LeftOut)
    assert found["word/secret"].title == "Secret ml-team/word"
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("kubernetes:helm.sh/v3:Release", {"chart": "x"}),
        (
            "kubernetes:core/v1:ConfigMapPatch",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}},
        ),
        ("kubernetes:core/v1:ConfigMap", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
    ],
)
def test_what_is_no_object_is_left_out_and_named(token: str, inputs: dict[str, Any]) -> None:
    odd = Node("api/odd", token, inputs, component="api")
    found = {item.node: item for item in Manifests(graph(odd)).objects()}["api/odd"]
    assert isinstance(found, LeftOut)
    assert found.title == token


def test_each_object_comes_after_those_that_it_refers_to() -> None:
    names = [item.node for item in Manifests(graph(config("api"))).objects()]
    assert names.index("team/namespace") < names.index("api/config")
    assert "data/bucket" not in names
