"""Tools built from source: the modules of a committed go.mod, every one checked against the committed go.sum."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mlinfra.tools.go import MODULES, Go, go_folder
from mlinfra.tools.process import run
from mlinfra.tools.table import Module, Tool

Progress = Callable[[str, float], None]
"""Called with what the build is at, in words, and how far it is, from 0 to 1."""

_FETCHING: Final = 0.25
"""The part of a cold build's time that goes into fetching modules: 43 s of 3 min for pulumi."""
_LINKING: Final = 0.95


def build(go: Go, module: Module, tools: Sequence[Tool], targets: Sequence[Path], progress: Progress) -> None:
    """Build `tools`, all of one module, to `targets`; each appears there whole or not at all.

    What an interrupted build has fetched and compiled is kept in the cache, and the next one goes on from it. Raises
    `CommandError` with Go's own words.
    """
    packages = [tool.package for tool in tools]
    folder = MODULES / module.name
    stale = _fetch(go, folder, packages, progress)
    go_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="out-", dir=go_folder()) as out:
        _compile(go, module, folder, packages, Path(out), stale, progress)
        for tool, target in zip(tools, targets, strict=True):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(Path(out) / _executable(tool.package), target.with_name(f".{target.name}"))
            target.with_name(f".{target.name}").replace(target)


def _fetch(go: Go, folder: Path, packages: Sequence[str], progress: Progress) -> int:
    """Download what is needed, and count the packages that are to be compiled: those not in the build cache yet."""
    total = len(re.findall(r"^\t\S+ v", (folder / "go.mod").read_text(), re.MULTILINE))
    fetched = 0

    def each_line(line: str) -> None:
        nonlocal fetched
        if line.startswith("go: downloading"):
            fetched += 1
            progress(f"module {fetched} of up to {total}", _FETCHING * min(1.0, fetched / total))

    listing = "{{if .Stale}}{{.ImportPath}}{{end}}"
    stale = run([go.path, "list", "-deps", "-f", listing, *packages], go.environment, folder, each_line)
    return sum(1 for line in stale if line)


def _compile(
    go: Go, module: Module, folder: Path, packages: Sequence[str], out: Path, stale: int, progress: Progress
) -> None:
    compiled = 0

    def each_line(line: str) -> None:
        nonlocal compiled
        if line.startswith("go: "):
            return
        compiled += 1
        if compiled < stale:
            share = _FETCHING + (_LINKING - _FETCHING) * compiled / stale
            progress(f"package {compiled} of {stale}", share)
        else:
            progress("linking", _LINKING)

    # `-v` names each package as its compilation begins.
    command: list[str | Path] = [go.path, "build", "-v", "-o", f"{out}/", "-ldflags", module.ldflags, *packages]
    run(command, go.environment, folder, each_line)


def _executable(package: str) -> str:
    """The name that `go build` gives a package's executable: its last element that is not a major version."""
    *_, before, last = package.split("/")
    return before if re.fullmatch(r"v\d+", last) else last
