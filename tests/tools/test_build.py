"""A real build, by the real Go (the machine's, or the one from the Python index), of a module as small as can be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlinfra.tools import build as building
from mlinfra.tools.build import build
from mlinfra.tools.go import NEEDED, find_go, go_folder
from mlinfra.tools.process import CommandError
from mlinfra.tools.table import Module, Tool

MODULE = Module("small", "-s -w -X main.version=v1.2.3", minutes=0.1, gigabytes=0.1)
SOURCE = 'package main\n\nvar version = "none"\n\nfunc main() { println(version) }\n'


def tool(package: str) -> Tool:
    return Tool("small", "1.2.3", (1, 0, 0), (2, 0, 0), (), MODULE, package)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests here: Go compiles its runtime into it once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLINFRA_CACHE", str(cache))
    monkeypatch.setattr(building, "MODULES", tmp_path / "modules")
    folder = tmp_path / "modules" / "small"
    (folder / "cmd" / "small").mkdir(parents=True)
    (folder / "go.mod").write_text(f"module example.com/small\n\ngo {NEEDED[0]}.{NEEDED[1]}\n")
    (folder / "go.sum").write_text("")
    (folder / "cmd" / "small" / "main.go").write_text(SOURCE)
    return folder


def test_a_tool_is_built(folder: Path, tmp_path: Path) -> None:
    go = find_go(lambda detail: None)
    seen: list[tuple[str, float]] = []
    target = tmp_path / "tools" / "small"
    build(go, MODULE, [tool("example.com/small/cmd/small")], [target], lambda *at: seen.append(at))
    assert subprocess.run([target], capture_output=True, text=True).stderr == "v1.2.3\n"
    assert [path.name for path in target.parent.iterdir()] == ["small"]
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] <= fractions[-1] < 1
    assert any(detail.startswith("package ") for detail, _ in seen)
    # All that Go wrote is in our cache, and can be deleted.
    assert {path.name for path in go_folder().iterdir()} >= {"build"}
    assert str(tmp_path).encode() not in target.read_bytes()


def test_what_does_not_compile_is_told_in_gos_words(folder: Path, tmp_path: Path) -> None:
    (folder / "cmd" / "small" / "main.go").write_text(SOURCE.replace("println", "prinln"))
    target = tmp_path / "tools" / "small"
    with pytest.raises(CommandError, match="undefined: prinln"):
        build(find_go(lambda detail: None), MODULE, [tool("example.com/small/cmd/small")], [target], lambda *at: None)
    assert not target.exists()


def test_a_module_without_its_sum_is_refused(folder: Path, tmp_path: Path) -> None:
    """Were a sum missing from go.sum, or another, the build is not to make up for it."""
    (folder / "go.mod").write_text(
        f"module example.com/small\n\ngo {NEEDED[0]}.{NEEDED[1]}\n\nrequire example.com/x v1.0.0\n"
    )
    (folder / "cmd" / "small" / "main.go").write_text('package main\n\nimport _ "example.com/x"\n\nfunc main() {}\n')
    with pytest.raises(CommandError, match=r"missing go\.sum entry"):
        build(
            find_go(lambda detail: None),
            MODULE,
            [tool("example.com/small/cmd/small")],
            [tmp_path / "x"],
            lambda *at: None,
        )


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("go.etcd.io/etcd/server/v3", "server"),
        ("sigs.k8s.io/kwok/cmd/kwok", "kwok"),
        ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "pulumi"),
    ],
)
def test_the_name_that_go_gives_an_executable(package: str, name: str) -> None:
    assert building._executable(package) == name
