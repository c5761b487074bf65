from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components import endpoint_auth
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_values import ApiKeys
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Image

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
FIRST, SECOND = "first-" + "a" * 32, "second-" + "b" * 32
WAIT = 30.0


def endpoint(inside: bool = True, network: Any = "closed", **fields: Any) -> Endpoint:
    cluster = TrainingCluster("train", network=network)
    places = [cluster] if inside else []
    keys = [ManagedSecret("shop", in_cluster=places), ManagedSecret("ads", in_cluster=places, generation=3)]
    return Endpoint("api", cluster=cluster, image=IMAGE, auth=ApiKeys(keys=keys), **fields)


def test_the_service_leads_to_the_proxy_and_the_proxy_to_the_model(expanded: Any) -> None:
    result = expanded(endpoint)
    assert result.codes == []
    template = result.inputs("api/deployment")["spec"]["template"]
    (proxy,) = template["spec"]["initContainers"]
    (serve,) = template["spec"]["containers"]
    assert proxy["restartPolicy"] == "Always"
    assert proxy["ports"] == [{"name": "http", "containerPort": 8400, "protocol": "TCP"}]
    assert serve["ports"] == [{"name": "model", "containerPort": 8080, "protocol": "TCP"}]
    assert {serve[name]["httpGet"]["port"] for name in ("startupProbe", "readinessProbe", "livenessProbe")} == {"model"}
    assert result.inputs("api/service")["spec"]["ports"][0]["targetPort"] == "http"
    (calls,) = result.inputs("api/callers")["spec"]["ingress"]
    assert calls["ports"] == [{"port": 8400, "protocol": "TCP"}]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "8401"
    (scrapes,) = result.inputs("api/scraped")["spec"]["ingress"]
    assert scrapes["ports"] == [{"port": 8401, "protocol": "TCP"}]


def test_keys_are_told_to_the_proxy_alone(expanded: Any) -> None:
    result = expanded(endpoint)
    template = result.inputs("api/deployment")["spec"]["template"]
    (proxy,) = template["spec"]["initContainers"]
    assert [item["name"] for item in proxy["env"]] == ["API_KEY_1", "API_KEY_2"]
    assert {item["valueFrom"]["secretKeyRef"]["key"] for item in proxy["env"]} == {"value"}
    assert not [item for item in template["spec"]["containers"][0]["env"] if "valueFrom" in item]
    assert template["metadata"]["annotations"]["mlinfra.dev/keys"] == "shop-1,ads-3"
    assert "role" not in result.names_of("api")


def test_keys_have_to_be_in_the_namespace_and_that_has_to_be_closed(expanded: Any) -> None:
    assert expanded(lambda: endpoint(inside=False)).codes == ["endpoint-key-elsewhere"] * 2
    assert expanded(lambda: endpoint(network="open")).codes == ["endpoint-auth-open-network"]


# ------------------------------------------------------------------------------------------------ the real proxy


class _Model(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.path} {sorted(key.lower() for key in self.headers)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def model() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def proxy(model: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """HAProxy with the configuration that pods get, on ports of its own; those of callers and of metrics."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("HAProxy is not there")
    ports = _free(), _free()
    text = endpoint_auth.configuration(endpoint(port=model), 2)
    for usual, port in zip((endpoint_auth.PORT, endpoint_auth.METRICS_PORT), ports, strict=True):
        text = text.replace(f"bind :{usual}", f"bind 127.0.0.1:{port}")
    file = tmp_path_factory.mktemp("proxy") / endpoint_auth.FILE
    file.write_text(text)
    environment = {"API_KEY_1": FIRST, "API_KEY_2": SECOND, "PATH": str(Path(program).parent) + ":/usr/bin:/bin"}
    subprocess.run([program, "-c", "-f", file], check=True, env=environment, capture_output=True)
    with subprocess.Popen([program, "-db", "-f", file], env=environment) as running:
        for port in ports:
            _until_open(port)
        yield ports
        running.terminate()
        running.wait(timeout=WAIT)


def _until_open(port: int) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT * 10)):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pause.wait(0.1)
        else:
            return
    raise AssertionError(f"nothing answers at port {port}")


def ask(port: int, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-Key": FIRST}, 200),
        ({"X-API-Key": SECOND}, 200),
        ({"Authorization": f"Bearer {SECOND}"}, 200),
        ({"X-API-Key": FIRST[:-1]}, 401),
        ({"X-API-Key": FIRST + "a"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"Authorization": f"Basic {FIRST}"}, 401),
        ({"X-API-Key": f"{FIRST}, {SECOND}"}, 401),
        ({"X-API-Key": "wrong", "Authorization": f"Bearer {FIRST}"}, 401),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_a_key_lets_in(proxy: tuple[int, int], headers: dict[str, str], status: int, method: str) -> None:
    found, body = ask(proxy[0], "/predict", headers, method)
    assert found == status
    assert ("x-api-key" in body.lower()) == (status == 401)
    assert "authorization" not in body
    assert FIRST not in body


@pytest.mark.parametrize(
    ("port", "path", "status"),
    [
        *((0, "/healthz", 200), (0, "/healthz/../predict", 401), (0, "/metrics", 401)),
        *((1, "/metrics", 200), (1, "/predict", 403), (1, "/metrics/../predict", 403)),
    ],
)
def test_health_and_metrics_need_no_key(proxy: tuple[int, int], port: int, path: str, status: int) -> None:
    assert ask(proxy[port], path, {})[0] == status
