"""A run made by the monitor's own service account, with what its blueprint declares, on a real API server."""

from __future__ import annotations

import base64
import urllib.error
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from mlinfra.components.bucket import Bucket
from mlinfra.components.drift_monitor import DriftMonitor
from mlinfra.components.drift_values import Retrain
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.functions import resolve
from mlinfra.graph import Graph
from mlinfra.local.cluster import KwokCluster
from mlinfra.local.kwokctl import TOOLS
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.serving.drift.problems import DriftError
from mlinfra.serving.drift.retraining import Api, retrain
from mlinfra.serving.drift.settings import RetrainSettings
from mlinfra.tools.install import ensure
from tests.monitoring.samples import expanded

IMAGE = "registry.example.com/drift@sha256:" + "ab" * 32
MADE = (
    "train/namespace",
    *("fit/config", "fit/service-account", "fit/template"),
    *("drift/config", "drift/service-account", "drift/retrain", "drift/retrain-binding", "drift/template"),
)


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cluster").resolve()
    cluster = KwokCluster(folder, "drift", lambda: ensure(TOOLS), lambda detail: None, lambda diagnostic: None)
    try:
        yield cluster.ensure().kubeconfig
    finally:
        cluster.delete()


def declared() -> Graph:
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=2)
    cluster = TrainingCluster("train", pools=[pool])
    models = ModelStore("models", bucket=Bucket("artifacts"))
    model = StoredModel(store=models, name="ranker", version="3")
    api = Endpoint("api", cluster=cluster, image=IMAGE, model=model, log_requests=Bucket("logs"))
    fit = TrainingJob("fit", cluster=cluster, pool=pool, image=IMAGE, config={"lr": 0.1}, writes=[models])
    return expanded(DriftMonitor("drift", endpoint=api, image=IMAGE, retrain=Retrain(job=fit, days=7)))


@pytest.fixture(scope="module")
def namespace(kubeconfig: Path) -> str:
    """The namespace, with the template and the monitor as the blueprint declares them."""
    graph, cluster = declared(), Cluster.from_kubeconfig(kubeconfig)
    outputs: dict[str, Any] = {
        name: {"id": name.replace("/", "-"), **node.inputs} for name, node in graph.nodes.items()
    }
    for name in MADE:
        cluster.apply(resolve(graph.nodes[name].inputs, outputs), manager="test")
    found: str = resolve(graph.nodes["train/namespace"].inputs["metadata"]["name"], outputs)
    return found


@pytest.fixture
def api(kubeconfig: Path, namespace: str, tmp_path: Path) -> Api:
    """The API as the monitor's pod finds it: a token of its service account, and the cluster's authority."""
    cluster = Cluster.from_kubeconfig(kubeconfig)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/drift/token", asked)
    known = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = known.get("certificate-authority-data")
    data = base64.b64decode(authority) if authority else Path(known["certificate-authority"]).read_bytes()
    for name, text in {"token": answer["status"]["token"], "namespace": namespace, "ca.crt": data.decode()}.items():
        (tmp_path / name).write_text(f"{text}\n")
    server = urlsplit(cluster.server)
    environment = {"KUBERNETES_SERVICE_HOST": server.hostname or "", "KUBERNETES_SERVICE_PORT": str(server.port)}
    return Api.of_pod(environment, tmp_path)


def test_one_run_in_seven_days(api: Api, kubeconfig: Path, namespace: str) -> None:
    settings, cluster = RetrainSettings("fit", 7), Cluster.from_kubeconfig(kubeconfig)
    # 22 November 2026 is the day 739,942 of the calendar, which is a multiple of seven.
    assert datetime(2026, 11, 22, tzinfo=UTC).toordinal() % 7 == 0
    days = {
        day: retrain(api, settings, "drift", ["age", "city"], datetime(2026, 11, day, 9, tzinfo=UTC))
        for day in (22, 23, 28, 29)
    }
    assert days == {22: "fit-drift-20261122", 23: None, 28: None, 29: "fit-drift-20261129"}
    runs = cluster.list("batch/v1", "Job", namespace, labels="mlinfra.dev/component=fit")
    assert {run["metadata"]["name"] for run in runs} == {"fit-drift-20261122", "fit-drift-20261129"}
    for run in runs:
        assert run["metadata"]["annotations"]["mlinfra.dev/started-by"] == "drift"
        assert run["metadata"]["annotations"]["mlinfra.dev/drift"] == "age, city"
        pod = run["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == "fit"
        assert pod["containers"][0]["image"] == IMAGE


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "jobs"), ("GET", "cronjobs"), ("GET", "cronjobs/drift"), ("DELETE", "jobs/fit")]
)
def test_the_monitor_may_do_nothing_else(api: Api, method: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        api.ask(method, path)
    assert refused.value.code == 403


def test_what_refuses_a_run_is_told(api: Api) -> None:
    with pytest.raises(DriftError, match="run other-drift-20261121 cannot be made: 403"):
        retrain(api, RetrainSettings("other"), "drift", ["age"], datetime(2026, 11, 21, tzinfo=UTC))


def test_outside_a_pod_there_is_no_way(tmp_path: Path) -> None:
    with pytest.raises(DriftError, match="no way to the Kubernetes API"):
        Api.of_pod({}, tmp_path)
