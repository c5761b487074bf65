"""Every node of a graph against what the installed SDKs say about its type."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final

from mlinfra.checks.schema.catalog import Catalog, package_name
from mlinfra.checks.schema.model import Schema
from mlinfra.checks.schema.outputs import Outputs
from mlinfra.checks.schema.problems import Problem, place, suggestion
from mlinfra.checks.schema.source import Package
from mlinfra.checks.schema.values import Checker
from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.emit import Emit, silent
from mlinfra.graph import Graph, Kind, Node
from mlinfra.project import cache_folder

TASK: Final = "resource types"


def check_schema(graph: Graph, emit: Emit = silent, *, folder: FilePath | None = None) -> list[Diagnostic]:
    """The problems of all resources, provider instances and lookups of a graph, in the order of the nodes' names.

    Types, input names, shapes, enumerations and the outputs that references name are those of the installed pulumi_*
    packages; a node whose package is not installed is not checked. What is derived from the packages is kept under
    `folder` (default: `schema/` in the cache folder); the first time takes seconds, of which `emit` is told.
    """
    progress = _Progress(emit, len(graph.nodes))
    catalog = Catalog(folder or cache_folder() / "schema", progress.deriving)
    outputs = Outputs(graph, catalog)
    found: list[Diagnostic] = []
    for done, node in enumerate(graph):
        progress.done = done
        if node.kind is Kind.COMPONENT:
            continue
        found += [_diagnostic(graph, node, problem) for problem in _problems(node, catalog, outputs)]
    found += _output_problems(graph, outputs)
    catalog.save()
    progress.end()
    return found


def _problems(node: Node, catalog: Catalog, outputs: Outputs) -> Iterator[Problem]:
    sdk = catalog.sdk(node.type)
    if sdk is None:
        yield from outputs.problems(node.inputs, ())
        return
    schema = catalog.schema(node)
    if schema is None:
        known = sdk.tokens(node.kind, node.type) if node.type.count(":") == 2 else []
        what = "function" if node.kind is Kind.LOOKUP else "resource type"
        package = f"pulumi_{package_name(node.type)} {sdk.package.version}"
        yield Problem(
            "unknown-type",
            (),
            f"has the type {node.type}, which is not a {what} of {package}",
            suggestion(node.type, known),
        )
        return
    if schema.deprecated:
        yield _deprecated(schema)
    yield from Checker(sdk, outputs).properties(node.inputs, schema.inputs, is_open=schema.open)


def _deprecated(schema: Schema) -> Problem:
    return Problem(
        "deprecated-type",
        (),
        f"has the type {schema.token}, which is deprecated",
        "",
        schema.deprecated,
        Severity.WARNING,
    )


def _diagnostic(graph: Graph, node: Node, problem: Problem) -> Diagnostic:
    subject = f"{place(problem.path)} of {node.name}" if problem.path else node.name
    return Diagnostic(
        f"{subject} {problem.summary}",
        detail=" ".join(part for part in (problem.detail, f"The type is {node.type}.") if part),
        remedy=problem.remedy,
        location=graph.source_of(node.name),
        component=node.component,
        resource=node.name,
        code=problem.code,
        severity=problem.severity,
    )


def _output_problems(graph: Graph, outputs: Outputs) -> Iterator[Diagnostic]:
    """References to outputs that are not there, in the stack's own outputs."""
    for name, value in sorted(graph.outputs.items()):
        for problem in outputs.problems(value, ()):
            yield Diagnostic(f"output {name} {problem.summary}", remedy=problem.remedy, code=problem.code)


@dataclass
class _Progress:
    """Tells of the work, once there is any: with a filled cache nothing is derived and nothing told."""

    emit: Emit
    total: int
    done: int = 0
    _began: float | None = None
    _told: int = field(default=-1)

    def deriving(self, package: Package) -> None:
        """Note that types of a package are about to be derived."""
        from mlinfra.report import State, Task

        if self._began is None:
            self._began = time.monotonic()
            self.emit(Task(TASK, State.STARTED, f"reading pulumi_{package.name} {package.version}"))
        elif self.done > self._told:
            self._told = self.done
            seconds = time.monotonic() - self._began
            detail = f"reading pulumi_{package.name} {package.version}"
            self.emit(Task(TASK, State.RUNNING, detail, self.done / max(self.total, 1), seconds))

    def end(self) -> None:
        """Note that all is derived."""
        if self._began is not None:
            from mlinfra.report import State, Task

            self.emit(Task(TASK, State.DONE, "", 1.0, time.monotonic() - self._began))
