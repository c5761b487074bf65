"""Where things are: the project folder is found from within, and all that is written has its place."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project, cache_folder, find_project


@pytest.fixture(autouse=True)
def no_project_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLINFRA_PROJECT", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("stacks", "blueprints/deep/er"):
        (tmp_path / "p" / name).mkdir(parents=True)
    return tmp_path / "p"


@pytest.mark.parametrize("inside", [".", "stacks", "blueprints/deep/er"])
def test_a_project_is_found_from_within(inside: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_project(root / inside) == Project(root)
    monkeypatch.chdir(root / inside)
    assert find_project() == Project(root)


def test_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    with pytest.raises(MlinfraError, match="is not in an mlinfra project") as caught:
        find_project(tmp_path)
    assert caught.value.diagnostics[0].code == "project-not-found"


def test_the_environment_names_one(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLINFRA_PROJECT", str(root))
    assert find_project(tmp_path) == Project(root)
    monkeypatch.setenv("MLINFRA_PROJECT", str(tmp_path))
    with pytest.raises(MlinfraError, match="MLINFRA_PROJECT names, is not an mlinfra project"):
        find_project(root)


def test_what_is_written_is_its_owners_alone(root: Path) -> None:
    folder = Project(root).folder("engine", "b")
    assert folder == root / ".mlinfra" / "engine" / "b"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in (folder, root / ".mlinfra"))
    assert Project(root).folder("engine", "b") == folder


def test_paths_are_shown_relative_to_the_project(root: Path) -> None:
    assert Project(root).relative(root / "stacks" / "dev.yaml") == "stacks/dev.yaml"
    assert Project(root).relative(Path("/elsewhere/x.py")) == "/elsewhere/x.py"


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLINFRA_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "mlinfra"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "mlinfra"
    monkeypatch.setenv("MLINFRA_CACHE", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c"
