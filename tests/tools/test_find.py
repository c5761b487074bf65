from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.tools.find import Source, ask_version, cached_path, find, status
from mlinfra.tools.table import TOOLS


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No tool anywhere but where a test puts one."""
    monkeypatch.setenv("MLINFRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for tool in TOOLS.values():
        monkeypatch.delenv(tool.variable, raising=False)


def program(path: Path, prints: str, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho x >> {path}.asked\nprintf '%s\\n' '{prints}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "prints", "version"),
    [
        ("pulumi", "v3.222.0", (3, 222, 0)),
        ("kube-apiserver", "Kubernetes v1.34.2", (1, 34, 2)),
        ("etcd", "etcd Version: 3.6.5\nGit SHA: Not provided\nGo Version: go1.26.8", (3, 6, 5)),
        ("kwokctl", "kwokctl version v0.7.0 go1.26.8 (linux/amd64)", (0, 7, 0)),
        ("kwok", "kwok version v0.7.0-alpha.1 go1.26.8", (0, 7, 0)),
        ("kwok", "no version", None),
        ("promtool", "promtool, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+deb12u1)", (2, 42, 0)),
        ("rollouts-controller", "v1.8.3+unknown", (1, 8, 3)),
    ],
)
def test_asking_for_a_version(tmp_path: Path, name: str, prints: str, version: object) -> None:
    assert ask_version(TOOLS[name], program(tmp_path / name, prints)) == version


def test_a_program_that_fails_tells_no_version(tmp_path: Path) -> None:
    assert ask_version(TOOLS["kwok"], program(tmp_path / "kwok", "v0.7.0", code=3)) is None


def test_a_version_is_asked_for_once_until_the_file_changes(tmp_path: Path) -> None:
    path = program(tmp_path / "kwok", "v0.7.0")
    for _ in range(3):
        assert ask_version(TOOLS["kwok"], path) == (0, 7, 0)
    assert Path(f"{path}.asked").read_text() == "x\n"
    program(path, "v0.7.10")
    assert ask_version(TOOLS["kwok"], path) == (0, 7, 10)


def test_on_path_at_a_version_that_fits(tmp_path: Path) -> None:
    path = program(tmp_path / "bin" / "etcd", "etcd Version: 3.6.9")
    found = find(TOOLS["etcd"])
    assert (found.path, found.version, found.source) == (path, "3.6.9", Source.PATH)


def test_on_path_at_another_version_gives_way_to_the_cache(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "etcd", "etcd Version: 3.5.1")
    assert find(TOOLS["etcd"]).path is None
    assert "is 3.5.1" in find(TOOLS["etcd"]).reason
    cached = program(cached_path(TOOLS["etcd"]), "")
    found = find(TOOLS["etcd"])
    assert (found.path, found.source) == (cached, Source.CACHE)


def test_debians_name_on_path(tmp_path: Path) -> None:
    path = program(tmp_path / "bin" / "prometheus-alertmanager", "alertmanager, version 0.25.0 (branch: debian/sid)")
    found = find(TOOLS["alertmanager"])
    assert (found.path, found.version, found.source) == (path, "0.25.0", Source.PATH)
    program(tmp_path / "bin" / "alertmanager", "alertmanager, version 0.20.0")
    assert find(TOOLS["alertmanager"]).path == path


def test_what_a_package_gave_has_the_packages_version(tmp_path: Path) -> None:
    cached = program(cached_path(TOOLS["promtool"]), "promtool, version 2.42.0+ds (branch: debian/sid)")
    found = find(TOOLS["promtool"])
    assert (found.path, found.version, found.source) == (cached, "2.42.0", Source.CACHE)


def test_configured_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "kube-scheduler", "Kubernetes v1.34.2")
    mine = program(tmp_path / "mine", "Kubernetes v1.34.0")
    monkeypatch.setenv("MLINFRA_TOOL_KUBE_SCHEDULER", str(mine))
    found = find(TOOLS["kube-scheduler"])
    assert (found.path, found.source) == (mine, Source.CONFIGURED)


@pytest.mark.parametrize(
    ("prints", "said"), [(None, "no such file"), ("v3.100.0", "version 3.100.0"), ("hello", "tells no version")]
)
def test_configured_and_unfit_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str | None, said: str
) -> None:
    if prints:
        program(tmp_path / "mine", prints)
    monkeypatch.setenv("MLINFRA_TOOL_PULUMI", str(tmp_path / "mine"))
    with pytest.raises(MlinfraError) as caught:
        find(TOOLS["pulumi"])
    [diagnostic] = caught.value.diagnostics
    assert said in diagnostic.summary
    assert "MLINFRA_TOOL_PULUMI" in diagnostic.remedy
    [pulumi] = [item for item in status() if item.name == "pulumi"]
    assert pulumi.path is None
    assert said in pulumi.reason


def test_status_tells_of_every_tool(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "kwok", "v0.7.3")
    found = {item.name: item for item in status()}
    assert found.keys() == TOOLS.keys()
    assert found["kwok"].version == "0.7.3"
    assert found["pulumi"].path is None
    assert "not on PATH" in found["pulumi"].reason
    assert found["pulumi"].wanted == ">=3.222.0,<4.0.0"
