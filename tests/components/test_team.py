from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.image_repository import ImageRepository
from mlinfra.components.node_pool import NodePool
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Quota
from mlinfra.graph import Ref

IMAGE = "registry.example.com/image@sha256:" + "ab" * 32
BOUNDS = {"namespace", "quota", "quota-system", "limits", "closed"}
PEOPLE = {"people-admin", "people-admin-binding"}


def pool() -> NodePool:
    return NodePool("gpu", instance_type="g5.12xlarge", max=2)


def team(**fields: Any) -> Team:
    gpu = pool()
    cluster = TrainingCluster("train", pools=[gpu])
    return Team("search", **{"cluster": cluster, "admins": ["ml-leads"], **fields})


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("local", {"role", "policy", "account", "egress"}),
        ("eks", {"role", "policy", "identity", "egress"}),
        ("kubeconfig", set()),
    ],
)
def test_what_a_team_comes_to(expanded: Any, target: str, more: set[str]) -> None:
    result = expanded(team, target)
    assert result.codes == []
    assert result.names_of("search") == BOUNDS | PEOPLE | {"service-account"} | more


def test_without_kubernetes(expanded: Any) -> None:
    result = expanded(team, "aws-only")
    assert set(result.codes) == {"target-without-kubernetes"}
    assert result.names_of("search") == set()


def test_the_namespace_and_what_bounds_it(expanded: Any) -> None:
    result = expanded(lambda: team(pod_security="restricted", quota=Quota(gpus=3)))
    namespace = result.inputs("search/namespace")["metadata"]
    assert namespace["name"] == "sample-test-search"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    offered = result.inputs("train/quota")["spec"]["hard"]
    assert result.inputs("search/quota")["spec"]["hard"] == {**offered, "requests.nvidia.com/gpu": "3"}
    (limits,) = result.inputs("search/limits")["spec"]["limits"]
    assert limits["defaultRequest"] == {"cpu": "100m", "memory": "256Mi"}


def test_nobody_in_it_takes_the_place_of_the_system(expanded: Any) -> None:
    spec = expanded(team).inputs("search/quota-system")["spec"]
    assert spec["hard"] == {"pods": "0"}
    (priorities,) = spec["scopeSelector"]["matchExpressions"]
    assert priorities["values"] == ["system-cluster-critical", "system-node-critical"]


@pytest.mark.parametrize(
    ("quota", "says"),
    [
        (Quota(gpus=9), "9 GPUs"),
        (Quota(cpu=1000), "1000 cores"),
        (Quota(memory=5000), "5000 GiB of memory"),
        (Quota(pods=10_000), "10000 pods"),
        (Quota(gpus=8, cpu=10), None),
    ],
)
def test_a_quota_beyond_the_pools(expanded: Any, quota: Quota, says: str | None) -> None:
    result = expanded(lambda: team(quota=quota))
    assert result.codes == (["team-quota"] if says else [])
    assert says is None or says in result.diagnostics[0].summary


def test_a_quota_in_a_cluster_of_which_no_pool_is_known(expanded: Any) -> None:
    assert expanded(lambda: team(cluster=TrainingCluster("train"), quota=Quota(gpus=100))).codes == []


def test_builds_pull_from_the_clusters_repository_and_push_to_their_own(expanded: Any) -> None:
    def statements(**fields: Any) -> list[Any]:
        found = expanded(lambda: team(**fields)).inputs("search/policy")["policy"].value["Statement"]
        return [item for item in found if item["Resource"] != ["*"]]

    (pulls,) = statements()
    assert pulls["Resource"] == [Ref("train/repository", ("arn",))]
    assert "ecr:PutImage" not in pulls["Action"]
    pulls, pushes = statements(repository=ImageRepository("images"))
    assert pushes["Resource"] == [Ref("images/repository", ("arn",))]
    assert "ecr:PutImage" in pushes["Action"]
    assert "ecr:PutImage" not in pulls["Action"]


def test_workloads_run_in_the_teams_namespace_with_the_clusters_pools_and_priorities(expanded: Any) -> None:
    def declare() -> list[Any]:
        gpu = pool()
        cluster = TrainingCluster("train", pools=[gpu])
        search = Team("search", cluster=cluster, developers=["devs"])
        store = Bucket("small", place="cluster", cluster=search, image=IMAGE)
        database = Database("online", place="cluster", cluster=search, image=IMAGE)
        return [
            TrainingJob("fit", cluster=search, pool=gpu, gpus=1, image=IMAGE, reads=[store], writes=[database]),
            Endpoint("api", cluster=search, pool=gpu, image=IMAGE, reads=[database]),
        ]

    result = expanded(declare, "kubeconfig")
    assert result.codes == []
    mine = Ref("search/namespace", ("metadata", "name"))
    made = [node for node in result.graph if node.component in ("fit", "api", "online", "small")]
    placed = [node for node in made if node.type.startswith("kubernetes:")]
    assert {node.name for node in placed if node.inputs["metadata"].get("namespace") != mine} == set()
    assert len(placed) > 15
    assert "object-store" in result.names_of("search")
    assert "object-store" not in result.names_of("train")
    pod = result.inputs("api/deployment")["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == Ref("train/priority-serving", ("metadata", "name"))


def test_a_store_of_another_team_is_out_of_reach(expanded: Any) -> None:
    def declare() -> Endpoint:
        cluster = TrainingCluster("train")
        search, ads = (Team(name, cluster=cluster, developers=[f"{name}-devs"]) for name in ("search", "ads"))
        store = Database("online", place="cluster", cluster=search, image=IMAGE)
        return Endpoint("api", cluster=ads, image=IMAGE, reads=[store])

    assert expanded(declare).codes == ["database-other-cluster"]
