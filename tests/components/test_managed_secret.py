from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.secret_sources import FromEnvironment
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.graph import Ref
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4


def test_what_a_secret_comes_to(expanded: Any) -> None:
    result = expanded(lambda: ManagedSecret("hub-token", value_from=FromEnvironment("HUB"), description="for the hub"))
    assert result.names_of("hub-token") == {"value", "secret", "version"}
    secret = result.inputs("hub-token/secret")
    assert secret["name"] == "sample-test-hub-token"
    assert secret["description"] == "for the hub"
    assert secret["tags"]["mlinfra:component"] == "hub-token"
    assert "kmsKeyId" not in secret
    assert result.inputs("hub-token/version") == {
        "secretId": Ref("hub-token/secret"),
        "secretString": Ref("hub-token/value", ("output", "value")),
    }
    stash = result.node("hub-token/value")
    assert (stash.type, stash.options.provider) == ("pulumi:index:Stash", None)
    assert stash.options.replace_on_changes == ("input",)
    assert "value" not in stash.inputs["input"]


def test_in_clusters(expanded: Any) -> None:
    def declare() -> Any:
        one, two = TrainingCluster("one"), TrainingCluster("two")
        return ManagedSecret("token", in_cluster=[one, two])

    result = expanded(declare)
    assert result.names_of("token") == {"value", "secret", "version", "in-one", "in-two"}
    kept = result.inputs("token/in-two")
    assert kept["metadata"]["namespace"] == Ref("two/namespace", ("metadata", "name"))
    assert kept["metadata"]["labels"]["mlinfra.dev/owner"] == "recsys"
    assert kept["stringData"] == {"value": Ref("token/value", ("output", "value"))}
    assert expanded(declare, "kubeconfig").names_of("token") == {"value", "in-one", "in-two"}


def env_of(result: Any, container: Any) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def statements(result: Any, component: str) -> list[Any]:
    return result.inputs(f"{component}/policy")["policy"].value["Statement"]


@pytest.mark.parametrize("target", ["local", "eks", "kubeconfig"])
def test_a_reader_gets_exactly_this_secret(expanded: Any, target: str) -> None:
    def declare() -> Any:
        cluster = TrainingCluster("team")
        inside = ManagedSecret("inside", in_cluster=[cluster], key=Key("keys") if target != "kubeconfig" else None)
        outside = ManagedSecret("outside", in_cluster=[TrainingCluster("other")], variable="ELSEWHERE")
        return Endpoint("api", cluster=cluster, image=IMAGE, reads=[inside, outside])

    result = expanded(declare, target)
    assert result.diagnostics == ()
    (container,) = result.inputs("api/deployment")["spec"]["template"]["spec"]["containers"]
    found = env_of(result, container)
    name = Ref("inside/in-team", ("metadata", "name"))
    assert found["INSIDE"] == {"secretKeyRef": {"name": name, "key": "value"}}
    assert "ELSEWHERE" not in found, "a Kubernetes Secret of another namespace cannot be read"
    if target == "kubeconfig":
        assert {"INSIDE_ARN", "ELSEWHERE_ARN"}.isdisjoint(found)
        return
    assert found["INSIDE_ARN"] == Ref("inside/secret", ("arn",))
    assert found["ELSEWHERE_ARN"] == Ref("outside/secret", ("arn",))
    assert [(item["Action"], item["Resource"]) for item in statements(result, "api")] == [
        (["secretsmanager:GetSecretValue"], [Ref("inside/secret", ("arn",))]),
        (["kms:Decrypt"], [Ref("keys/key", ("arn",))]),
        (["secretsmanager:GetSecretValue"], [Ref("outside/secret", ("arn",))]),
    ]


def test_a_job_that_puts_another_value(expanded: Any) -> None:
    def declare() -> Any:
        cluster = TrainingCluster("team", pools=[])
        from mlinfra.components.node_pool import NodePool

        pool = NodePool("cpu", instance_type="m6i.xlarge")
        cluster = TrainingCluster("team", pools=[pool])
        token = ManagedSecret("token", key=Key("keys"))
        return TrainingJob("rotate", cluster=cluster, pool=pool, writes=[token])

    result = expanded(declare)
    assert [item["Action"] for item in statements(result, "rotate")] == [
        ["secretsmanager:PutSecretValue"],
        ["kms:Decrypt", "kms:GenerateDataKey"],
    ]


@pytest.mark.parametrize(
    ("tier", "given_days", "days", "protected"),
    [(Tier.DEV, None, 0, False), (Tier.STAGING, None, 7, False), (Tier.PROD, None, 30, True), (Tier.PROD, 0, 0, True)],
)
def test_tiers(expanded: Any, tier: Tier, given_days: int | None, days: int, protected: bool) -> None:
    result = expanded(lambda: ManagedSecret("token", recovery_days=given_days), tier=tier)
    assert result.inputs("token/secret")["recoveryWindowInDays"] == days
    assert result.node("token/secret").options.protect is protected


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"recovery_days": 3}, "Secrets Manager takes 7 to 30, or 0 for none"),
        ({"recovery_days": 31}, "less than or equal to 30"),
        ({"generation": 0}, "greater than or equal to 1"),
        ({"value_from": "hunter2"}, "value_from"),
        ({"value": "hunter2"}, "there is no field 'value'"),
        ({"variable": "A-B"}, "variable"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    diagnostics = expanded(lambda: ManagedSecret("token", **fields)).diagnostics
    assert any(says in item.summary for item in diagnostics)
    assert not any("hunter2" in item.summary + item.detail for item in diagnostics)


def test_a_secret_needs_a_place(expanded: Any) -> None:
    result = expanded(lambda: ManagedSecret("token"), "kubeconfig")
    assert result.codes == ["secret-without-place"]
    assert result.names_of("token") == set()


def test_a_cluster_is_named_once(expanded: Any) -> None:
    def declare() -> Any:
        cluster = TrainingCluster("team")
        return ManagedSecret("token", in_cluster=[cluster, cluster])

    assert expanded(declare).codes == ["secret-cluster-twice"]
