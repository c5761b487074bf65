from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.instances import instance
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import PRIORITIES, TrainingCluster
from mlinfra.components.values import Quota
from mlinfra.graph import Ref
from mlinfra.tiers import Tier

BOUNDS = {"namespace", "limits", "quota-system", "closed"}
KUBERNETES = {*BOUNDS, "service-account", *(f"priority-{name}" for name in PRIORITIES)}
ON_AWS = {"repository", "repository-lifecycle", "role", "policy", "account", "egress"}


def cluster(**fields: Any) -> TrainingCluster:
    return TrainingCluster(
        "train",
        pools=[
            NodePool("cpu", instance_type="m6i.xlarge", max=8),
            NodePool("gpu", instance_type="g5.12xlarge", max=2),
        ],
        **fields,
    )


@pytest.mark.parametrize(
    ("target", "nodes"),
    [
        ("local", KUBERNETES | ON_AWS),
        ("eks", (KUBERNETES | ON_AWS | {"identity"}) - {"account"}),
        ("kubeconfig", KUBERNETES),
    ],
)
def test_what_a_cluster_comes_to(expanded: Any, target: str, nodes: set[str]) -> None:
    assert expanded(lambda: TrainingCluster("train"), target).names_of("train") == nodes


def test_the_quota_is_what_the_pools_offer(expanded: Any) -> None:
    cpu, gpu = instance("m6i.xlarge"), instance("g5.12xlarge")
    hard = expanded(cluster).inputs("train/quota")["spec"]["hard"]
    assert hard["requests.cpu"] == f"{round((8 * cpu.cpu + 2 * gpu.cpu) * 1000)}m"
    assert hard["requests.memory"] == f"{round((8 * cpu.memory + 2 * gpu.memory) * 1024)}Mi"
    assert hard["requests.nvidia.com/gpu"] == "8"
    assert hard["pods"] == str(8 * 58 + 2 * 737)


def test_a_given_quota_wins_and_needs_no_pools(expanded: Any) -> None:
    hard = expanded(lambda: cluster(quota=Quota(gpus=2, cpu=10.5))).inputs("train/quota")["spec"]["hard"]
    assert (hard["requests.nvidia.com/gpu"], hard["requests.cpu"]) == ("2", "10500m")
    assert "requests.memory" in hard
    alone = expanded(lambda: TrainingCluster("train", quota=Quota(pods=5)))
    assert alone.inputs("train/quota")["spec"]["hard"] == {"pods": "5"}


def test_pod_security(expanded: Any) -> None:
    labels = expanded(lambda: cluster(pod_security="restricted")).inputs("train/namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"


def test_priorities_are_ordered_and_their_names_tell_stacks_apart(expanded: Any) -> None:
    first, second = expanded(cluster), expanded(cluster, environment="other")
    values = []
    for name in PRIORITIES:
        values.append(first.inputs(f"train/priority-{name}")["value"])
        mine, other = (result.inputs(f"train/priority-{name}")["metadata"]["name"] for result in (first, second))
        assert mine != other
        assert mine.startswith("sample-test-train-")
    assert values == sorted(values)
    assert max(values) <= 1_000_000_000
    assert first.inputs("train/priority-training-low")["preemptionPolicy"] == "Never"


@pytest.mark.parametrize(
    ("tier", "empties", "protected", "count"), [(Tier.DEV, True, False, 10), (Tier.PROD, False, True, 100)]
)
def test_the_repository(expanded: Any, tier: Tier, empties: bool, protected: bool, count: int) -> None:
    result = expanded(cluster, tier=tier)
    repository = result.inputs("train/repository")
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["forceDelete"] is empties
    assert result.node("train/repository").options.protect is protected
    rules = result.inputs("train/repository-lifecycle")["policy"].value["rules"]
    assert [rule["rulePriority"] for rule in rules] == [1, 2]
    assert rules[-1]["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count}


def test_the_role_reaches_exactly_that_repository(expanded: Any) -> None:
    statements = expanded(cluster).inputs("train/policy")["policy"].value["Statement"]
    assert [item["Resource"] for item in statements] == [["*"], [Ref("train/repository", ("arn",))]]
    assert statements[0]["Action"] == ["ecr:GetAuthorizationToken"]


def test_people_and_the_network_of_its_own_namespace(expanded: Any) -> None:
    result = expanded(lambda: cluster(admins=["platform"], network="open"))
    assert {"people-admin", "people-admin-binding"} <= result.names_of("train")
    assert not {"closed", "egress", "people-viewer"} & result.names_of("train")


def test_without_kubernetes(expanded: Any) -> None:
    result = expanded(cluster, "aws-only")
    assert result.codes == ["target-without-kubernetes"]
    assert result.names_of("train") == set()


def test_a_repository_has_single_hyphens_and_a_name_of_its_own(expanded: Any) -> None:
    def name(component: str) -> str:
        found: str = expanded(lambda: TrainingCluster(component)).inputs(f"{component}/repository")["name"]
        return found

    assert name("a-b") == "sample-test-a-b"
    assert name("a--b").startswith("sample-test-a-b-")
    assert "--" not in name("a--b")
    assert len({name("a-b"), name("a--b"), name("a---b")}) == 3
