"""Kinds of controllers that do not run here: the API server of the local target holds objects against their fields."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mlinfra.components.job_queue import JobQueue
from mlinfra.components.job_values import Ray
from mlinfra.components.node_pool import NodePool
from mlinfra.components.raw import Raw
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.functions import resolve
from mlinfra.graph import Graph
from mlinfra.local import definitions
from mlinfra.local.target import LocalAccess
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from tests.components.conftest import expanded  # noqa: F401 — a fixture

IMAGE = "registry.example.com/train@sha256:" + "ab" * 32
KUEUE = {"resourceflavors.kueue.x-k8s.io", "clusterqueues.kueue.x-k8s.io", "localqueues.kueue.x-k8s.io"}


def queued(ray: bool = True) -> TrainingJob:
    pool = NodePool("gpu", instance_type="g5.12xlarge", max=2)
    cluster = TrainingCluster("train", pools=[pool], kueue=True)
    queue = JobQueue("jobs", cluster=cluster, pools=[pool])
    form = {"ray": Ray(workers=2), "command": ["python", "tune.py"]} if ray else {}
    return TrainingJob("fit", cluster=cluster, pool=pool, gpus=1, image=IMAGE, queue=queue, config={"a": 1}, **form)


def names(graph: Graph) -> set[str]:
    return {item["metadata"]["name"] for item in definitions.missing(graph)}


def test_only_what_a_graph_needs(expanded: Any) -> None:  # noqa: F811
    assert names(expanded(lambda: TrainingCluster("train")).graph) == set()
    assert names(expanded(lambda: queued(ray=False)).graph) == KUEUE
    assert names(expanded(queued).graph) == KUEUE | {"rayjobs.ray.io"}


def test_not_what_a_graph_brings_itself(expanded: Any) -> None:  # noqa: F811
    def declare() -> Any:
        own = {
            "apiVersion": definitions.API,
            "kind": definitions.KIND,
            "metadata": {"name": "rayjobs.ray.io"},
            "spec": {"group": "ray.io"},
        }
        return [queued(), Raw("own", type=f"kubernetes:{definitions.API}:{definitions.KIND}", inputs=own)]

    assert names(expanded(declare).graph) == KUEUE


@pytest.fixture(scope="module")
def graph(expanded: Any) -> Graph:  # noqa: F811
    found = expanded(queued)
    assert found.diagnostics == ()
    return found.graph


@pytest.fixture
def served(access: LocalAccess, cluster: Cluster, graph: Graph) -> Cluster:
    definitions.ensure(access.kubeconfig, graph)
    return cluster


def manifests(graph: Graph) -> dict[str, Any]:
    outputs = {name: {**node.inputs, "id": name} for name, node in graph.nodes.items()}
    found = {
        name: resolve(dict(node.inputs), outputs)
        for name, node in graph.nodes.items()
        if node.type.startswith("kubernetes:")
    }
    return found | {"fit/run": json.loads(found["fit/template"]["data"]["manifest.json"])}


def test_what_components_make_of_these_kinds_is_taken(served: Cluster, graph: Graph) -> None:
    every = manifests(graph)
    served.apply(every["train/namespace"], manager="test")
    kinds = []
    for manifest in every.values():
        group = manifest["apiVersion"].partition("/")[0]
        if group in ("kueue.x-k8s.io", "ray.io"):
            served.apply(manifest, manager="test")
            kinds.append(manifest["kind"])
    assert sorted(kinds) == ["ClusterQueue", "LocalQueue", "RayJob", "ResourceFlavor"]


def test_the_api_server_takes_the_pods_of_a_ray_cluster(served: Cluster, graph: Graph) -> None:
    every = manifests(graph)
    for name in ("train/namespace", "train/priority-training-low", "fit/service-account"):
        served.apply(every[name], manager="test", force=True)
    spec = every["fit/run"]["spec"]
    cluster = spec["rayClusterSpec"]
    templates = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"], {"template": spec["submitterPodTemplate"]}]
    for index, part in enumerate(templates):
        pod = copy.deepcopy(part["template"])
        namespace = every["fit/run"]["metadata"]["namespace"]
        pod |= {"apiVersion": "v1", "kind": "Pod"}
        pod["metadata"] |= {"name": f"ray-{index}", "namespace": namespace}
        answer = served.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod)
        assert answer["spec"]["priority"] == 1000


Change = Callable[[dict[str, Any]], Any]
WRONG: dict[str, tuple[str, Change, str]] = {
    "a field that is not there": ("fit/run", lambda spec: spec.update(entryPoint="x"), "entryPoint"),
    "a text for a number": ("fit/run", lambda spec: spec.update(backoffLimit="3"), "backoffLimit"),
    "a mode that is not there": ("fit/run", lambda spec: spec.update(submissionMode="Mail"), "submissionMode"),
    "a head without a pod": (
        "fit/run",
        lambda spec: spec["rayClusterSpec"]["headGroupSpec"].pop("template"),
        "template",
    ),
    "a number as a parameter of Ray": (
        "fit/run",
        lambda spec: spec["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
        "num-cpus",
    ),
    "a quota that is no quantity": (
        "jobs/cluster-queue",
        lambda spec: spec["resourceGroups"][0]["flavors"][0]["resources"][0].update(nominalQuota="much"),
        "nominalQuota",
    ),
    "a resource that a flavor leaves out": (
        "jobs/cluster-queue",
        lambda spec: spec["resourceGroups"][0]["flavors"][0]["resources"].pop(),
        "same number of resources",
    ),
    "a strategy that is not there": (
        "jobs/cluster-queue",
        lambda spec: spec.update(queueingStrategy="LIFO"),
        "queueingStrategy",
    ),
    "a quota to borrow from nobody": (
        "jobs/cluster-queue",
        lambda spec: spec["resourceGroups"][0]["flavors"][0]["resources"][0].update(borrowingLimit=1),
        "borrowingLimit",
    ),
    "a flavor that cannot be": (
        "jobs/cluster-queue",
        lambda spec: spec["resourceGroups"][0]["flavors"][0].update(name="Not a name"),
        "name",
    ),
    "a toleration of all values of one": (
        "jobs/flavor-gpu",
        lambda spec: spec.update(tolerations=[{"key": "gpu", "operator": "Exists", "value": "yes"}]),
        "value must be empty",
    ),
    "a taint without an effect": ("jobs/flavor-gpu", lambda spec: spec["nodeTaints"][0].pop("effect"), "effect"),
    "too many labels": (
        "jobs/flavor-gpu",
        lambda spec: spec["nodeLabels"].update({f"a{index}": "b" for index in range(9)}),
        "at most 8",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused(served: Cluster, graph: Graph, case: tuple[str, Change, str]) -> None:
    name, change, says = case
    every = manifests(graph)
    served.apply(every["train/namespace"], manager="test")
    manifest = copy.deepcopy(every[name])
    manifest["metadata"]["name"] = "wrong"  # what is left out of one that is there would stay
    change(manifest["spec"])
    with pytest.raises(ApiError) as caught:
        served.apply(manifest, manager="test", dry_run=True)
    assert says in str(caught.value)


def test_definitions_are_made_once(served: Cluster, access: LocalAccess, graph: Graph) -> None:
    def versions() -> Mapping[str, str]:
        found = served.list(definitions.API, definitions.KIND, labels=f"{definitions.LOCAL}=true")
        return {
            item["metadata"]["name"]: item["metadata"]["uid"] + str(item["metadata"]["generation"]) for item in found
        }

    before = versions()
    assert set(before) >= KUEUE | {"rayjobs.ray.io"}  # other tests here bring more
    definitions.ensure(access.kubeconfig, graph)
    assert versions() == before
