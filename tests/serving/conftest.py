"""Request logs as they lie in a folder, and moto's S3 over HTTP."""

from __future__ import annotations

import gzip
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

Records = Callable[[Path], list[dict[str, Any]]]


def lines(body: bytes) -> list[dict[str, Any]]:
    """The records of one object."""
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


@pytest.fixture
def records() -> Records:
    """Reads all records under a folder, in the order of their times."""

    def read(folder: Path) -> list[dict[str, Any]]:
        found = [record for path in sorted(folder.rglob("*.jsonl.gz")) for record in lines(path.read_bytes())]
        return sorted(found, key=lambda record: str(record.get("time")))

    return read


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's S3, where boto3 finds it by the environment; with the bucket `logs`."""
    import boto3

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", b"", timeout=30).close()  # state is the process's
    client = boto3.client("s3")
    client.create_bucket(Bucket="logs")
    yield client
    server.stop()
