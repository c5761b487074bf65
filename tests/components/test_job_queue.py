from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.job_queue import JobQueue
from mlinfra.components.node_pool import NodePool
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Taint
from mlinfra.graph import Ref

IMAGE = "registry.example.com/train@sha256:" + "ab" * 32


def pools() -> tuple[NodePool, NodePool]:
    gpu = NodePool(
        "gpu", instance_type="g5.12xlarge", max=3, labels={"team": "a"}, taints=[Taint(key="team", value="a")]
    )
    return gpu, NodePool("cpu", instance_type="m6i.xlarge", max=2)


def test_quotas_are_what_the_pools_machines_have(expanded: Any) -> None:
    def declare() -> JobQueue:
        gpu, cpu = pools()
        return JobQueue("jobs", cluster=TrainingCluster("train", pools=[gpu, cpu], kueue=True), pools=[gpu, cpu])

    result = expanded(declare)
    assert result.diagnostics == ()
    flavor = result.node("jobs/flavor-gpu")
    assert flavor.type == "kubernetes:kueue.x-k8s.io/v1beta1:ResourceFlavor"
    assert flavor.inputs["metadata"]["name"] == "sample-test-train-gpu"
    assert flavor.inputs["spec"] == {
        "nodeLabels": {"node.kubernetes.io/instance-type": "g5.12xlarge", "team": "a"},
        "nodeTaints": [
            {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
            {"key": "team", "value": "a", "effect": "NoSchedule"},
        ],
    }
    queue = result.inputs("jobs/cluster-queue")["spec"]
    (group,) = queue["resourceGroups"]
    assert group["coveredResources"] == ["cpu", "memory", "nvidia.com/gpu"]
    quotas = {
        flavor["name"].node: {item["name"]: item["nominalQuota"] for item in flavor["resources"]}
        for flavor in group["flavors"]
    }
    _, cpu = pools()
    assert quotas["jobs/flavor-gpu"]["nvidia.com/gpu"] == "12"
    assert quotas["jobs/flavor-cpu"]["nvidia.com/gpu"] == "0"
    assert quotas["jobs/flavor-cpu"]["cpu"] == f"{round(cpu.machine.cpu * 2 * 1000)}m"
    assert all(list(found) == group["coveredResources"] for found in quotas.values())
    local = result.inputs("jobs/local-queue-train")
    assert local["metadata"]["name"] == "jobs"
    assert local["metadata"]["namespace"] == Ref("train/namespace", ("metadata", "name"))
    assert local["spec"] == {"clusterQueue": Ref("jobs/cluster-queue", ("metadata", "name"))}


def test_a_queue_of_machines_without_gpus_counts_none(expanded: Any) -> None:
    def declare() -> JobQueue:
        _, cpu = pools()
        return JobQueue("jobs", cluster=TrainingCluster("train", pools=[cpu], kueue=True), pools=[cpu])

    (group,) = expanded(declare).inputs("jobs/cluster-queue")["spec"]["resourceGroups"]
    assert group["coveredResources"] == ["cpu", "memory"]


def test_a_job_waits_in_its_queue(expanded: Any) -> None:
    def declare() -> TrainingJob:
        gpu, cpu = pools()
        cluster = TrainingCluster("train", pools=[gpu, cpu], kueue=True)
        return TrainingJob(
            "fit", cluster=cluster, pool=gpu, image=IMAGE, queue=JobQueue("jobs", cluster=cluster, pools=[gpu])
        )

    result = expanded(declare)
    template = result.inputs("fit/template")["spec"]["jobTemplate"]
    name = Ref("jobs/local-queue-train", ("metadata", "name"))
    assert template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == name
    assert "kueue.x-k8s.io/queue-name" not in template["spec"]["template"]["metadata"]["labels"]
    assert template["spec"]["suspend"] is True


def teams(jobs_of: str) -> Any:
    def declare() -> TrainingJob:
        gpu, cpu = pools()
        cluster = TrainingCluster("train", pools=[gpu, cpu], kueue=True)
        search = Team("search", cluster=cluster, developers=["search-devs"])
        ads = Team("ads", cluster=cluster, developers=["ads-devs"])
        queue = JobQueue("jobs", cluster=cluster, teams=[search], pools=[gpu])
        return TrainingJob("fit", cluster={"search": search, "ads": ads}[jobs_of], pool=gpu, image=IMAGE, queue=queue)

    return declare


def test_teams_share_a_queue(expanded: Any) -> None:
    result = expanded(teams("search"))
    assert result.diagnostics == ()
    assert result.inputs("jobs/local-queue-search")["metadata"]["name"] == "jobs"
    (rule,) = result.inputs("jobs/cluster-queue")["spec"]["namespaceSelector"]["matchExpressions"]
    assert rule["values"] == [Ref(f"{place}/namespace", ("metadata", "name")) for place in ("train", "search")]
    labels = result.inputs("fit/template")["spec"]["jobTemplate"]["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == Ref("jobs/local-queue-search", ("metadata", "name"))


def test_a_queue_that_is_not_for_the_team(expanded: Any) -> None:
    result = expanded(teams("ads"))
    assert "queue-other-cluster" in result.codes
    assert "JobQueue(…, teams=[ads])" in next(
        item.remedy for item in result.diagnostics if item.code == "queue-other-cluster"
    )


def test_a_team_s_job_without_a_queue(expanded: Any) -> None:
    def declare() -> TrainingJob:
        gpu, _ = pools()
        cluster = TrainingCluster("train", pools=[gpu], kueue=True)
        return TrainingJob("fit", cluster=Team("search", cluster=cluster, viewers=["all"]), pool=gpu, image=IMAGE)

    assert expanded(declare).codes == ["job-without-queue"]


def twice() -> list[JobQueue]:
    gpu, cpu = pools()
    cluster = TrainingCluster("train", pools=[gpu, cpu], kueue=True)
    return [JobQueue("one", cluster=cluster, pools=[gpu, cpu]), JobQueue("two", cluster=cluster, pools=[gpu])]


def strange_pool() -> JobQueue:
    gpu, cpu = pools()
    return JobQueue("jobs", cluster=TrainingCluster("train", pools=[gpu], kueue=True), pools=[cpu])


def strange_team() -> JobQueue:
    gpu, _ = pools()
    far = Team("search", cluster=TrainingCluster("far"), viewers=["all"])
    return JobQueue("jobs", cluster=TrainingCluster("train", pools=[gpu], kueue=True), pools=[gpu], teams=[far])


@pytest.mark.parametrize(
    ("declare", "code", "says"),
    [
        (twice, "queue-pool-taken", "two and one both give out pool 'gpu'"),
        (strange_pool, "placement-other-cluster", "jobs gives out pool 'cpu', which is no pool of cluster 'train'"),
        (strange_team, "queue-other-cluster", "team 'search' is in another one"),
    ],
)
def test_queues_that_cannot_be(expanded: Any, declare: Any, code: str, says: str) -> None:
    result = expanded(declare)
    assert result.codes == [code]
    assert says in result.diagnostics[0].summary


def test_a_queue_has_machines(expanded: Any) -> None:
    (diagnostic,) = expanded(
        lambda: JobQueue("jobs", cluster=TrainingCluster("train", kueue=True), pools=[])
    ).diagnostics
    assert "pools" in diagnostic.summary
