"""A canary's world as processes: Argo Rollouts' controller, Prometheus, and what a model's pods would tell it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from mlinfra.local.ports import choose
from mlinfra.tools.install import ensure

LABELS = {"component": "api", "variant": "canary"}


def eventually(ask: Callable[[], Any], seconds: float = 120, pause: float = 0.3) -> Any:
    """The first answer that is true, or the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer


@dataclass
class Model:
    """The metrics of a new version's pods, as `mlinfra.serving` gives them: how well it answers can be set.

    Counters grow with time, `rate` requests a second, of which `failing` percent end with status 500.
    """

    rate: float = 50.0
    failing: float = 0.0
    accuracy: float = 0.95
    _good: float = 0.0
    _bad: float = 0.0
    _since: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def text(self) -> str:
        """The metrics just now, in Prometheus' text format."""
        with self._lock:
            now = time.monotonic()
            came, self._since = (now - self._since) * self.rate, now
            self._bad += came * self.failing / 100
            self._good += came * (1 - self.failing / 100)
            every = self._good + self._bad
            lines = [
                "# TYPE http_requests_total counter",
                f'http_requests_total{{status="200"}} {self._good}',
                f'http_requests_total{{status="500"}} {self._bad}',
                "# TYPE http_request_duration_seconds histogram",
                *(f'http_request_duration_seconds_bucket{{le="{le}"}} {every}' for le in ("0.1", "0.5", "+Inf")),
                f"http_request_duration_seconds_sum {every * 0.05}",
                f"http_request_duration_seconds_count {every}",
                "# TYPE model_accuracy gauge",
                f'model_accuracy{{model_version="2"}} {self.accuracy}',
            ]
        return "\n".join(lines) + "\n"


@contextmanager
def served(model: Model) -> Iterator[int]:
    """The model's metrics over HTTP: the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = model.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            with suppress(BrokenPipeError):  # who asked did not wait for it
                self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[str]:
    """A real Prometheus that scrapes one target every second, with the labels of a canary's pods: its address."""
    (port,) = choose(1)
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "pods", "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": LABELS}]}
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    program = ensure(["prometheus"])["prometheus"]
    command = [
        str(program),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    address = f"http://127.0.0.1:{port}"
    with _process(command, folder / "prometheus.log"):
        assert eventually(lambda: _answers(f"{address}/-/ready"), 60)
        yield address


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class Controller:
    """Argo Rollouts' controller, which can be killed and started again."""

    kubeconfig: str
    folder: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it takes up what there is."""
        program = ensure(["rollouts-controller"])["rollouts-controller"]
        metrics, health = choose(2)
        command = [
            str(program),
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",  # another one would wait for the lease of one that was killed
            f"--metricsport={metrics}",
            f"--healthzPort={health}",
        ]
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "controller.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, stdin=subprocess.DEVNULL)
        assert eventually(lambda: _answers(f"http://127.0.0.1:{health}/healthz"), 60), "the controller does not answer"

    def kill(self) -> None:
        """As a machine that fails."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            self.kill()


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)
