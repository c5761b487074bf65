"""What of a graph makes pods, and how many."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.capacity.workloads import Use, Workload, Workloads
from mlinfra.graph import Document, Node, Ref, Secret
from tests.checks.capacity.conftest import APPS, BATCH, CORE, GPU, Made, pod_spec, template


def found(made: Made) -> dict[str, Workload]:
    return {item.node.name: item for item in Workloads(made.graph()).found}


def counts(item: Workload) -> tuple[int, int]:
    return item.total(most=False), item.total(most=True)


KINDS: list[tuple[str, str, dict[str, Any], Use, tuple[int, int]]] = [
    ("deployment", f"{APPS}:Deployment", {"spec": {"replicas": 3}}, Use.ALWAYS, (3, 3)),
    ("deployment without a number", f"{APPS}:Deployment", {"spec": {}}, Use.ALWAYS, (1, 1)),
    ("stateful set", f"{APPS}:StatefulSet", {"spec": {"replicas": 2.0}}, Use.ALWAYS, (2, 2)),
    ("replica set", f"{APPS}:ReplicaSet", {"spec": {"replicas": 0}}, Use.ALWAYS, (0, 0)),
    ("controller", f"{CORE}:ReplicationController", {"spec": {"replicas": 4}}, Use.ALWAYS, (4, 4)),
    ("daemon set", f"{APPS}:DaemonSet", {"spec": {}}, Use.EACH, (1, 1)),
    ("job", f"{BATCH}:Job", {"spec": {}}, Use.RUN, (1, 1)),
    ("parallel job", f"{BATCH}:Job", {"spec": {"parallelism": 4, "completions": 10}}, Use.RUN, (4, 4)),
    ("job of few", f"{BATCH}:Job", {"spec": {"parallelism": 4, "completions": 2}}, Use.RUN, (2, 2)),
]


@pytest.mark.parametrize(("token", "inputs", "use", "wanted"), [it[1:] for it in KINDS], ids=[it[0] for it in KINDS])
def test_each_kind(token: str, inputs: dict[str, Any], use: Use, wanted: tuple[int, int]) -> None:
    spec = {"spec": {**inputs["spec"], "template": template("a", pod_spec("1", "1Gi"))}}
    item = found(Made().node("a", token, spec))["a"]
    assert (item.use, counts(item)) == (use, wanted)
    assert item.groups[0].pod.requests == {"cpu": 1000, "memory": 1024**3, "pods": 1}
    assert item.groups[0].pod.labels["app"] == "a"


def test_a_pod_and_a_template_of_pods() -> None:
    made = Made().node("one", f"{CORE}:Pod", {"spec": pod_spec("1"), "metadata": {"labels": {"app": "one"}}})
    spec = pod_spec("2", activeDeadlineSeconds=7200)
    made.node("fit", f"{CORE}:PodTemplate", {"template": template("fit", spec)})
    items = found(made)
    assert (items["one"].use, items["one"].groups[0].pod.labels) == (Use.ALWAYS, {"app": "one"})
    assert (items["fit"].use, items["fit"].hours) == (Use.RUN, 2)


def test_an_autoscaler_says_how_many() -> None:
    made = Made().deployment("api", pod_spec("1"), None).scaled("api", 3, 20).deployment("other", pod_spec("1"), 2)
    items = found(made)
    assert counts(items["api"]) == (3, 20)
    assert counts(items["other"]) == (2, 2)


def test_an_autoscaler_of_another_kind_or_namespace_says_nothing() -> None:
    made = Made().deployment("api", pod_spec("1"), 2).scaled("api", 3, 20, kind="StatefulSet")
    scaler = Node("far", "kubernetes:autoscaling/v2:HorizontalPodAutoscaler", {})
    target = {"kind": "Deployment", "name": "api"}
    spec = {"metadata": {"name": "far", "namespace": "other"}, "spec": {"scaleTargetRef": target, "maxReplicas": 9}}
    made.node("far", scaler.type, spec)
    assert counts(found(made)["api"]) == (2, 2)


def test_a_name_may_be_a_reference() -> None:
    made = Made().deployment("api", pod_spec("1"), None)
    target = {"kind": "Deployment", "name": Ref("api", ("metadata", "name"))}
    inputs = {"spec": {"scaleTargetRef": target, "maxReplicas": 5}}
    made.node("scaler", "kubernetes:autoscaling/v2:HorizontalPodAutoscaler", inputs)
    assert counts(found(made)["api"]) == (1, 5)


def test_a_template_of_a_job() -> None:
    queue = {"kueue.x-k8s.io/queue-name": "gpu"}
    job = {"parallelism": 4, "completions": 4, "completionMode": "Indexed", "activeDeadlineSeconds": 3600}
    made = Made().cron_job("ranks", pod_spec("1", gpus=2, subdomain="ranks"), queue, **job)
    made.cron_job("sweep", pod_spec("1"), **job)
    items = found(made)
    assert (items["ranks"].use, counts(items["ranks"]), items["ranks"].together) == (Use.RUN, (4, 4), True)
    assert (items["ranks"].hours, items["ranks"].queue) == (1, "gpu")
    assert items["ranks"].groups[0].pod.requests == {"cpu": 1000, GPU: 2, "pods": 1}
    assert (items["sweep"].together, items["sweep"].queue) == (False, "")


def test_containers_that_say_nothing_get_the_namespaces_defaults() -> None:
    spec = {"limits": [{"type": "Container", "defaultRequest": {"cpu": "100m"}, "default": {"memory": "1Gi"}}]}
    made = Made().node("limits", f"{CORE}:LimitRange", {"spec": spec}).deployment("api", pod_spec())
    made.node(
        "far", f"{APPS}:Deployment", {"metadata": {"namespace": "x"}, "spec": {"template": template("f", pod_spec())}}
    )
    items = found(made)
    assert items["api"].groups[0].pod.requests == {"cpu": 100, "memory": 1024**3, "pods": 1}
    assert items["far"].groups[0].pod.requests == {"pods": 1}


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [{"resources": {"requests": {"cpu": "many"}}}]},
        {"containers": [{"resources": {"requests": {"cpu": Ref("data", ("size",))}}}]},
        {"containers": [{"resources": {"requests": {"cpu": Secret("1")}}}]},
    ],
)
def test_what_cannot_be_read_is_said(spec: dict[str, Any]) -> None:
    item = found(Made().deployment("api", spec))["api"]
    assert "is no amount of cpu" in item.problem
    assert (item.groups, counts(item)) == ((), (0, 0))


def test_a_secret_amount_is_not_told() -> None:
    spec = {"containers": [{"resources": {"requests": {"cpu": Secret("hunter2")}}}]}
    assert "hunter2" not in found(Made().deployment("api", spec))["api"].problem


def worker(name: str, **more: Any) -> dict[str, Any]:
    return {"groupName": name, "template": {"spec": pod_spec("2", gpus=1)}, **more}


def ray_job(**more: Any) -> dict[str, Any]:
    cluster = {
        "headGroupSpec": {"template": {"spec": pod_spec("1", "2Gi")}},
        "workerGroupSpecs": [worker("small", replicas=3, minReplicas=1, maxReplicas=5), worker("pair", numOfHosts=2)],
    }
    spec = {"activeDeadlineSeconds": 7200, "rayClusterSpec": {**cluster, **more.pop("cluster", {})}, **more}
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "fit", "labels": {}}, "spec": spec}


def ray_template(manifest: dict[str, Any]) -> Made:
    labels = {"mlinfra.dev/template": "rayjob"}
    inputs = {"metadata": {"labels": labels}, "data": {"manifest.json": Document(manifest)}}
    return Made().node("fit", f"{CORE}:ConfigMap", inputs)


def test_a_ray_job() -> None:
    item = found(ray_template(ray_job()))["fit"]
    assert [(group.role, group.fewest, group.most) for group in item.groups] == [
        ("head", 1, 1),
        ("small", 3, 3),
        ("pair", 2, 2),
        ("submitter", 1, 1),
    ]
    assert (item.kind, item.use, item.together, item.hours) == ("RayJob", Use.RUN, True, 2)
    assert item.groups[1].pod.requests[GPU] == 1
    assert item.groups[3].pod.requests["cpu"] == 500


def test_a_ray_cluster_that_scales_itself() -> None:
    item = found(ray_template(ray_job(cluster={"enableInTreeAutoscaling": True}, submissionMode="HTTPMode")))["fit"]
    assert [(group.role, group.fewest, group.most) for group in item.groups] == [
        ("head", 1, 1),
        ("small", 1, 5),
        ("pair", 2, 2),
    ]
    assert item.groups[0].pod.requests["cpu"] == 1500  # its own core, and the autoscaler beside it


def test_a_ray_cluster_on_its_own_is_always_there() -> None:
    inputs = {"spec": ray_job()["spec"]["rayClusterSpec"]}
    item = found(Made().node("ray", "kubernetes:ray.io/v1:RayCluster", inputs))["ray"]
    assert (item.use, item.together, counts(item)) == (Use.ALWAYS, False, (6, 6))


@pytest.mark.parametrize("text", ["no json", "[]", '{"kind": "Other"}'])
def test_a_config_map_that_is_no_manifest_makes_no_pods(text: str) -> None:
    inputs = {"metadata": {"labels": {"mlinfra.dev/template": "rayjob"}}, "data": {"manifest.json": text}}
    assert found(Made().node("fit", f"{CORE}:ConfigMap", inputs)) == {}
    assert found(Made().node("config", f"{CORE}:ConfigMap", {"data": {"a": "b"}})) == {}


def test_what_may_make_pods_unseen_is_named() -> None:
    made = Made().node("chart", "kubernetes:helm.sh/v3:Release", {"chart": "x"})
    spec = {"template": {"spec": {"containers": [{"image": "x"}]}}}
    made.node("flow", "kubernetes:argoproj.io/v1alpha1:Workflow", {"spec": spec})
    made.node("plain", "kubernetes:argoproj.io/v1alpha1:AppProject", {"spec": {}})
    graph = made.graph()
    assert Workloads(graph).unseen(graph) == [
        "chart: what a Release makes is not in the graph, so its pods are not counted",
        "flow: the pods that a controller makes of a Workflow are not counted",
    ]
