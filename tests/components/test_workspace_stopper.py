"""The program that stops a workspace, run as the pod runs it, against servers that answer as Jupyter and the API do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components import workspace_stopper
from mlinfra.components.workspace_access import PROGRAM

TOKEN = "sesame"


@dataclass
class Jupyter:
    """A notebook server, as far as the program asks it; times as Jupyter Server writes them."""

    used: timedelta = timedelta(minutes=5)
    started: timedelta = timedelta(hours=8)
    kernels: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, token: str) -> tuple[int, Any]:
        self.asked.append(path)
        if token != f"token {TOKEN}":
            return 403, {"message": "Forbidden"}
        if path.startswith("/api/kernels"):
            return 200, [{"id": "k", "name": "python3", "execution_state": state} for state in self.kernels]
        return 200, {
            "started": _written(self.started),
            "last_activity": _written(self.used),
            "connections": 1,
            "kernels": len(self.kernels),
        }


def _written(ago: timedelta) -> str:
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextmanager
def served() -> Iterator[Jupyter]:
    """A notebook server that answers."""
    it = Jupyter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = it.answer(self.path, self.headers.get("Authorization", ""))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    it.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jupyter]:
    with served() as it:
        monkeypatch.setenv("JUPYTER_URL", it.url)
        monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)
        yield it


def test_it_needs_nothing_but_the_standard_library() -> None:
    """It runs in whatever image serves Jupyter."""
    program = f"import sys; sys.argv = ['x']; exec(open({str(PROGRAM)!r}).read().replace('__main__', 'no'))"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)


@pytest.mark.parametrize(
    ("kernels", "used", "least", "most"),
    [
        ([], timedelta(minutes=90), 5399, 5430),
        (["idle"], timedelta(minutes=90), 5399, 5430),
        (["idle", "busy"], timedelta(minutes=90), 0, 0),
        ([], timedelta(hours=20), 8 * 3600 - 1, 8 * 3600 + 30),  # a server that has just been started again
        ([], timedelta(seconds=-30), 0, 0),
    ],
)
def test_how_long_nobody_used_it(jupyter: Jupyter, kernels: list[str], used: timedelta, least: int, most: int) -> None:
    jupyter.kernels, jupyter.used = kernels, used
    assert least <= workspace_stopper.idle_seconds(jupyter.url, TOKEN, time.time()) <= most
    assert all(path == "/api/status" or "no_track_activity" in path for path in jupyter.asked), "looking is no use"


def test_it_stops_what_is_idle_and_nothing_else(jupyter: Jupyter, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    stopped: list[tuple[str, Path]] = []
    monkeypatch.setattr(workspace_stopper, "scale_to_none", lambda name, access: stopped.append((name, access)))
    monkeypatch.setenv("API_ACCESS", "/access")
    jupyter.used = timedelta(minutes=59)
    assert workspace_stopper.look(60, "lab") is False
    assert stopped == []
    jupyter.used = timedelta(minutes=61)
    assert workspace_stopper.look(60, "lab") is True
    assert stopped == [("lab", Path("/access"))]
    assert capsys.readouterr().out == "not in use for 61 minutes: stopping\n"


def test_it_waits_for_a_server_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """As the first process of its container, which gets SIGTERM and has no default for it."""
    environment = {
        **os.environ,
        "JUPYTER_URL": "http://127.0.0.1:9",
        "JUPYTER_TOKEN": TOKEN,
        "API_ACCESS": str(tmp_path),
    }
    command = [sys.executable, "-u", str(PROGRAM), "60", "lab"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "cannot tell, or cannot stop it" in running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == 0
