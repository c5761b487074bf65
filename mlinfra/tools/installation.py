"""One run of installing tools: locks, downloads, packages, builds, and an account of all that was tried."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.emit import Emit
from mlinfra.report import State, Task
from mlinfra.tools.build import build
from mlinfra.tools.debian import unpack
from mlinfra.tools.download import Downloader, UnavailableError
from mlinfra.tools.find import ask_version, cached_path, find, tools_folder
from mlinfra.tools.go import Go, NoGoError, find_go, go_folder
from mlinfra.tools.lock import lock
from mlinfra.tools.process import CommandError
from mlinfra.tools.table import Debian, Module, Release, Tool, this_platform

_Key = TypeVar("_Key", bound=Hashable)
_Item = TypeVar("_Item")

NAME: Final = "tools"
"""The name of the task whose events tell of tools as a whole."""


class Installation:
    """What was tried for each tool and why it failed, and how long it has taken. Events come one at a time."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._one_at_a_time = threading.Lock()
        self._began: dict[str, float] = {}
        self._tried: dict[str, list[str]] = {}

    def install(self, missing: list[Tool]) -> dict[str, Path | None]:
        """Put tools into the cache and return their paths; raises `MlinfraError` for those that cannot be had."""
        with ExitStack() as locks:
            for name in sorted({tool.fallback.name for tool in missing}):
                locks.enter_context(lock(tools_folder() / f"{name}.lock", f"installing {name}", self._waiting))
            # Whoever held a lock may just have installed what is missing here.
            wanted = [tool for tool in missing if not cached_path(tool).is_file()]
            self._download_all(wanted)
            rest = [tool for tool in wanted if not cached_path(tool).is_file()]
            for package, tools in _grouped((tool.fallback, tool) for tool in rest if isinstance(tool.fallback, Debian)):
                self._unpack(package, tools)
            builds = _grouped((tool.fallback, tool) for tool in rest if isinstance(tool.fallback, Module))
            if builds:
                self._build_all(builds)
        return {tool.name: cached_path(tool) for tool in missing}

    def _tell(self, name: str, state: State, detail: str = "", fraction: float | None = None) -> None:
        with self._one_at_a_time:
            now = time.monotonic()
            self._emit(Task(name, state, detail, fraction, now - self._began.setdefault(name, now)))

    def _waiting(self, reason: str) -> None:
        self._tell(NAME, State.RUNNING, reason)

    # -------------------------------------------------------------------------------------------- download

    def _download_all(self, tools: list[Tool]) -> None:
        stop = threading.Event()
        mirror = os.environ.get("MLINFRA_TOOLS_MIRROR", "")
        downloader = Downloader(tools_folder() / "downloads", mirror, stop)
        released = []
        for tool in tools:
            if release := tool.release(*this_platform()):
                released.append((release.url, (tool, release)))
            else:
                self._note(tool, f"no official release for {'/'.join(this_platform())}")
        with ThreadPoolExecutor(max_workers=4) as pool:
            try:
                list(pool.map(lambda item: self._download(downloader, item[1]), _grouped(released)))
            except BaseException:
                stop.set()
                raise

    def _download(self, downloader: Downloader, tools: list[tuple[Tool, Release]]) -> None:
        """Get the tools of one file, which is downloaded once."""
        for tool, release in tools:
            self._download_one(downloader, tool, release, keep=tool is not tools[-1][0])

    def _download_one(self, downloader: Downloader, tool: Tool, release: Release, *, keep: bool) -> None:
        name = f"download {tool.name} {tool.version}"
        told = -1

        def progress(done: int, total: int | None) -> None:
            nonlocal told
            if done // 1_000_000 == told:  # once a megabyte is often enough to be told
                return
            told = done // 1_000_000
            size = f"{told} of {total / 1e6:.0f} MB" if total else f"{told} MB"
            self._tell(name, State.RUNNING, size, done / total if total else None)

        self._tell(name, State.STARTED, release.url)
        try:
            downloader.fetch(release, cached_path(tool), progress, keep=keep)
            _check_runs(tool)
        except UnavailableError as error:
            self._note(tool, f"official release: {error}")
            self._tell(name, State.FAILED, str(error))
        else:
            self._tell(name, State.DONE, fraction=1.0)

    def _note(self, tool: Tool, reason: str) -> None:
        self._tried.setdefault(tool.name, []).append(reason)

    # -------------------------------------------------------------------------------------------- packages

    def _unpack(self, package: Debian, tools: list[Tool]) -> None:
        name = f"package {package.name}"
        self._tell(name, State.STARTED, "from Debian's or Ubuntu's mirror")
        try:
            unpack(package, {tool.package: cached_path(tool) for tool in tools}, tools_folder() / "apt" / package.name)
            for tool in tools:
                _check_runs(tool)
        except UnavailableError as error:
            self._tell(name, State.FAILED)
            for tool in tools:
                self._note(tool, f"Debian package {package.name}: {error}")
            raise self._nowhere(tools) from None
        self._tell(name, State.DONE, fraction=1.0)

    # -------------------------------------------------------------------------------------------- build

    def _build_all(self, builds: list[tuple[Module, list[Tool]]]) -> None:
        modules = [module for module, _ in builds]
        names = ", ".join(module.name for module in modules)
        minutes = sum(module.minutes for module in modules)
        self._tell(
            NAME, State.RUNNING, f"{len(builds)} to build from source ({names}): about {minutes:.0f} min on two cores"
        )
        self._check_room(modules)
        try:
            go = find_go(lambda detail: self._tell(NAME, State.RUNNING, detail))
        except NoGoError as error:
            tools = [tool for _, of_module in builds for tool in of_module]
            for tool in tools:
                self._note(tool, f"built from source: {error}")
            raise self._nowhere(tools) from None
        for module, of_module in builds:
            self._build(go, module, of_module)
        if not os.environ.get("MLINFRA_KEEP_BUILD_CACHE"):
            self._tell(NAME, State.RUNNING, "deleting what only the build needed")
            shutil.rmtree(go_folder(), ignore_errors=True)

    def _check_room(self, modules: Iterable[Module]) -> None:
        needed = max(module.gigabytes for module in modules)
        tools_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(tools_folder()).free / 1e9
        if free < needed:
            raise MlinfraError(
                Diagnostic(
                    f"building needs {needed:.1f} GB of disk, and {free:.1f} GB are free in {tools_folder()}",
                    remedy="Free some, or set MLINFRA_CACHE to a folder on a larger disk.",
                    code="tool-no-room",
                )
            )

    def _build(self, go: Go, module: Module, tools: list[Tool]) -> None:
        name = f"build {module.name} {tools[0].version}"
        self._tell(name, State.STARTED, f"about {module.minutes:g} min", 0.0)

        def progress(detail: str, fraction: float) -> None:
            self._tell(name, State.RUNNING, detail, fraction)

        try:
            build(go, module, tools, [cached_path(tool) for tool in tools], progress)
            for tool in tools:
                _check_runs(tool)
        except (CommandError, UnavailableError) as error:
            self._tell(name, State.FAILED)
            for tool in tools:
                self._note(tool, f"built from source with {go.version}: {error}")
            raise self._nowhere(tools) from None
        self._tell(name, State.DONE, fraction=1.0)

    def _nowhere(self, tools: list[Tool]) -> MlinfraError:
        """The error for tools that no source had, each with all that was tried."""
        return MlinfraError(*(_nowhere(tool, self._tried.get(tool.name, [])) for tool in tools))


def _grouped(pairs: Iterable[tuple[_Key, _Item]]) -> list[tuple[_Key, list[_Item]]]:
    """Items by their key, in the order in which the keys come."""
    groups: dict[_Key, list[_Item]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return list(groups.items())


def _check_runs(tool: Tool) -> None:
    """Make sure that what was put into the cache runs on this machine and is what it should be; remove it if not."""
    path = cached_path(tool)
    version = ask_version(tool, path)
    if version is None or not tool.fits(version):
        path.unlink()
        told = "does not run on this machine" if version is None else f"says that it is {version}"
        raise UnavailableError(f"{tool.name} was installed and {told}")


def _nowhere(tool: Tool, tried: list[str]) -> Diagnostic:
    reasons = [find(tool).reason, *tried]
    return Diagnostic(
        f"{tool.name} {tool.version} is not here and could not be had",
        detail="\n".join(f"- {reason}" for reason in reasons),
        remedy=f"Install {tool.name} {tool.wanted} and put it on PATH, or name it in {tool.variable}; or let this"
        " machine reach the official releases or a Go module proxy (HTTPS_PROXY, GOPROXY, MLINFRA_TOOLS_MIRROR).",
        code="tool-unavailable",
    )
