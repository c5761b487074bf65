"""Where things are: the project folder, what mlinfra keeps in it, and the one cache folder outside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlinfra.diagnostics import Diagnostic, MlinfraError

MARKS = ("stacks", "blueprints")
"""A project folder is one that holds these folders."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder. All that mlinfra writes for it is under `home`, which can be deleted as a whole."""

    root: Path

    @property
    def home(self) -> Path:
        """`.mlinfra/`: state, logs, local clusters; readable by its owner alone."""
        return self.root / ".mlinfra"

    @property
    def stacks(self) -> Path:
        """The folder of stack files."""
        return self.root / "stacks"

    @property
    def blueprints(self) -> Path:
        """The folder of blueprints."""
        return self.root / "blueprints"

    def folder(self, *parts: str) -> Path:
        """A folder under `home`, made if it is not there."""
        path = self.home.joinpath(*parts)
        if not self.home.exists():
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def relative(self, path: Path) -> str:
        """A path as messages show it: relative to the project where it is inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def find_project(start: Path | None = None) -> Project:
    """The project that `start` (default: the working folder) is in.

    `MLINFRA_PROJECT` names one outright. Raises `MlinfraError` where there is none.
    """
    if named := os.environ.get("MLINFRA_PROJECT"):
        root = Path(named).expanduser().resolve()
        if all((root / mark).is_dir() for mark in MARKS):
            return Project(root)
        raise MlinfraError(
            Diagnostic(
                f"{root}, which MLINFRA_PROJECT names, is not an mlinfra project",
                detail="A project is a folder that holds stacks/ and blueprints/.",
                remedy="Correct MLINFRA_PROJECT, or take it out of the environment.",
                code="project-not-found",
            )
        )
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if all((folder / mark).is_dir() for mark in MARKS):
            return Project(folder)
    raise MlinfraError(
        Diagnostic(
            f"{here} is not in an mlinfra project",
            detail="A project is a folder that holds stacks/ and blueprints/; neither it nor any folder above does.",
            remedy="Run mlinfra in your project's folder, or name it: MLINFRA_PROJECT=/path/to/project.",
            code="project-not-found",
        )
    )


def cache_folder() -> Path:
    """The one folder outside projects that mlinfra writes to: tools, shared by all projects.

    `MLINFRA_CACHE`, else `$XDG_CACHE_HOME/mlinfra`, else `~/.cache/mlinfra`.
    """
    if named := os.environ.get("MLINFRA_CACHE"):
        return Path(named).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mlinfra"
