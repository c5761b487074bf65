from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.report import Event, State, Task
from mlinfra.tools.find import cached_path, tools_folder
from mlinfra.tools.install import ensure, prune
from mlinfra.tools.table import TOOLS, this_platform

SCRIPT = b"#!/bin/sh\necho Kubernetes v1.34.2\n"


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site) -> None:
    """No tool, no Go, no Python index; the mirror is the only way out."""
    monkeypatch.setenv("MLINFRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLINFRA_TOOLS_MIRROR", site.url)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("UV_OFFLINE", "UV_NO_INDEX", "PIP_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS", *(tool.variable for tool in TOOLS.values())):
        monkeypatch.delenv(name, raising=False)
    # The table's Linux releases on whatever machine this runs.
    monkeypatch.setattr("mlinfra.tools.installation.this_platform", lambda: ("linux", "amd64"))


def publish(site, name: str, content: bytes = SCRIPT) -> str:
    path = f"/dl.k8s.io/release/v1.34.2/bin/linux/amd64/{name}"
    site.files[path] = content
    site.files[path + ".sha256"] = hashlib.sha256(content).hexdigest().encode()
    return path


def test_what_is_there_costs_no_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(SCRIPT)
    mine.chmod(0o755)
    monkeypatch.setenv("MLINFRA_TOOL_KUBE_SCHEDULER", str(mine))
    events: list[Event] = []
    assert ensure(["kube-scheduler"], events.append) == {"kube-scheduler": mine}
    assert events == []


def test_what_is_missing_is_fetched_once(site) -> None:
    names = ["kube-scheduler", "kube-apiserver"]
    paths = [publish(site, name) for name in names]
    events: list[Event] = []
    found = ensure(names, events.append)
    assert found == {name: cached_path(TOOLS[name]) for name in names}
    assert all(path.read_bytes() == SCRIPT for path in found.values())
    assert {(event.name, event.state) for event in events if isinstance(event, Task)} >= {
        ("download kube-scheduler 1.34.2", State.DONE),
        ("download kube-apiserver 1.34.2", State.DONE),
    }
    assert ensure(names) == found
    assert [site.asked[path] for path in paths] == [1, 1]


def test_where_nothing_can_be_had_every_source_is_named(site) -> None:
    publish(site, "kube-scheduler")
    events: list[Event] = []
    with pytest.raises(MlinfraError) as caught:
        ensure(["kube-scheduler", "kwok"], events.append)
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.summary == "kwok 0.7.0 is not here and could not be had"
    for source in ("not on PATH", "official release: ", "answers 404", "no `go` on PATH", "Python index"):
        assert source in diagnostic.detail
    assert "MLINFRA_TOOL_KWOK" in diagnostic.remedy
    assert cached_path(TOOLS["kube-scheduler"]).exists()
    told = [event.detail for event in events if isinstance(event, Task)]
    assert "1 to build from source (kwok): about 2 min on two cores" in told


def test_a_release_that_does_not_run_here_is_not_kept(site) -> None:
    publish(site, "kube-scheduler", b"\x7fELF of another machine")
    with pytest.raises(MlinfraError) as caught:
        ensure(["kube-scheduler"])
    assert "does not run on this machine" in caught.value.diagnostics[0].detail
    assert not cached_path(TOOLS["kube-scheduler"]).exists()


def test_a_platform_without_a_release_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlinfra.tools.installation.this_platform", lambda: ("linux", "riscv64"))
    with pytest.raises(MlinfraError) as caught:
        ensure(["etcd"])
    assert "no official release for linux/riscv64" in caught.value.diagnostics[0].detail


def tarball(folder: str, **programs: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in programs.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_tools_of_one_archive_are_downloaded_once(site) -> None:
    folder = "prometheus-3.5.0.linux-amd64"
    programs = {name: f"#!/bin/sh\necho '{name}, version 3.5.0'\n".encode() for name in ("prometheus", "promtool")}
    base = "/github.com/prometheus/prometheus/releases/download/v3.5.0"
    content = tarball(folder, **programs)
    site.files[f"{base}/{folder}.tar.gz"] = content
    site.files[f"{base}/sha256sums.txt"] = f"{hashlib.sha256(content).hexdigest()}  {folder}.tar.gz\n".encode()
    found = ensure(["prometheus", "promtool"])
    assert {name: path.read_bytes() for name, path in found.items()} == programs
    assert site.asked[f"{base}/{folder}.tar.gz"] == 1
    assert not list((tools_folder() / "downloads").iterdir())


def test_without_release_and_package_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MlinfraError) as caught:
        ensure(["prometheus", "promtool"])
    for name, diagnostic in zip(("prometheus", "promtool"), caught.value.diagnostics, strict=True):
        assert diagnostic.summary == f"{name} 3.5.0 is not here and could not be had"
        for source in ("not on PATH", "answers 404", "Debian package prometheus: there is no `apt-get` on PATH"):
            assert source in diagnostic.detail


def test_too_small_a_disk_is_told_before_it_fills(monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 10**8))
    with pytest.raises(MlinfraError) as caught:
        ensure(["kwok"])
    assert "0.1 GB are free" in caught.value.diagnostics[0].summary


TWO_AT_ONCE = """
import sys
from unittest import mock
from mlinfra.tools import install, installation
with mock.patch.object(installation, "this_platform", lambda: ("linux", "amd64")):
    print(install.ensure(["kube-scheduler"])["kube-scheduler"])
"""


def test_two_processes_at_once_do_the_work_once(site) -> None:
    path = publish(site, "kube-scheduler")
    site.slow[path] = 0.5
    processes = [
        subprocess.Popen([sys.executable, "-c", TWO_AT_ONCE], stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(2)
    ]
    outputs = {process.communicate()[0].strip() for process in processes}
    assert outputs == {str(cached_path(TOOLS["kube-scheduler"]))}
    assert site.asked[path] == 1


def test_prune_keeps_the_tools_of_the_table(site) -> None:
    publish(site, "kube-scheduler")
    kept = ensure(["kube-scheduler"])["kube-scheduler"]
    old = tools_folder() / "kube-scheduler" / "1.30.0" / "kube-scheduler"
    rest = tools_folder().parent / "go" / "build" / "object"
    for path in (old, rest):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 1000)
    assert prune() >= 2000
    assert kept.exists()
    assert not old.exists()
    assert not rest.exists()


def test_this_platform_is_in_gos_words() -> None:
    system, machine = this_platform()
    assert system in ("linux", "darwin")
    assert machine in ("amd64", "arm64")
