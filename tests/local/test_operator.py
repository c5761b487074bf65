"""What a `Monitoring` makes for the Prometheus operator, and its Grafana, taken by the local target's API server."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mlinfra.components.secret_sources import STASH, VALUE
from mlinfra.functions import resolve, reveal
from mlinfra.graph import Graph
from mlinfra.local import definitions
from mlinfra.local.target import LocalAccess
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from tests.components.conftest import expanded  # noqa: F401 — a fixture
from tests.components.watch_samples import watching

KINDS = {"Prometheus", "Alertmanager", "AlertmanagerConfig", "PodMonitor", "PrometheusRule", "ScrapeConfig"}
NEEDED = ("train/namespace", "train/priority-serving", "watch/gpu-namespace")


@pytest.fixture(scope="module")
def graph(expanded: Any) -> Graph:  # noqa: F811
    made = expanded(lambda: watching(operator=True, pushgateway=True, scrapes=["queue.example.com:9100"]), "kubeconfig")
    assert made.codes == []
    return made.graph


@pytest.fixture(scope="module")
def manifests(graph: Graph) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        made = {"output": {VALUE: "a-password-for-tests"}} if node.type == STASH else node.inputs
        outputs[name] = {**made, "id": name}
    return {
        name: reveal(resolve(dict(node.inputs), outputs))
        for name, node in graph.nodes.items()
        if node.type.startswith("kubernetes:")
    }


@pytest.fixture
def served(access: LocalAccess, cluster: Cluster, graph: Graph, manifests: dict[str, Any]) -> Cluster:
    definitions.ensure(access.kubeconfig, graph)
    for name in NEEDED:
        cluster.apply(manifests[name], manager="test", force=True)
    return cluster


def test_only_what_the_graph_needs(graph: Graph) -> None:
    assert {item["spec"]["names"]["kind"] for item in definitions.missing(graph)} == KINDS


def test_all_of_it_is_taken(served: Cluster, manifests: dict[str, Any]) -> None:
    """Strictly: a field that a kind does not have is refused."""
    ours = {name: item for name, item in manifests.items() if name.startswith("watch/") and name not in NEEDED}
    assert {item["kind"] for item in ours.values()} >= KINDS | {"Deployment", "ConfigMap", "Secret", "DaemonSet"}
    for manifest in ours.values():
        served.apply(manifest, manager="test", dry_run=True)


def test_grafanas_pod_meets_the_level_restricted(served: Cluster, manifests: dict[str, Any]) -> None:
    space = copy.deepcopy(manifests["train/namespace"])
    space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    served.apply(space, manager="test", force=True)
    try:
        for name in ("watch/grafana-account", "watch/service-account"):
            served.apply(manifests[name], manager="test", force=True)
        deployment = manifests["watch/grafana-deployment"]
        namespace = deployment["metadata"]["namespace"]
        pod = copy.deepcopy(deployment["spec"]["template"])
        pod |= {"apiVersion": "v1", "kind": "Pod"}
        pod["metadata"] |= {"name": "grafana", "namespace": namespace}
        answer = served.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod)
        assert answer["spec"]["priority"] == 100_000
    finally:
        served.apply(manifests["train/namespace"], manager="test", force=True)


Change = Callable[[dict[str, Any]], Any]
WRONG: dict[str, tuple[str, Change, str]] = {
    "a field that is not there": ("watch/prometheus", lambda spec: spec.update(replica=1), "replica"),
    "a time that is none": ("watch/prometheus", lambda spec: spec.update(scrapeInterval="soon"), "scrapeInterval"),
    "a selector of rules as a text": ("watch/prometheus", lambda spec: spec.update(ruleSelector="all"), "ruleSelector"),
    "a relabelling of another name": (
        "watch/scrape-pods",
        lambda spec: spec["podMetricsEndpoints"][0]["relabelings"][0].update(source_labels=["a"]),
        "source_labels",
    ),
    "an action that is not there": (
        "watch/scrape-pods",
        lambda spec: spec["podMetricsEndpoints"][0]["relabelings"][0].update(action="forget"),
        "action",
    ),
    "a rule without an expression": (
        "watch/rules",
        lambda spec: spec["groups"][0]["rules"][0].pop("expr"),
        "expr",
    ),
    "two groups of one name": ("watch/rules", lambda spec: spec["groups"].append(spec["groups"][0]), "name"),
    "a secret in the open": (
        "watch/alertmanager-config",
        lambda spec: spec["receivers"][0]["pagerdutyConfigs"][0].update(routingKey="secret"),
        "routingKey",
    ),
    "memory that is no quantity": (
        "watch/prometheus",
        lambda spec: spec["resources"]["requests"].update(memory="much"),
        "memory",
    ),
    "a target twice": (
        "watch/scrape-others",
        lambda spec: spec.update(staticConfigs=[{"targets": ["a:1", "a:1"]}]),
        "duplicate entries",
    ),
    "a port that is none": (
        "watch/scrape-others",
        lambda spec: spec["dnsSDConfigs"][0].update(port=100_000),
        "port",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused(served: Cluster, manifests: dict[str, Any], case: tuple[str, Change, str]) -> None:
    name, change, says = case
    manifest = copy.deepcopy(manifests[name])
    manifest["metadata"]["name"] = "wrong"  # what is left out of one that is there would stay
    change(manifest["spec"])
    with pytest.raises(ApiError) as caught:
        served.apply(manifest, manager="test", dry_run=True)
    assert says in str(caught.value)
