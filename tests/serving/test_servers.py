"""Real servers as processes of their own, spoken to over HTTP and scraped as Prometheus does."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlinfra.serving import write_profile
from tests.serving.conftest import Records, lines

KINDS = ("wsgiref", "werkzeug", "uvicorn")
FIELDS = ["time", "request_id", "model_version", "profile", "inputs", "prediction", "seconds", "status"]
ROOT = Path(__file__).parents[2]


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, content
        finally:
            connection.close()

    def scrape(self) -> dict[str, float]:
        """Samples by their name with its labels, as Prometheus would write it."""
        status, headers, body = self.ask("GET", "/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain")
        found = {}
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run(kind: str, **env: str) -> Server:
        kept = {name: value for name, value in os.environ.items() if name not in ("MODEL_URI", "REQUEST_LOG_URI")}
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("model_server.py"), kind],
            stdout=subprocess.PIPE,
            text=True,
            env={**kept, "PYTHONPATH": str(ROOT), "MODEL_VERSION": "41", "MLINFRA_COMPONENT": "api", **env},
        )
        running.append(process)
        assert process.stdout
        return Server(process, int(process.stdout.readline()))

    yield run
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_and_log_of_a_server(start: Start, kind: str, tmp_path: Path, records: Records) -> None:
    digest = write_profile({"age": [17, 18, 40]}, tmp_path / "model")
    server = start(
        kind, REQUEST_LOG_URI=str(tmp_path / "log"), MODEL_URI=f"file://{tmp_path}/model", HOSTNAME="api-7d9f-x2x"
    )
    assert server.ask("GET", "/healthz")[0] == 404  # the application has none, and it is not counted
    before = server.scrape()
    assert not any(name.startswith(("http_requests_total", "model_accuracy")) for name in before)
    assert before['model_info{model_version="41"}'] == 1

    status, headers, body = server.ask("POST", "/predict", {"age": 18, "email": "a@example.com"})
    assert (status, json.loads(body)) == (200, {"prediction": "yes"})
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    given = server.ask("POST", "/predict", {"age": 17}, **{"X-Request-Id": "caller-1"})
    assert given[1]["x-request-id"] == "caller-1"
    assert (
        server.ask("POST", "/label", {"request_id": headers["x-request-id"], "truth": "yes"})[2] == b'{"known": true}'
    )
    assert server.ask("POST", "/label", {"request_id": "caller-1", "truth": "yes"})[2] == b'{"known": true}'
    assert server.ask("POST", "/label", {"request_id": "caller-1", "truth": "yes"})[2] == b'{"known": false}'
    assert server.ask("POST", "/boom", {})[0] == 500
    assert server.ask("GET", "/stream", **{"X-Request-Id": "caller-2"})[2] == b"noyes"

    found = server.scrape()
    assert found['http_requests_total{status="200"}'] == 6
    assert found['http_requests_total{status="500"}'] == 1
    assert found["http_request_duration_seconds_count"] == 7
    assert found['http_request_duration_seconds_bucket{le="+Inf"}'] == 7
    assert found["model_latency_seconds_count"] == 4
    assert found['model_accuracy{model_version="41"}'] == 0.5
    assert found["request_log_dropped_total"] == 0

    server.stop()
    logged = records(tmp_path / "log")
    seen = [(record["inputs"], record["prediction"], record["status"]) for record in logged]
    assert seen == [
        ({"age": 18}, "yes", 200),
        ({"age": 17}, "no", 200),
        ({"age": None}, None, 500),
        ({"age": 17}, "no", 200),
        ({"age": 18}, "yes", 200),
    ]
    assert [record["request_id"] for record in logged][1::2] == ["caller-1", "caller-2"]
    assert logged[-1]["request_id"] == "caller-2-2"
    assert {record["model_version"] for record in logged} == {"41"}
    assert {record["profile"] for record in logged} == {digest}
    assert all(list(record) == FIELDS for record in logged)
    [path] = {path.relative_to(tmp_path / "log").as_posix() for path in (tmp_path / "log").rglob("*.gz")}
    assert re.fullmatch(r"api/date=\d{4}-\d\d-\d\d/\d\d-api-7d9f-x2x-\d+\.jsonl\.gz", path)


def test_the_log_of_a_server_in_a_bucket(start: Start, s3: Any) -> None:
    server = start("uvicorn", REQUEST_LOG_URI="s3://logs/requests", HOSTNAME="api-0")
    for age in range(20):
        server.ask("POST", "/predict", {"age": age})
    server.stop()
    [item] = s3.list_objects_v2(Bucket="logs")["Contents"]
    assert re.fullmatch(r"requests/api/date=\d{4}-\d\d-\d\d/\d\d-api-0-\d+\.jsonl\.gz", item["Key"])
    body = s3.get_object(Bucket="logs", Key=item["Key"])["Body"].read()
    assert [record["inputs"]["age"] for record in lines(body)] == list(range(20))


def test_a_server_that_catches_everything_ends_in_the_middle_of_an_answer(start: Start, tmp_path: Path) -> None:
    """wsgiref answers with a 500 whatever an application raises, also what would end the process."""
    server = start("wsgiref", REQUEST_LOG_URI=str(tmp_path / "log"))
    server.ask("POST", "/predict", {"age": 18})
    with pytest.raises((http.client.HTTPException, OSError)):
        server.ask("POST", "/terminated")
    assert server.process.wait(30) == 128 + signal.SIGTERM
    [path] = (tmp_path / "log").rglob("*.gz")
    assert [record["inputs"] for record in lines(path.read_bytes())] == [{"age": 18}]


def test_a_sink_that_is_down_fails_no_request(start: Start, tmp_path: Path) -> None:
    """The log's folder cannot be made, as a file is in its place."""
    (tmp_path / "log").write_text("in the way")
    server = start("werkzeug", REQUEST_LOG_URI=str(tmp_path / "log"))
    assert {server.ask("POST", "/predict", {"age": age})[0] for age in range(30)} == {200}
    assert server.scrape()['http_requests_total{status="200"}'] == 30


def test_workers_of_one_server_tell_of_all(tmp_path: Path) -> None:
    """PROMETHEUS_MULTIPROC_DIR is prometheus_client's own way for servers of several processes, such as gunicorn."""
    program = (
        "import os\nfrom mlinfra.serving import Served\nserved = Served.from_environment()\n"
        "for _ in range(2):\n    if (child := os.fork()) == 0:\n"
        "        with served.request({'age': 1}, request_id='x') as seen:\n            seen.prediction = 1\n"
        "        served.labelled('x', 1)\n        served.close()\n        os._exit(0)\n    os.waitpid(child, 0)\n"
        "print(served.text().decode())\nserved.close()\n"
    )
    log = tmp_path / "log"
    env = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "MODEL_VERSION": "2", "REQUEST_LOG_URI": str(log)}
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | env, capture_output=True, text=True, check=True, cwd=ROOT
    )
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(run.stdout)
        for sample in family.samples
        if "bucket" not in sample.name
    }
    assert found["http_requests_total"] == 2
    assert found["model_latency_seconds_count"] == 2
    assert found["model_accuracy"] == 1
    assert found["model_info"] == 1
    assert len(list(log.rglob("*.jsonl.gz"))) == 2
