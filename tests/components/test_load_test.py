from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.load_test import SCRIPT, LoadTest
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.secret_sources import FromEnvironment
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.expansion import Expansion, Scope
from mlinfra.graph import Ref
from tests.components import kubelet
from tests.components.conftest import LOCAL

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
CONFIG = {"rate": 20, "seconds": 5, "latency_seconds": 2.0, "timeout_seconds": 2.0, "clients": 10}


def load(**fields: Any) -> LoadTest:
    api = Endpoint("api", cluster=TrainingCluster("train"), image=IMAGE, latency_seconds=0.25)
    return LoadTest("burst", **{"target": api, "rate": 50, **fields})


def config(result: Any) -> Any:
    return result.inputs("burst/config")["data"]["config.json"].value


def test_what_it_comes_to(expanded: Any) -> None:
    result = expanded(load)
    assert result.names_of("burst") == {"service-account", "config", "script", "template"}
    assert result.diagnostics == ()
    template = result.inputs("burst/template")["spec"]
    assert template["suspend"] is True
    spec = template["jobTemplate"]["spec"]
    assert (spec["backoffLimit"], spec["completions"]) == (0, 1)  # a threshold that was not kept is no accident
    (container,) = spec["template"]["spec"]["containers"]
    assert container["image"].startswith("docker.io/grafana/k6@sha256:")
    assert container["command"][-1] == "/etc/mlinfra/load_test.js"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "TARGET_URL" not in kubelet.written(container)


def test_what_is_sent_is_data(expanded: Any) -> None:
    sent = config(expanded(lambda: load(path="/predict", bodies=[{"x": [1, 2]}], headers={"X-Test": "1"})))
    assert (sent["rate"], sent["seconds"], sent["path"], sent["bodies"]) == (50, 60, "/predict", [{"x": [1, 2]}])
    assert sent["latency_seconds"] == 0.25  # as the endpoint's alert says
    assert sent["url"] == load().target.url
    assert config(expanded(lambda: load(latency_seconds=0.1)))["latency_seconds"] == 0.1


def test_a_gate_calls_the_new_version(expanded: Any) -> None:
    made = load()
    expansion = Expansion("sample", "1.0.0", LOCAL)
    spec = made.job_spec(Scope(expansion, made.target), "http://api-canary.ns.svc:8080")
    (container,) = spec["template"]["spec"]["containers"]
    assert kubelet.written(container)["TARGET_URL"] == "http://api-canary.ns.svc:8080"
    # Its pods are not the endpoint's: they would get requests.
    assert spec["template"]["metadata"]["labels"]["mlinfra.dev/component"] == "burst"
    assert spec["template"]["spec"]["serviceAccountName"] == Ref("burst/service-account", ("metadata", "name"))


def test_a_key_is_referred_to(expanded: Any) -> None:
    def declare() -> LoadTest:
        cluster = TrainingCluster("train")
        key = ManagedSecret("key", value_from=FromEnvironment("KEY"), in_cluster=[cluster])
        return load(target=Endpoint("api", cluster=cluster, image=IMAGE), api_key=key)

    (container,) = expanded(declare).inputs("burst/template")["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ]
    (found,) = [item for item in container["env"] if item["name"] == "API_KEY"]
    assert found["valueFrom"]["secretKeyRef"]["key"] == "value"
    assert expanded(lambda: load(api_key=ManagedSecret("key", value_from=FromEnvironment("KEY")))).codes == [
        "load-test-secret-elsewhere"
    ]


def test_it_runs_where_the_endpoint_may_be_called_from(expanded: Any) -> None:
    def elsewhere(*, called: bool) -> LoadTest:
        cluster = TrainingCluster("train")
        team = Team("search", cluster=cluster, developers=["devs"])
        api = Endpoint("api", cluster=cluster, image=IMAGE, callers=[team] if called else [])
        return load(target=api, cluster=team)

    assert expanded(lambda: elsewhere(called=False)).codes == ["load-test-not-a-caller"]
    assert expanded(lambda: elsewhere(called=True)).codes == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"method": "GET", "bodies": [1]}, "a GET request has none"),
        ({"bodies": [{"x": "y" * 600_000}]}, "more than 524,288"),
        ({"bodies": [{"x": float("inf")}]}, "bodies"),
        ({"rate": 0}, "greater than or equal to 1"),
        ({"path": "predict"}, "pattern"),
        ({"headers": {"a b": "c"}}, "pattern"),
    ],
)
def test_what_cannot_be(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        load(**fields)


class Model(BaseHTTPRequestHandler):
    """A model server that fails or waits as it is told to, and notes what it was sent."""

    fails: ClassVar[bool] = False
    waits: ClassVar[float] = 0.0
    seen: ClassVar[list[tuple[str, str | None, Any]]] = []

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.seen.append((self.path, self.headers["Authorization"], body))
        time.sleep(self.waits)
        self.send_response(500 if self.fails else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def model() -> Iterator[str]:
    Model.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


KEPT, BROKEN = 0, 99
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "all is well": ({}, {}, KEPT),
    "what is asked for without a body": ({"method": "GET", "bodies": []}, {}, KEPT),
    "answers that are errors": ({}, {"fails": True}, BROKEN),
    "answers that come too late": ({"latency_seconds": 0.001}, {"waits": 0.01}, BROKEN),
    "nobody answers": ({}, {"url": "http://127.0.0.1:1"}, BROKEN),
}


@pytest.mark.skipif(shutil.which("k6") is None, reason="k6 is not on PATH")
@pytest.mark.parametrize(("fields", "world", "code"), RUNS.values(), ids=RUNS)
def test_k6_keeps_or_breaks_the_thresholds(
    expanded: Any, tmp_path: Path, model: str, fields: dict[str, Any], world: dict[str, Any], code: int
) -> None:
    Model.fails, Model.waits = world.get("fails", False), world.get("waits", 0.0)
    sent = config(expanded(lambda: load(**{**CONFIG, "path": "/predict", "bodies": [{"x": 1}], **fields})))
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**sent, "url": "http://nobody.invalid"}))
    target = world.get("url", model)
    env = {"MLINFRA_CONFIG": str(file), "TARGET_URL": target, "API_KEY": "key", "HOME": str(tmp_path)}
    command = ["k6", "run", "--quiet", "--no-color", "--address", "", str(SCRIPT)]
    ran = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    if target == model:
        assert ("/predict", "Bearer key", {"x": 1} if sent["bodies"] else None) in Model.seen
        assert len(Model.seen) >= 20
