"""Tools that are there already: named by the user, on PATH, or in mlinfra's cache."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.project import cache_folder
from mlinfra.tools.table import TOOLS, Debian, Tool, Version

_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")


class Source(StrEnum):
    """Where a tool was found."""

    CONFIGURED = "configured"
    PATH = "path"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """What is known of one tool; `path` is None where none was found, and `reason` then says why.

    `source` without a path: the user named one that will not do.
    """

    name: str
    wanted: str
    version: str = ""
    path: Path | None = None
    source: Source | None = None
    reason: str = ""


def tools_folder() -> Path:
    """The part of the cache that tools are kept in; everything in it can be deleted."""
    return cache_folder() / "tools"


def cached_path(tool: Tool) -> Path:
    """Where the cache has a tool, if it has it."""
    return tools_folder() / tool.name / tool.version / tool.name


def find(tool: Tool) -> ToolStatus:
    """Look for a tool without fetching anything.

    Raises `MlinfraError` if the tool's `MLINFRA_TOOL_…` variable names something that will not do: what the user chose
    is never passed over in silence.
    """
    if named := os.environ.get(tool.variable):
        return _configured(tool, Path(named))
    passed_over = ""
    for on_path in filter(None, map(shutil.which, tool.called)):
        version = ask_version(tool, Path(on_path))
        if version and tool.fits(version):
            return ToolStatus(tool.name, tool.wanted, _dotted(version), Path(on_path), Source.PATH)
        passed_over += f"{on_path} {'is ' + _dotted(version) if version else 'does not tell its version'}; "
    cached = cached_path(tool)
    if cached.is_file():
        # A package of Debian has the version that Debian has.
        told = ask_version(tool, cached) if isinstance(tool.fallback, Debian) else None
        return ToolStatus(tool.name, tool.wanted, _dotted(told) if told else tool.version, cached, Source.CACHE)
    where = "not on PATH" if not passed_over else "no other on PATH"
    return ToolStatus(tool.name, tool.wanted, reason=f"{passed_over}{where}, and not in {tools_folder()} yet")


def status() -> list[ToolStatus]:
    """What is known of every tool, for `mlinfra doctor`; a choice that will not do is a reason here, not an error."""
    found = []
    for tool in TOOLS.values():
        try:
            found.append(find(tool))
        except MlinfraError as error:
            found.append(ToolStatus(tool.name, tool.wanted, source=Source.CONFIGURED, reason=str(error)))
    return found


def _configured(tool: Tool, path: Path) -> ToolStatus:
    version = ask_version(tool, path) if path.is_file() else None
    if version and tool.fits(version):
        return ToolStatus(tool.name, tool.wanted, _dotted(version), path, Source.CONFIGURED)
    if not path.is_file():
        trouble = "there is no such file"
    elif version:
        trouble = f"it is version {_dotted(version)}"
    else:
        trouble = f"`{path.name} {' '.join(tool.ask)}` tells no version"
    raise MlinfraError(
        Diagnostic(
            f"{tool.variable} names {path}, but {trouble}",
            detail=f"mlinfra needs {tool.name} {tool.wanted}.",
            remedy=f"Set {tool.variable} to an executable of such a version, or unset it: mlinfra then finds its own.",
            code="tool-configured-unfit",
        )
    )


def ask_version(tool: Tool, path: Path) -> Version | None:
    """The version that an executable tells; None where it tells none within ten seconds.

    Answers are remembered by path, size and time of change: asking seven tools takes 0.7 s.
    """
    try:
        facts = path.stat()
    except OSError:
        return None
    key = f"{path} {facts.st_size} {facts.st_mtime_ns}"
    known = _remembered()
    if key in known:
        major, minor, patch = known[key]
        return major, minor, patch
    version = _run_and_ask(tool, path)
    if version:
        _remember({**known, key: version})
    return version


def _run_and_ask(tool: Tool, path: Path) -> Version | None:
    # In a home of its own: `pulumi version`, for one, leaves a folder there and asks the network for a newer version.
    with tempfile.TemporaryDirectory(prefix="mlinfra-") as home:
        environment = {"HOME": home, "PATH": os.defpath, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        try:
            answer = subprocess.run(  # noqa: S603 — the tool that the user has on PATH or named
                [path, *tool.ask], capture_output=True, text=True, timeout=10, env=environment, check=False
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
            return None
    match = _VERSION.search(answer.stdout) or _VERSION.search(answer.stderr)
    return (int(match[1]), int(match[2]), int(match[3])) if match and answer.returncode == 0 else None


def _remembered() -> dict[str, list[int] | Version]:
    try:
        known = json.loads((tools_folder() / "versions.json").read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(known: dict[str, list[int] | Version]) -> None:
    path = tools_folder() / "versions.json"
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(known))
        draft.replace(path)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
