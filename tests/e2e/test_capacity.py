"""Capacity against the real scheduler: what is said to fit is placed, and one more is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlinfra.graph import Pool
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import compile_stack
from tests.checks.capacity.conftest import Made, pod_spec, use
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

IMAGE = "registry.example.com/app@sha256:" + "ab" * 32
NAME = "capacity"
BLUEPRINT = f"""
from mlinfra import Autoscale, Blueprint, Endpoint, Environment, NodePool, Params, TrainingCluster, TrainingJob
from mlinfra import blueprint


@blueprint("capacity", version="1.0.0")
def capacity(env: Environment, p: Params) -> Blueprint:
    cpu = NodePool("cpu", instance_type="m6i.2xlarge", max=2)
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=4)
    cluster = TrainingCluster("train", pools=[cpu, gpu])
    api = Endpoint(
        "api", cluster=cluster, pool=gpu, image="{IMAGE}", gpus=4, cpu=2, memory=8, scale=Autoscale(min=1, max=2)
    )
    fit = TrainingJob("fit", cluster=cluster, pool=gpu, gpus=1, cpu=2, memory=8, image="{IMAGE}", command=["fit"])
    return Blueprint(api, fit)
"""
POOL = {"mlinfra.dev/pool": "gpu"}


def within(rule: str, key: str, name: str) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": name}}}
    return {"affinity": {rule: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def even(key: str, name: str) -> dict[str, Any]:
    selector = {"matchLabels": {"app": name}}
    rule = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}
    return {"topologySpreadConstraints": [rule]}


HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
KINDS: dict[str, dict[str, Any]] = {
    "by-gpus": pod_spec("100m", "64Mi", gpus=2),
    "by-odd-gpus": pod_spec("100m", "64Mi", gpus=3),
    "by-cores": pod_spec("9", "64Mi", gpus=0, nodeSelector=POOL, tolerations=[{"operator": "Exists"}]),
    "by-memory": pod_spec("100m", "70Gi", gpus=1),
    "beside-a-sidecar": {
        **pod_spec("5", "64Mi", gpus=1),
        "initContainers": [
            {"name": "s", "image": "x", "restartPolicy": "Always", "resources": {"requests": {"cpu": "13"}}},
            {"name": "i", "image": "x", "resources": {"requests": {"cpu": "2"}}},
        ],
    },
    "apart": {**pod_spec("100m", "64Mi", gpus=1), **within("podAntiAffinity", HOST, "apart")},
    "apart-in-zones": {**pod_spec("100m", "64Mi", gpus=1), **within("podAntiAffinity", ZONE, "apart-in-zones")},
    "even-in-zones": {**pod_spec("100m", "64Mi", gpus=2), **even(ZONE, "even-in-zones")},
    "chosen": {**pod_spec("100m", "64Mi", gpus=1), "nodeSelector": {"node.kubernetes.io/instance-type": "g5.12xlarge"}},
    "of-one-zone": {**pod_spec("100m", "64Mi", gpus=1), "nodeSelector": {ZONE: "us-east-1a"}},
}
"""Pods on machines with four GPUs, by what bounds them."""


def eventually(ask: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return answer


@pytest.fixture(scope="module")
def stack(lab: Lab) -> Iterator[Lab]:
    lab.blueprint(NAME, BLUEPRINT)
    lab.stack(NAME, blueprint=NAME)
    lab.run("up", "--stack", NAME, "--yes")
    yield lab
    lab.run("destroy", "--stack", NAME, "--yes", code=None)


@pytest.fixture(scope="module")
def cluster(stack: Lab) -> Cluster:
    return Cluster.from_kubeconfig(Path(stack.access(NAME)["KUBECONFIG"]))


@pytest.fixture(scope="module")
def pools(stack: Lab) -> tuple[Pool, ...]:
    project = Project(stack.root)
    return compile_stack(project, load_stack(project, NAME)).graph.pools


def scheduled(cluster: Cluster, namespace: str, labels: str) -> tuple[int, list[str]]:
    """How many pods have a machine, and why the others have none; only once the scheduler has looked at each."""
    placed, refused = 0, []
    for pod in cluster.list("v1", "Pod", namespace, labels=labels):
        conditions = {item["type"]: item for item in pod["status"].get("conditions", [])}
        if pod["spec"].get("nodeName"):
            placed += 1
        elif conditions.get("PodScheduled", {}).get("reason") == "Unschedulable":
            refused.append(conditions["PodScheduled"]["message"])
    return placed, refused


def test_a_job_beside_an_endpoint(stack: Lab, cluster: Cluster) -> None:
    """Runs of the job's own template, as many as capacity says, in the namespace with its quota and its priorities."""
    [report] = stack.run("capacity", "--stack", NAME, "--json").lines("capacity")
    fit = next(item for item in report["workloads"] if item["name"] == "fit")
    assert fit["at_once"] == {"pods": 12, "gpus": 12, "runs": 12}
    job = stack.kubectl(NAME, "get", "cronjobs", "--all-namespaces")["items"][0]
    namespace, template = job["metadata"]["namespace"], job["spec"]["jobTemplate"]["spec"]["template"]
    labels = {**template["metadata"]["labels"], "test": "runs"}
    api = eventually(lambda: scheduled(cluster, namespace, "mlinfra.dev/component=api")[0] == 1)
    assert api, "the endpoint has its machine"

    def run(number: int, where: str = namespace) -> dict[str, Any]:
        metadata = {"name": f"fit-{number}", "namespace": where, "labels": labels}
        spec = {key: value for key, value in template["spec"].items() if where == namespace or "ccount" not in key}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    for number in range(12):
        cluster.apply(run(number), manager="test")
    assert eventually(lambda: scheduled(cluster, namespace, "test=runs")[0] == 12)
    # The quota of the namespace is what all machines have, so there is no thirteenth.
    with pytest.raises(ApiError, match="exceeded quota: train"):
        cluster.apply(run(12), manager="test")
    # Where no quota is, there is none either: no machine has a GPU left.
    cluster.apply(run(12, "default"), manager="test")
    assert eventually(lambda: scheduled(cluster, "default", "test=runs")[1])
    placed, [why] = scheduled(cluster, "default", "test=runs")
    assert placed == 0
    assert "Insufficient nvidia.com/gpu" in why
    for number in range(12):
        cluster.delete("v1", "Pod", f"fit-{number}", namespace)
    cluster.delete("v1", "Pod", "fit-12", "default")
    assert eventually(lambda: not cluster.list("v1", "Pod", labels="test=runs"))


@pytest.mark.parametrize("name", KINDS)
def test_the_scheduler_agrees(stack: Lab, cluster: Cluster, pools: tuple[Pool, ...], name: str) -> None:
    """Beside the endpoint, which has a machine with GPUs for itself: as many as are said, and one that waits."""
    found = cluster.list("v1", "Pod", labels="mlinfra.dev/component=api")
    machine = next(pod["spec"]["nodeName"] for pod in found if pod["spec"].get("nodeName"))
    made = Made(*pools).deployment("api", pod_spec("2", "8Gi", gpus=4, nodeSelector={HOST: machine}))
    at_once = use(made.cron_job(name, KINDS[name]).report(region="us-east-1"), name).at_once
    assert at_once is not None
    assert at_once.pods
    spec = {
        "replicas": at_once.pods + 1,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": KINDS[name]},
    }
    kind, metadata = {"apiVersion": "apps/v1", "kind": "Deployment"}, {"name": name, "namespace": "default"}
    cluster.apply({**kind, "metadata": metadata, "spec": spec}, manager="test")

    def looked_at() -> bool:
        """Every pod has a machine, or a reason why not."""
        placed, refused = scheduled(cluster, "default", f"app={name}")
        return placed + len(refused) == at_once.pods + 1

    settled = eventually(looked_at)
    placed, refused = scheduled(cluster, "default", f"app={name}")
    cluster.delete("apps/v1", "Deployment", name, "default")
    assert eventually(lambda: not cluster.list("v1", "Pod", "default", labels=f"app={name}"))
    assert settled, (placed, refused)
    assert (placed, len(refused)) == (at_once.pods, 1), refused
