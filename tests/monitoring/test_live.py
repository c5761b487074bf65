"""From a model that gets worse to the team that hears of it, on this machine: a model server, Prometheus and
Alertmanager with their generated files, and a webhook.

Three things of the files are changed: addresses are on loopback (what discovery in Kubernetes would find is given by
hand, and relabelled as there), the webhook is without TLS, and scrapes, waits and groups take a second.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_signals import Thresholds
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Receiver, Route, TeamRoute
from tests.monitoring.programs import alertmanager, program
from tests.monitoring.samples import IMAGE, expanded

SERVER = Path(__file__).parents[1] / "serving" / "model_server.py"
META = "__meta_kubernetes_pod"
PATIENCE = 180


def watched() -> Monitoring:
    cluster = TrainingCluster("train")
    api = Endpoint("api", cluster=cluster, image=IMAGE, team="ads", thresholds=Thresholds(accuracy=0.9))
    ads = TeamRoute(
        critical=Receiver("webhook:https://ads.example.com/critical"),
        warning=Receiver("webhook:https://ads.example.com/warning"),
    )
    others = Receiver("webhook:https://all.example.com/other")
    route = Route(critical=others, warning=others, teams={"ads": ads})
    return Monitoring("watch", cluster=cluster, watches=[api], route=route)


class Webhook(BaseHTTPRequestHandler):
    """Notes what Alertmanager tells it."""

    told: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition; it is told what did not come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come")


def answers(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read() or True
    except (urllib.error.URLError, OSError):
        return None


@contextmanager
def process(*command: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as errors:
        started = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=errors)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)
        assert started.stdout is not None
        started.stdout.close()


@contextmanager
def webhook() -> Iterator[tuple[int, list[tuple[str, dict[str, Any]]]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    handler = type("Noting", (Webhook,), {"told": told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port, told
        server.shutdown()


def in_seconds(text: str) -> str:
    """Minutes and half minutes of waiting as seconds; what is rated over minutes stays."""
    return re.sub(r"((?:scrape_interval|evaluation_interval|group_wait|group_interval): )\d+[ms]", r"\g<1>1s", text)


def prometheus_files(data: dict[str, str], folder: Path, model: int, own: int, manager: int) -> Path:
    config = yaml.safe_load(in_seconds(data["prometheus.yml"]))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    del jobs["pods"]["kubernetes_sd_configs"]
    annotation = f"{META}_annotation_prometheus_io"
    labels = {
        f"{META}_ip": "127.0.0.1",
        f"{META}_name": "api-0",
        f"{META}_phase": "Running",
        f"{META}_label_mlinfra_dev_component": "api",
        f"{annotation}_scrape": "true",
        f"{annotation}_port": str(model),
        f"{annotation}_path": "/metrics",
    }
    jobs["pods"]["static_configs"] = [{"targets": ["127.0.0.1:1"], "labels": labels}]
    jobs["prometheus"]["static_configs"] = [{"targets": [f"127.0.0.1:{own}"]}]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]
    config["rule_files"] = [str(folder / "rules.yml")]
    rules = yaml.safe_load(data["rules.yml"])
    for rule in (item for group in rules["groups"] for item in group["rules"]):
        if rule.get("alert") == "ApiInaccurate":
            rule["for"] = "1s"
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


def ask(port: int, path: str, body: dict[str, Any]) -> str:
    """A request to the model server; returns its id."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.headers["X-Request-Id"])


def serve(port: int, times: int, truth: str) -> None:
    """Predictions for somebody of age, and what was true of each."""
    for _ in range(times):
        ask(port, "/label", {"request_id": ask(port, "/predict", {"age": 30}), "truth": truth})


@pytest.mark.slow
def test_a_model_that_gets_worse_is_told_to_its_team_as_critical_and_over_when_it_is_over(tmp_path: Path) -> None:
    nodes = expanded(watched()).nodes
    with ExitStack() as all_of:
        hook, told = all_of.enter_context(webhook())
        model_server = all_of.enter_context(process(sys.executable, SERVER, "wsgiref", log=tmp_path / "model.log"))
        assert model_server.stdout is not None
        model, own, manager = int(model_server.stdout.readline()), free_port(), free_port()

        data = nodes["watch/config"].inputs["data"]
        config = prometheus_files(data, tmp_path, model, own, manager)
        routes = in_seconds(nodes["watch/alertmanager-config"].inputs["data"]["alertmanager.yml"])
        local = re.sub(r"url: https://\w+[.]example[.]com", f"url: http://127.0.0.1:{hook}", routes)
        (tmp_path / "alertmanager.yml").write_text(local)

        all_of.enter_context(
            process(
                *alertmanager(),
                f"--config.file={tmp_path / 'alertmanager.yml'}",
                f"--storage.path={tmp_path / 'alerts'}",
                f"--web.listen-address=127.0.0.1:{manager}",
                "--cluster.listen-address=",
                log=tmp_path / "alertmanager.log",
            )
        )
        until(lambda: answers(f"http://127.0.0.1:{manager}/-/ready"), "Alertmanager")
        serve(model, 20, "yes")
        all_of.enter_context(
            process(
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'series'}",
                f"--web.listen-address=127.0.0.1:{own}",
                log=tmp_path / "prometheus.log",
            )
        )
        until(lambda: answers(f"http://127.0.0.1:{own}/-/ready"), "Prometheus")

        query = f"http://127.0.0.1:{own}/api/v1/query?query=model_accuracy"
        found = until(lambda: json.loads(answers(query) or b"{}").get("data", {}).get("result"), "the accuracy")
        assert {key: found[0]["metric"][key] for key in ("component", "pod", "job")} == {
            "component": "api",
            "pod": "api-0",
            "job": "pods",
        }
        assert found[0]["value"][1] == "1"
        assert not [body for path, body in told if path == "/critical"], "all is well"

        serve(model, 20, "no")
        body = until(lambda: next((it for path, it in told if path == "/critical"), None), "the alert")
        assert body["status"] == "firing"
        (alert,) = body["alerts"]
        assert alert["annotations"]["summary"] == "Endpoint api has a model whose accuracy is below 0.9"
        expected = {
            "alertname": "ApiInaccurate",
            "severity": "critical",
            "component": "api",
            "team": "ads",
            "blueprint": "sample",
            "environment": "prod",
            "receiver": "webhook:https://ads.example.com/critical",
        }
        assert {key: alert["labels"][key] for key in expected} == expected

        serve(model, 400, "yes")
        until(lambda: ("/critical", "resolved") in [(path, it["status"]) for path, it in told], "the end")
        assert all(path == "/critical" for path, it in told if it["commonLabels"].get("component") == "api")
