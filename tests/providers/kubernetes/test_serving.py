"""What endpoints come to, held against a real API server: every object whole, every pod at the level `restricted`.

Also the two programs that run beside a model here as they run there: `kubectl`, with what its role allows, and `curl`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_model import BucketModel, RegisteredModel
from mlinfra.components.endpoint_runtimes import RUNTIMES
from mlinfra.components.endpoint_values import ApiKeys, GatewayAddress, IngressAddress, WarmUp, WorkingHours
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Autoscale, Image, ScaleMetric
from mlinfra.functions import resolve
from mlinfra.graph import Graph
from mlinfra.local import definitions
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from tests.components.conftest import Expand, expanded  # noqa: F401 — a fixture

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
MANAGER = "test"


def declared(**fields: Any) -> Endpoint:
    pool = NodePool("gpu", instance_type="g5.12xlarge")
    cluster = TrainingCluster("train", pools=[pool], pod_security="restricted", gateway_api=True, metrics_adapter=True)
    if fields.get("runtime") == "vllm":
        fields |= {"pool": pool, "gpus": 1}
    if fields.get("auth") == "keys":
        fields["auth"] = ApiKeys(keys=[ManagedSecret("shop", in_cluster=[cluster])])
    return Endpoint("api", cluster=cluster, **fields)


def in_bucket() -> BucketModel:
    return BucketModel(bucket=Bucket("models"), path="ranker/41")


ADDRESS: dict[str, Any] = {"host": "api.example.com", "controller_namespace": "ingress"}
CASES: dict[str, Callable[[], Endpoint]] = {
    **{name: (lambda name=name: declared(runtime=name, model=in_bucket())) for name in RUNTIMES},  # type: ignore[misc]
    "registry": lambda: declared(
        runtime="mlflow", model=RegisteredModel(server="http://mlflow.ml.svc:5000", name="ranker", version="3")
    ),
    "custom": lambda: declared(image=IMAGE, log_requests=Bucket("logs"), warm_up=WarmUp(path="/p", body=[1])),
    "keys": lambda: declared(
        runtime="triton",
        model=in_bucket(),
        auth="keys",
        warm_up=WarmUp(body={"inputs": []}),
        address=IngressAddress(**ADDRESS, ingress_class="nginx", issuer="letsencrypt"),
    ),
    "gateway": lambda: declared(
        image=IMAGE, auth="elsewhere", address=GatewayAddress(**ADDRESS, gateway_class="envoy", secret="api")
    ),
    "scaled": lambda: declared(
        image=IMAGE,
        hours=WorkingHours(time_zone="Europe/Berlin"),
        scale=Autoscale(
            min=1,
            max=3,
            metric=ScaleMetric(name="queue_length", target=2.5, of="elsewhere", labels={"queue": "a"}),
        ),
    ),
    "scaled by its own": lambda: declared(
        image=IMAGE,
        scale=Autoscale(min=1, max=3, cpu_percent=None, metric=ScaleMetric(name="http_requests", target=50)),
    ),
    "waiting": lambda: declared(
        runtime="vllm", model=None, auth="elsewhere", address=GatewayAddress(**ADDRESS, gateway="shared")
    ),
}


def manifests(graph: Graph, namespace: str) -> list[dict[str, Any]]:
    """The endpoint's objects, in a namespace of the test's own."""
    outputs: dict[str, Any] = {name: {**node.inputs, "id": name} for name, node in graph.nodes.items()}
    outputs["train/namespace"] = {"metadata": {"name": namespace}, "id": namespace}
    nodes = [node for node in graph if node.name.startswith("api/") and node.type.startswith("kubernetes:")]
    return [json.loads(json.dumps(resolve(dict(node.inputs), outputs))) for node in nodes]


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in found if item["kind"] == kind]


@pytest.fixture
def restricted(cluster: Cluster, namespace: str) -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    cluster.apply(body, manager="test", force=True)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        },
        manager="test",
        force=True,
    )
    return namespace


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_takes_every_object(
    expanded: Expand,  # noqa: F811
    cluster: Cluster,
    kubeconfig: Path,
    restricted: str,
    case: str,
) -> None:
    result = expanded(CASES[case])
    assert set(result.codes) <= {"endpoint-waits"}
    definitions.ensure(kubeconfig, result.graph)
    found = manifests(result.graph, restricted)
    assert found
    for item in found:
        cluster.apply(item, manager=MANAGER, dry_run=True)


@pytest.mark.parametrize("case", [name for name in CASES if name != "waiting"])
def test_the_api_server_admits_its_pods_at_the_level_restricted(
    expanded: Expand,  # noqa: F811
    cluster: Cluster,
    restricted: str,
    case: str,
) -> None:
    result = expanded(CASES[case])
    found = manifests(result.graph, restricted)
    templates = [item["spec"]["template"] for item in of_kind(found, "Deployment")]
    templates += [item["spec"]["jobTemplate"]["spec"]["template"] for item in of_kind(found, "CronJob")]
    assert templates
    for template in templates:
        # Its service account and its priority are not there.
        spec = {
            key: value
            for key, value in template["spec"].items()
            if key not in ("serviceAccountName", "priorityClassName")
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "api", "namespace": restricted, "labels": template["metadata"]["labels"]},
            "spec": spec,
        }
        cluster.apply(pod, manager=MANAGER, dry_run=True)
        spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(ApiError, match="violates PodSecurity"):
            cluster.apply(pod, manager=MANAGER, dry_run=True)


# ------------------------------------------------------------------------------------------------ by the clock


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not there")
def test_the_clock_may_scale_its_endpoint_and_nothing_else(
    expanded: Expand,  # noqa: F811
    cluster: Cluster,
    kubeconfig: Path,
    restricted: str,
    tmp_path: Path,
) -> None:
    """The command of each CronJob, run with a token of its service account."""
    found = manifests(expanded(CASES["scaled"]).graph, restricted)
    for kind in ("ServiceAccount", "Role", "RoleBinding", "Deployment"):
        for item in of_kind(found, kind):
            if kind == "Deployment":
                item["spec"]["replicas"] = 3
                item["spec"]["template"]["spec"].pop("priorityClassName")
            cluster.apply(item, manager=MANAGER)
    (deployment,) = of_kind(found, "Deployment")
    other = {**deployment, "metadata": {**deployment["metadata"], "name": "other"}}
    cluster.apply(other, manager=MANAGER)
    path = f"/api/v1/namespaces/{restricted}/serviceaccounts/api.schedule/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = cluster.request("POST", path, request)["status"]["token"]
    signed_in = _as_token(kubeconfig, token, tmp_path)

    def kubectl(command: list[str]) -> subprocess.CompletedProcess[str]:
        words = [command[0], f"--kubeconfig={signed_in}", f"--namespace={restricted}", *command[1:]]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        )

    def replicas(name: str) -> int:
        live = cluster.get("apps/v1", "Deployment", name, restricted)
        assert live
        return int(live["spec"]["replicas"])

    for job, wanted in (("api-stop", 0), ("api-start", 1)):
        (cron,) = [item for item in of_kind(found, "CronJob") if item["metadata"]["name"] == job]
        (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        done = kubectl(container["command"])
        assert done.returncode == 0, done.stderr
        assert replicas("api") == wanted
        refused = kubectl([*container["command"][:-1], "deployments.apps/other"])
        assert "forbidden" in refused.stderr
    refused = kubectl(["kubectl", "delete", "deployments.apps/api"])
    assert "forbidden" in refused.stderr
    assert replicas("other") == 3


def _as_token(kubeconfig: Path, token: str, folder: Path) -> Path:
    """The kubeconfig with the token in the place of its certificate."""
    shown = subprocess.run(
        ["kubectl", f"--kubeconfig={kubeconfig}", "config", "view", "--raw", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    config = json.loads(shown.stdout)
    for user in config["users"]:
        user["user"] = {"token": token}
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


# ------------------------------------------------------------------------------------------------ the first request


class _Model(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, str]] = []
    status = 503

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def model() -> Iterator[ThreadingHTTPServer]:
    _Model.asked.clear()
    server = ThreadingHTTPServer(("localhost", 0), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_the_first_request_is_a_real_one(expanded: Expand, model: ThreadingHTTPServer) -> None:  # noqa: F811
    """The probe's own command: it fails until the model answers, and sends what it was told."""
    body = '@/etc/passwd "$HOME" ä'
    warm_up = WarmUp(path="/v1/models/api:predict", body=body, content_type="text/plain")
    result = expanded(lambda: declared(image=IMAGE, port=model.server_port, warm_up=warm_up))
    spec = result.inputs("api/deployment")["spec"]["template"]["spec"]
    command = spec["containers"][1]["startupProbe"]["exec"]["command"]
    codes = []
    for _Model.status in (503, 404, 200):
        done = subprocess.run(command, capture_output=True, check=False, env={"NO_PROXY": "*", "PATH": "/usr/bin:/bin"})
        codes.append(done.returncode)
    assert codes == [22, 22, 0]
    assert _Model.asked == [("/v1/models/api:predict", "text/plain", body)] * 3
