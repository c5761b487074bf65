"""Nodes on a real API server, with the real scheduler and KWOK behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlinfra.graph import Pool
from mlinfra.local import nodes
from mlinfra.local.nodes import Changes, declared, reconcile
from mlinfra.local.target import LocalAccess, LocalTarget
from mlinfra.providers.kubernetes.client import Cluster

REGION = "eu-west-1"
TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def eventually(ask: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def pod_spec(**more: Any) -> dict[str, Any]:
    resources = more.pop("resources", {})
    return {"containers": [{"name": "main", "image": "example/app:1", "resources": resources}], **more}


def workload(api_version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def job(name: str, **more: Any) -> dict[str, Any]:
    return workload("batch/v1", "Job", name, {"template": {"spec": pod_spec(restartPolicy="Never", **more)}})


def test_declared_without_pools_there_is_one_plain_node() -> None:
    [(name, node)] = declared((), REGION).items()
    assert name == "default-0"
    assert node["spec"]["taints"] == []


@pytest.mark.parametrize("count", [0, 1, 5])
def test_declared_a_pool_has_as_many_as_it_may_have(count: int) -> None:
    found = declared((Pool("cpu", "m6i.large", cpu=2, memory=8, max=count),), REGION)
    assert list(found) == [f"cpu-{number}" for number in range(count)]


def test_nodes_are_as_declared(cluster: Cluster) -> None:
    live = {node["metadata"]["name"]: node for node in cluster.list("v1", "Node")}
    assert live.keys() == {"cpu-0", "cpu-1", "gpu-0"}
    gpu = live["gpu-0"]
    assert gpu["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    allocatable = gpu["status"]["allocatable"]
    assert allocatable["nvidia.com/gpu"] == "1"
    assert allocatable["cpu"] == "3920m"
    assert allocatable["memory"] == "14848Mi"
    assert allocatable["pods"] == "58"
    labels = live["cpu-1"]["metadata"]["labels"]
    assert labels["team"] == "recsys"
    assert labels["node.kubernetes.io/instance-type"] == "m6i.xlarge"
    assert labels["topology.kubernetes.io/zone"] == "us-east-1b"
    assert labels["eks.amazonaws.com/capacityType"] == "ON_DEMAND"
    assert gpu["metadata"]["labels"]["eks.amazonaws.com/capacityType"] == "SPOT"


def test_a_deployment_becomes_ready_on_them(cluster: Cluster) -> None:
    name = {"app": "serve"}
    spec = {
        "replicas": 3,
        "selector": {"matchLabels": name},
        "template": {"metadata": {"labels": name}, "spec": pod_spec(resources={"requests": {"cpu": "1"}})},
    }
    cluster.apply(workload("apps/v1", "Deployment", "serve", spec), manager="test")

    def ready() -> int:
        live = cluster.get("apps/v1", "Deployment", "serve", "default") or {}
        return int(live["status"].get("readyReplicas", 0))

    assert eventually(lambda: ready() == 3)
    placed = {pod["spec"]["nodeName"] for pod in cluster.list("v1", "Pod", "default", labels="app=serve")}
    assert placed <= {"cpu-0", "cpu-1"}  # the GPU node is tainted
    cluster.delete("apps/v1", "Deployment", "serve", "default")


def test_a_job_completes(cluster: Cluster) -> None:
    gpu = {"limits": {"nvidia.com/gpu": "1"}}
    cluster.apply(job("fit", resources=gpu, tolerations=TOLERATIONS), manager="test")

    def succeeded() -> Any:
        return (cluster.get("batch/v1", "Job", "fit", "default") or {})["status"].get("succeeded")

    assert eventually(succeeded) == 1
    cluster.delete("batch/v1", "Job", "fit", "default")


def test_what_does_not_fit_the_declared_pools_stays_pending(cluster: Cluster) -> None:
    gpus = {"limits": {"nvidia.com/gpu": "2"}}
    cluster.apply(job("large", resources=gpus, tolerations=TOLERATIONS), manager="test")

    def reason() -> str:
        for pod in cluster.list("v1", "Pod", "default", labels="job-name=large"):
            for condition in pod["status"].get("conditions", []):
                if condition["type"] == "PodScheduled" and condition["status"] == "False":
                    return str(condition["message"])
        return ""

    assert "Insufficient nvidia.com/gpu" in eventually(reason)
    cluster.delete("batch/v1", "Job", "large", "default")


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        pytest.param(lambda cpu, gpu: (cpu, gpu), Changes(0, 0, 0, 3), id="nothing"),
        pytest.param(lambda cpu, gpu: (replace(cpu, max=4), gpu), Changes(2, 0, 0, 5), id="more"),
        pytest.param(lambda cpu, gpu: (replace(cpu, max=1), gpu), Changes(0, 0, 1, 2), id="fewer"),
        pytest.param(lambda cpu, gpu: (cpu,), Changes(0, 0, 1, 2), id="a pool gone"),
        pytest.param(lambda cpu, gpu: (replace(cpu, cpu=8), gpu), Changes(0, 2, 0, 3), id="more cores"),
        pytest.param(lambda cpu, gpu: (cpu, replace(gpu, gpus=0)), Changes(0, 1, 0, 3), id="no GPUs"),
        pytest.param(lambda cpu, gpu: (cpu, replace(gpu, taints=())), Changes(0, 1, 0, 3), id="no taint"),
        pytest.param(lambda cpu, gpu: (replace(cpu, labels={}), gpu), Changes(0, 2, 0, 3), id="no label"),
        pytest.param(lambda cpu, gpu: (), Changes(1, 0, 3, 1), id="no pools"),
    ],
)
def test_reconciling(
    target: LocalTarget,
    cluster: Cluster,
    pools: tuple[Pool, Pool],
    change: Callable[[Pool, Pool], tuple[Pool, ...]],
    changes: Changes,
) -> None:
    wanted = declared(change(*pools), "us-east-1")
    assert reconcile(cluster, wanted) == changes
    live = {node["metadata"]["name"]: node for node in cluster.list("v1", "Node")}
    assert live.keys() == wanted.keys()
    for name, node in wanted.items():
        # The server writes quantities its own way (4000m is 4); which resources there are must be as declared.
        assert live[name]["status"]["capacity"].keys() == node["status"]["capacity"].keys()
        labels = live[name]["metadata"]["labels"].items()
        assert {key: value for key, value in labels if "beta" not in key} == node["metadata"]["labels"]
        assert live[name]["spec"].get("taints", []) == node["spec"]["taints"]
        assert nodes._ready(live[name])
    assert reconcile(cluster, wanted) == Changes(0, 0, 0, len(wanted))


def test_what_somebody_changed_is_set_back(cluster: Cluster, pools: tuple[Pool, ...]) -> None:
    patch = {"metadata": {"labels": {"team": "other"}}, "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}
    cluster.request("PATCH", "/api/v1/nodes/cpu-0", patch, content_type="application/merge-patch+json")
    cluster.delete("v1", "Node", "cpu-1")
    assert reconcile(cluster, declared(pools, "us-east-1")) == Changes(1, 1, 0, 3)
    assert (cluster.get("v1", "Node", "cpu-0") or {})["metadata"]["labels"]["team"] == "recsys"


def test_nodes_of_others_are_left_alone(target: LocalTarget, access: LocalAccess, cluster: Cluster) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "stranger"}}, manager="test")
    target.remove_nodes()
    assert [node["metadata"]["name"] for node in cluster.list("v1", "Node")] == ["stranger"]
    cluster.delete("v1", "Node", "stranger")


def test_nodes_serve_at_once_after_a_restart(
    target: LocalTarget, access: LocalAccess, pools: tuple[Pool, ...], cluster: Cluster
) -> None:
    """A KWOK with another name than the one before it must not wait for what that one held."""
    target.down()
    target.up(pools)
    cluster.apply(job("after"), manager="test")
    assert eventually(lambda: (cluster.get("batch/v1", "Job", "after", "default") or {})["status"].get("succeeded"))
    cluster.delete("batch/v1", "Job", "after", "default")
