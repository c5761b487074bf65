"""That the names which are read out of expressions are those that Prometheus looks up for them.

Prometheus here reads from a remote storage that has nothing and notes which series it is asked for (Prometheus, "Remote
Read API"): protobuf, compressed with snappy, of both as much as that takes.
"""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from mlinfra.components.promql import metrics_in
from tests.components.test_promql import CASES
from tests.monitoring.programs import program
from tests.monitoring.samples import configured
from tests.monitoring.test_live import answers, free_port, process, until


def unsnapped(data: bytes) -> bytes:
    """What a block of snappy holds (google/snappy, "format_description.txt")."""
    place, shift, out = 0, 0, bytearray()
    while data[place] & 0x80:
        place += 1
    place += 1
    while place < len(data):
        tag = data[place]
        place += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                wide = size - 59
                size = int.from_bytes(data[place : place + wide], "little")
                place += wide
            out += data[place : place + size + 1]
            place += size + 1
            continue
        if tag & 3 == 1:
            size, shift = 4 + (tag >> 2 & 7), (tag >> 5) << 8 | data[place]
            place += 1
        else:
            wide = 2 if tag & 3 == 2 else 4
            size, shift = 1 + (tag >> 2), int.from_bytes(data[place : place + wide], "little")
            place += wide
        for _ in range(size):
            out.append(out[-shift])
    return bytes(out)


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The numbers and values of a protobuf message's fields (Protocol Buffers, "Encoding")."""

    def varint() -> int:
        nonlocal place
        found, shift = 0, 0
        while True:
            byte = data[place]
            place += 1
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return found

    place = 0
    while place < len(data):
        key = varint()
        if key & 7 == 2:
            size = varint()
            yield key >> 3, data[place : place + size]
            place += size
        else:
            assert key & 7 == 0
            yield key >> 3, varint()


def asked_for(request: bytes) -> Iterator[str]:
    """The names that the queries of a ReadRequest match: `queries` 1, its `matchers` 3, with `name` 2, `value` 3."""
    for query in (value for number, value in fields(request) if number == 1):
        for matcher in (dict(fields(value)) for number, value in fields(query) if number == 3):
            if matcher.get(2) == b"__name__":
                assert matcher.get(1, 0) == 0, "it is equal to a name"
                yield matcher[3].decode()


class Storage(BaseHTTPRequestHandler):
    names: set[str]

    def do_POST(self) -> None:
        self.names.update(asked_for(unsnapped(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Encoding", "snappy")
        self.end_headers()
        self.wfile.write(bytes([2, 1 << 2, 0x0A, 0x00]))

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def storage() -> Iterator[tuple[int, set[str]]]:
    names: set[str] = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Noting", (Storage,), {"names": names})) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port, names
        server.shutdown()


def expressions() -> set[str]:
    """Those of every rule, and what the reader of names is tested with."""
    groups = [
        group
        for inputs in configured("rules.yml").values()
        for group in yaml.safe_load(inputs["data"]["rules.yml"])["groups"]
    ]
    return {rule["expr"] for group in groups for rule in group["rules"]} | set(CASES)


def test_prometheus_looks_up_the_metrics_that_are_read_out_of_each_expression(tmp_path: Path) -> None:
    with storage() as (port, names):
        remote = {"url": f"http://127.0.0.1:{port}/", "read_recent": True}
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"remote_read": [remote]}))
        own = free_port()
        with process(
            program("prometheus"),
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'series'}",
            f"--web.listen-address=127.0.0.1:{own}",
            log=tmp_path / "prometheus.log",
        ):
            until(lambda: answers(f"http://127.0.0.1:{own}/-/ready"), "Prometheus")
            for expression in sorted(expressions()):
                names.clear()
                query = urllib.parse.urlencode({"query": expression})
                assert answers(f"http://127.0.0.1:{own}/api/v1/query?{query}"), expression
                assert names == metrics_in(expression), expression
