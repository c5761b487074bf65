"""`setup` and `doctor`: the programs that mlinfra stands on, and whether machine and project are in order."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Collection

from mlinfra.diagnostics import MlinfraError
from mlinfra.emit import Emit
from mlinfra.project import cache_folder, find_project
from mlinfra.report import Fact
from mlinfra.tools.find import ToolStatus
from mlinfra.tools.find import status as tool_status
from mlinfra.tools.install import ensure
from mlinfra.tools.table import MONITORING, ROLLOUTS, USUAL
from mlinfra.workflow.stacks import list_stacks

_ROOM = 6.0  # GB that building every tool from source may want at a time


def setup(emit: Emit, *, monitoring: bool = False, rollouts: bool = False) -> list[Fact]:
    """Get the tools of every run on the local target, and those that are asked for; a fact for each."""
    names = USUAL + MONITORING * monitoring + ROLLOUTS * rollouts
    ensure(names, emit)
    return _tools(names)


def doctor() -> list[Fact]:
    """What is in order and what is not: Python, room on the disk, tools, project, stack files. Changes nothing."""
    facts = [
        Fact("python", sys.version_info >= (3, 11), f"{platform.python_version()} at {sys.executable}"),
        _room(),
        *_tools(USUAL),
    ]
    try:
        project = find_project()
    except MlinfraError as error:
        return [*facts, Fact("project", well=False, detail=error.diagnostics[0].summary)]
    facts.append(Fact("project", well=True, detail=str(project.root)))
    facts += [Fact(f"stack {item.name}", item.well, item.detail) for item in list_stacks(project)]
    return facts


def _room() -> Fact:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    return Fact("disk", free >= _ROOM, f"{free:.0f} GB free at {folder}", {"free_gb": round(free, 1)})


def _tools(wanted: Collection[str]) -> list[Fact]:
    """Of the tools that not everybody has, those that are here, or that the user named in vain."""
    return [_of_tool(item) for item in tool_status() if item.name in wanted or item.source]


def _of_tool(item: ToolStatus) -> Fact:
    detail = f"{item.version} ({item.source}) at {item.path}" if item.path else item.reason
    fields = {"wanted": item.wanted, "version": item.version, "path": str(item.path or "")}
    return Fact(item.name, item.path is not None, detail, fields)
