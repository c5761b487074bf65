"""The kinds of Argo Rollouts and Gateway API: what components make of them is taken, and what is wrong is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_values import GatewayAddress
from mlinfra.components.load_test import LoadTest
from mlinfra.components.rollout_values import BlueGreen, Canary, Gate, Shadow, Step, Variant
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Autoscale
from mlinfra.functions import resolve
from mlinfra.graph import Graph
from mlinfra.local import definitions
from mlinfra.local.target import LocalAccess
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from tests.components.conftest import expanded  # noqa: F401 — a fixture

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
PROMETHEUS = "http://prometheus.monitoring.svc:9090"


def every_way() -> list[Any]:
    cluster = TrainingCluster("train", argo_rollouts=True, argo_gateway_plugin=True, gateway_api=True)
    world = {"host": "api.example.com", "controller_namespace": "envoy"}
    shared = {"address": GatewayAddress(**world, gateway="shared"), "auth": "elsewhere"}
    own = {"address": GatewayAddress(**world, gateway_class="envoy", secret="cert"), "auth": "elsewhere"}
    common = {"cluster": cluster, "image": IMAGE, "scale": Autoscale(min=20, max=20)}
    steps = [Step(weight=10, approve=True), Step(weight=50, gate=Gate(load_test="burst", accuracy=0.9))]
    plan = {"steps": steps, "prometheus": PROMETHEUS}
    canary = Endpoint("canary", **common, rollout=Canary(**plan))
    return [
        canary,
        LoadTest("burst", target=canary, rate=1, bodies=[1]),
        Endpoint("routed", **common, **own, rollout=Canary(**{**plan, "steps": [Step(weight=5)]}, traffic="gateway")),
        Endpoint("switched", **common, rollout=BlueGreen(gate=Gate(), prometheus=PROMETHEUS)),
        Endpoint("pair", **common, **shared, variants=[Variant(name="a", weight=100)], shadow=Shadow()),
    ]


@pytest.fixture(scope="module")
def graph(expanded: Any) -> Graph:  # noqa: F811
    found = expanded(every_way)
    assert found.diagnostics == ()
    return found.graph


def names(graph: Graph) -> set[str]:
    return {item["metadata"]["name"] for item in definitions.missing(graph)}


def test_only_what_a_graph_needs(expanded: Any, graph: Graph) -> None:  # noqa: F811
    argo = {"rollouts", "analysisruns", "analysistemplates", "clusteranalysistemplates", "experiments"}
    gateway = {"httproutes.gateway.networking.k8s.io", "gateways.gateway.networking.k8s.io"}
    assert names(graph) == {f"{kind}.argoproj.io" for kind in argo} | gateway
    assert names(expanded(lambda: Endpoint("api", cluster=TrainingCluster("train"), image=IMAGE)).graph) == set()
    assert names(expanded(lambda: Bucket("data")).graph) == set()


def manifests(graph: Graph) -> dict[str, Any]:
    outputs = {name: {**node.inputs, "id": name} for name, node in graph.nodes.items()}
    return {
        name: resolve(dict(node.inputs), outputs)
        for name, node in graph.nodes.items()
        if node.type.startswith("kubernetes:")
    }


@pytest.fixture
def served(access: LocalAccess, cluster: Cluster, graph: Graph) -> Cluster:
    definitions.ensure(access.kubeconfig, graph)
    cluster.apply(manifests(graph)["train/namespace"], manager="test")
    return cluster


OURS = ("argoproj.io", "gateway.networking.k8s.io")


def test_what_components_make_is_taken(served: Cluster, graph: Graph) -> None:
    kinds = []
    for manifest in manifests(graph).values():
        if manifest["apiVersion"].partition("/")[0] in OURS:
            served.apply(manifest, manager="test", dry_run=True)
            kinds.append(manifest["kind"])
    assert set(kinds) == {"Rollout", "AnalysisTemplate", "HTTPRoute", "Gateway"}


def test_the_api_server_takes_the_pods_of_a_rollout_and_the_job_of_a_gate(served: Cluster, graph: Graph) -> None:
    every = manifests(graph)
    for name in ("train/priority-serving", "train/priority-training-low", "canary/service-account"):
        served.apply(every[name], manager="test", force=True)
    namespace = every["train/namespace"]["metadata"]["name"]
    template = copy.deepcopy(every["canary/rollout"]["spec"]["template"])
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] |= {"name": "canary-0", "namespace": namespace}
    ask = "dryRun=All&fieldValidation=Strict"
    served.request("POST", f"/api/v1/namespaces/{namespace}/pods?{ask}", pod)
    (metric,) = every["canary/gate-2-load"]["spec"]["metrics"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "load", "namespace": namespace}}
    served.request("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs?{ask}", {**job, **metric["provider"]["job"]})


Change = Callable[[dict[str, Any]], Any]
WRONG: Mapping[str, tuple[str, Change, str]] = {
    "a field that is not there": (
        "canary/rollout",
        lambda spec: spec["strategy"]["canary"].update(stepz=[]),
        "stepz",
    ),
    "a text for a weight": (
        "canary/rollout",
        lambda spec: spec["strategy"]["canary"]["steps"][0].update(setWeight="ten"),
        "setWeight",
    ),
    "a switch without a Service": (
        "switched/rollout",
        lambda spec: spec["strategy"]["blueGreen"].pop("activeService"),
        "activeService",
    ),
    "pods without containers": (
        "canary/rollout",
        lambda spec: spec["template"]["spec"].pop("containers"),
        "containers",
    ),
    "a metric without a provider": (
        "canary/gate-1",
        lambda spec: spec["metrics"][0].pop("provider"),
        "provider",
    ),
    "a query of another name": (
        "canary/gate-1",
        lambda spec: spec["metrics"][0]["provider"]["prometheus"].update(promql="up"),
        "promql",
    ),
    "a filter without what it does": (
        "pair/route",
        lambda spec: spec["rules"][0]["filters"][0].pop("requestMirror"),
        "requestMirror must be specified",
    ),
    "a share below none": (
        "pair/route",
        lambda spec: spec["rules"][0]["backendRefs"][0].update(weight=-1),
        "weight",
    ),
    "a Service without its port": (
        "pair/route",
        lambda spec: spec["rules"][0]["backendRefs"][0].pop("port"),
        "Must have port",
    ),
    "a host that is none": ("pair/route", lambda spec: spec.update(hostnames=["not a host"]), "hostnames"),
    "a mirror without a port": (
        "pair/route",
        lambda spec: spec["rules"][0]["filters"][0]["requestMirror"]["backendRef"].pop("port"),
        "Must have port",
    ),
    "a filter twice": (
        "pair/route",
        lambda spec: spec["rules"][0].update(filters=[{"type": "URLRewrite", "urlRewrite": {}}] * 2),
        "more than once",
    ),
    "a path with an empty part": (
        "pair/route",
        lambda spec: spec["rules"][0].update(matches=[{"path": {"value": "/a//b"}}]),
        "must not contain",
    ),
    "a path that goes up": (
        "pair/route",
        lambda spec: spec["rules"][0].update(matches=[{"path": {"value": "/a/.."}}]),
        "must not end",
    ),
    "a gateway twice": (
        "pair/route",
        lambda spec: spec["parentRefs"].append({**spec["parentRefs"][0], "sectionName": "https"}),
        "unique where two parentRefs",
    ),
    "more matches than a route can have": (
        "pair/route",
        lambda spec: spec.update(rules=[{**spec["rules"][0], "matches": [{}] * 64}] * 3),
        "more than 128 matches",
    ),
    "a time that is longer than the whole": (
        "pair/route",
        lambda spec: spec["rules"][0].update(timeouts={"request": "1s", "backendRequest": "2s"}),
        "cannot be longer",
    ),
    "two listeners on a port": (
        "routed/gateway",
        lambda spec: spec["listeners"].append({**spec["listeners"][0], "name": "second"}),
        "same port, protocol and hostname",
    ),
    "TLS without a certificate": (
        "routed/gateway",
        lambda spec: spec["listeners"][0]["tls"].pop("certificateRefs"),
        "certificateRefs or options",
    ),
    "TLS that somebody else ends": (
        "routed/gateway",
        lambda spec: spec["listeners"][0]["tls"].update(mode="Passthrough"),
        "must be Terminate",
    ),
    "a way of routing that is not there": (
        "routed/rollout",
        lambda spec: spec["strategy"]["canary"]["trafficRouting"].update(envoy={}),
        "envoy",
    ),
    "a certificate without TLS": (
        "routed/gateway",
        lambda spec: spec["listeners"][0].update(protocol="HTTP"),
        "tls must not be specified",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(served: Cluster, graph: Graph, name: str) -> None:
    node, change, words = WRONG[name]
    manifest = copy.deepcopy(manifests(graph)[node])
    change(manifest["spec"])
    with pytest.raises(ApiError, match=words):
        served.apply(manifest, manager="test", dry_run=True)
