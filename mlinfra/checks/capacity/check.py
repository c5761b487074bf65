"""The part of capacity that `validate` checks: what is certain, without placing a single pod."""

from __future__ import annotations

from mlinfra.checks.capacity.certain import Certain
from mlinfra.checks.capacity.ground import Ground, Setting
from mlinfra.diagnostics import Diagnostic
from mlinfra.environment import Environment
from mlinfra.graph import Graph


def check_capacity(graph: Graph, environment: Environment) -> list[Diagnostic]:
    """Pods that fit no machine, replicas and ranks beyond what the pools may have, and pods beyond a quota."""
    return Certain(Ground(graph, Setting.of(graph, environment))).problems()
