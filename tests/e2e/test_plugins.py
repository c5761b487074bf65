"""The way of the official plugins: the engine is told of them, downloads them and runs them as processes of their own.

Their real archives cannot be had on every network, so archives of the same form are served here from loopback; in them
are our own providers, started as plugins are. `make conformance` does the same with the real ones.
"""

from __future__ import annotations

import functools
import http.server
import importlib.metadata
import io
import platform
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import Lab, close_lab, new_lab
from tests.e2e.test_thread import THREAD

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PLUGINS = {"aws": "pulumi-aws", "kubernetes": "pulumi-kubernetes"}


def archive(folder: Path, package: str) -> Path:
    """A plugin archive as Pulumi publishes them: one executable, named after the package."""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    version = importlib.metadata.version(PLUGINS[package])
    path = folder / f"pulumi-resource-{package}-v{version}-{sys.platform}-{machine}.tar.gz"
    script = f"#!/bin/sh\nexec {sys.executable} -m mlinfra.providers.{package}\n".encode()
    member = tarfile.TarInfo(f"pulumi-resource-{package}")
    member.size, member.mode = len(script), 0o755
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(member, io.BytesIO(script))
    return path


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str] = []

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        self.asked.append(self.path)


@pytest.fixture(scope="module")
def plugin_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("plugins")
    for package in PLUGINS:
        archive(folder, package)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def official(tmp_path_factory: pytest.TempPathFactory, tools: Mapping[str, Path], plugin_server: str) -> Iterator[Lab]:
    """A project whose cache has no plugins yet."""
    lab = new_lab(tmp_path_factory.mktemp("official"))
    lab.environment = {
        "MLINFRA_CACHE": str(tmp_path_factory.mktemp("cache")),
        "MLINFRA_PLUGIN_SERVER": plugin_server,
        **{f"MLINFRA_TOOL_{name.upper().replace('-', '_')}": str(path) for name, path in tools.items()},
    }
    yield lab
    close_lab(lab)


def test_plugins_are_downloaded_and_used(official: Lab) -> None:
    lab = official
    lab.blueprint("thread", THREAD)
    lab.stack("thread", target={"kind": "local", "provider": "official"})
    assert lab.report("up", "--stack", "thread", "--yes")["counts"] == {"create": 2}
    plugins = Path(lab.environment["MLINFRA_CACHE"]) / "plugins"
    for package, distribution in PLUGINS.items():
        version = importlib.metadata.version(distribution)
        assert (plugins / f"resource-{package}-v{version}" / f"pulumi-resource-{package}").is_file()
    assert [bucket["Name"] for bucket in lab.client("thread", "s3").list_buckets()["Buckets"]] == ["thread-data"]
    downloads = len(Quiet.asked)
    assert downloads
    assert lab.report("up", "--stack", "thread", "--yes")["counts"] == {"same": 2}
    assert len(Quiet.asked) == downloads, "a plugin that is there is not downloaded again"
    # The embedded providers and the plugins keep one form of state: a stack may change over and find nothing to do.
    lab.stack("thread", target={"kind": "local", "provider": "embedded"})
    assert lab.report("up", "--stack", "thread", "--yes")["counts"] == {"same": 2}
    lab.stack("thread", target={"kind": "local", "provider": "official"})
    assert lab.report("destroy", "--stack", "thread", "--yes")["counts"] == {"delete": 2}


def test_a_plugin_that_cannot_be_had_is_named(official: Lab) -> None:
    lab = official
    lab.environment["MLINFRA_PLUGIN_SERVER"] = "http://127.0.0.1:9"
    lab.blueprint("thread", THREAD)
    lab.stack("thread", target={"kind": "local", "provider": "official"})
    ran = lab.run("preview", "--stack", "thread", "--json", code=1)
    errors = [item for item in ran.lines("diagnostic") if item["severity"] == "error"]
    assert errors
    text = " ".join(item["summary"] + item.get("detail", "") for item in errors)
    assert "aws" in text or "kubernetes" in text
    assert "plugin" in text
