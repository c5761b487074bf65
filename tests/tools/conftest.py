"""A release site on loopback whose files, and misbehaviour, each test chooses."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """`files` by path; `short` paths end so many bytes early, `silent` ones never answer, `slow` ones wait so long."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    slow: dict[str, float] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path
            here.asked[path] += 1
            if path in here.silent:
                stop.wait(30)
                return
            time.sleep(here.slow.get(path, 0))
            content = here.files.get(path)
            if content is None:
                self.send_error(404)
                return
            start = 0
            if wanted := self.headers.get("Range"):
                here.ranges.append(wanted)
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = len(content) - here.short.get(path, 0)
            self.wfile.write(content[start:end])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield here
    stop.set()
    server.shutdown()
    server.server_close()
