"""`version`: of mlinfra, and of what it stands on."""

from __future__ import annotations

import importlib.metadata
import platform

from mlinfra.tools.table import TOOLS, USUAL

_PACKAGES = ("mlinfra-platform", "pulumi", "pulumi-aws", "pulumi-kubernetes", "moto")


def versions() -> dict[str, str]:
    """Names and versions; of the tools, those that are wanted."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {**found, "python": platform.python_version(), **{name: TOOLS[name].version for name in USUAL}}
