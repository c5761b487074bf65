"""`export`: a stack's Kubernetes objects as manifests, for reviews, scanners and deployments by other means.

No engine, no network, no credentials. Of the stack's state it reads what was rolled back and stays so, where that is
within the project; with `resolved` what an update has made known, wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.graph import Graph
from mlinfra.naming import name_of
from mlinfra.workflow.given import state_of
from mlinfra.workflow.manifest_files import ManifestFile, files, text, write
from mlinfra.workflow.manifests import PLACEHOLDER, LeftOut, Manifest, Manifests
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import compile_kept


@dataclass(frozen=True)
class Exported:
    """What a stack comes to: files by their names, what is left out, and what has to be known."""

    graph: Graph
    texts: dict[str, str]
    files: tuple[ManifestFile, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[Diagnostic, ...]

    @property
    def stream(self) -> str:
        """All of it as one text."""
        return "".join(f"---\n{item}" for item in self.texts.values())

    def records(self) -> list[dict[str, Any]]:
        """A record for each object, for programs."""
        return [
            {"file": file.name, "component": file.component, "node": item.node, "object": dict(item.body)}
            for file in self.files
            for item in file.manifests
        ]

    def write(self, folder: Path) -> list[Path]:
        """Write the files; raises `MlinfraError` where the folder has others'."""
        return write(folder, self.texts)


def export(request: Request, *, resolved: bool = False, one: bool = False) -> Exported:
    """The manifests of a stack.

    With `resolved`, what only an update makes known is taken from the stack's state; raises `MlinfraError` where it has
    none. `one` says that it is to be one stream, which can be for one cluster only.
    """
    compiled = compile_kept(request, stand_in=not resolved, look_far=resolved)
    graph = request.fitted(compiled.graph)
    outputs = _outputs(request, graph) if resolved else {}
    account = compiled.environment.account
    found = list(Manifests(graph, account if account.isdigit() else "", outputs).objects())
    manifests = [item for item in found if isinstance(item, Manifest)]
    left_out = tuple(item for item in found if isinstance(item, LeftOut))
    made = tuple(files(manifests, _needs(graph)))
    if one and len({file.cluster for file in made}) > 1:
        raise _several(request)
    title = f"stack {compiled.stack.name}, blueprint {graph.blueprint} {graph.version}, environment {graph.environment}"
    warnings = [item for item in compiled.warnings if item.code == "import-not-up"]
    stand_ins = [f"A made-up value stands in: {item.summary}" for item in warnings]
    texts = {file.name: text(file, title, missing, stand_ins) for file, missing in _without(made, left_out)}
    return Exported(graph, texts, made, left_out, (*warnings, *_notes(request, graph, manifests, left_out)))


def _without(made: Sequence[ManifestFile], left_out: Sequence[LeftOut]) -> Iterator[tuple[ManifestFile, list[LeftOut]]]:
    """The files, each with what is left out of it; the first one with what belongs to none, too."""
    own = {file.component for file in made}
    for number, file in enumerate(made):
        lost = [item for item in left_out if number == 0 and item.component not in own]
        yield file, [*lost, *(item for item in left_out if item.component == file.component)]


def _outputs(request: Request, graph: Graph) -> dict[str, dict[str, Any]]:
    """What the state has of the nodes; secrets in it are encrypted."""
    resources = state_of(request, request.stack()).get("resources") or []
    if not resources:
        raise MlinfraError(
            Diagnostic(
                f"stack {request.state_name} has no outputs yet",
                detail="It has not been updated, or it was destroyed.",
                remedy=f"Run {request.command('up')}. Or leave out --resolved: what is not known is marked then.",
                code="no-outputs",
            )
        )
    kept = {name_of(item["urn"]): item for item in resources if not item.get("delete")}
    return {
        name: {**(item.get("outputs") or {}), "id": item.get("id"), "urn": item["urn"]}
        for name, item in kept.items()
        if name in graph.nodes
    }


def _needs(graph: Graph) -> dict[str, set[str]]:
    """For each component those that its nodes refer to."""
    found: dict[str, set[str]] = {}
    for node in graph:
        others = {graph.nodes[name].component for name in node.references() if name in graph.nodes}
        if node.component:
            found.setdefault(node.component, set()).update(other for other in others if other)
    return found


def _notes(
    request: Request, graph: Graph, manifests: list[Manifest], left_out: tuple[LeftOut, ...]
) -> list[Diagnostic]:
    """What is not in the manifests, told once for each object and each value."""
    notes = [
        Diagnostic(
            f"{item.title} is left out: {item.why}",
            location=graph.source_of(item.node),
            component=item.component or None,
            resource=item.node,
            code="export-left-out",
            severity=Severity.WARNING,
        )
        for item in left_out
    ]
    awaited: dict[str, list[str]] = {}
    for item in manifests:
        for name in item.awaited:
            awaited.setdefault(name, []).append(item.title)
    return notes + [
        Diagnostic(
            f"{name} is known after an update only",
            detail=f"{PLACEHOLDER}({name}) stands for it in {', '.join(titles)}.",
            remedy=f"After {request.command('up')}, --resolved fills it in.",
            code="export-awaited",
            severity=Severity.WARNING,
        )
        for name, titles in awaited.items()
    ]


def _several(request: Request) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"stack {request.stack_name} has objects in several clusters, and one stream is for one of them",
            remedy="Name a folder, in which each cluster has one of its own: --out FOLDER",
            code="export-clusters",
        )
    )
