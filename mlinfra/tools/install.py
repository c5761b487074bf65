"""Come by the tools that a command needs: those that are there, official releases, then builds or packages.

    find → (download → checked by sum) or (build → modules checked by sum, or a package → checked by apt) → the cache

Two processes that want the same tool at once do the work once: the second waits, and says for what.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from mlinfra.emit import Emit, silent
from mlinfra.project import cache_folder
from mlinfra.tools.find import find, tools_folder
from mlinfra.tools.table import TOOLS


def ensure(names: Iterable[str], emit: Emit = silent) -> dict[str, Path]:
    """The paths of tools by name, those that were missing fetched or built first.

    Emits a `Task` for each tool that is downloaded and each module or package that the others come from. Raises
    `MlinfraError` that names every source that was tried for a tool and why it would not do.
    """
    tools = [TOOLS[name] for name in names]
    found = {tool.name: find(tool).path for tool in tools}
    missing = [tool for tool in tools if found[tool.name] is None]
    if missing:
        from mlinfra.tools.installation import Installation  # what fetches and builds is loaded when it is needed

        found |= Installation(emit).install(missing)
    return {name: path for name, path in found.items() if path is not None}


def prune() -> int:
    """Delete what tools were built with and what no version in the table wants; returns the bytes that were freed."""
    stale = [cache_folder() / "go", tools_folder() / "downloads", tools_folder() / "apt"]
    for tool in TOOLS.values():
        versions = (tools_folder() / tool.name).glob("*")
        stale += [folder for folder in versions if folder.name != tool.version]
    freed = sum(_size(folder) for folder in stale)
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return freed


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
