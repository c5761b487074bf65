"""Checks of a graph as plain data, before any engine starts, and of the source of blueprints.

Each check returns all the problems that it finds, as diagnostics, and never raises for what a user can cause:

- `references`: references that lead nowhere, circles, functions, providers;
- `schema`: types, inputs and outputs, by what the installed SDKs say;
- `names`: physical names, by the rules of AWS and Kubernetes;
- `alerts`: alerts that reach nobody;
- `watching`: endpoints in prod that nobody watches, apart from any graph;
- `lint`: blueprints as source, apart from any graph.
"""

from mlinfra.checks.alerts import check_alerts
from mlinfra.checks.lint import lint_source
from mlinfra.checks.names import check_names
from mlinfra.checks.references import check_references
from mlinfra.checks.schema import check_schema
from mlinfra.diagnostics import Diagnostic
from mlinfra.emit import Emit, silent
from mlinfra.graph import Graph

__all__ = ["check_alerts", "check_names", "check_references", "check_schema", "lint_source", "run_checks"]


def run_checks(graph: Graph, emit: Emit = silent) -> list[Diagnostic]:
    """All problems of a graph: references first, then types, names, alerts; each in the order of the nodes' names."""
    return [*check_references(graph), *check_schema(graph, emit), *check_names(graph), *check_alerts(graph)]
