"""What a run would lose, and its refusal: nothing that holds data goes unless the stack file gives it up by name.

Three things hold together, from cheap to certain:

- What the state has and the graph has no more is seen without an engine (`Guard.removed`).
- What would be replaced, the providers' Diff says: the engine plans, and the plan is held against what holds data
  (`Guard.planned`). A run is planned if the state has such things at all, unless neither stack nor state has changed
  since the last update (`mlinfra.workflow.applied`).
- Everything that holds data is protected in the engine's own state (`guarded`). Should a run come out other than its
  plan, the engine itself stops at the resource, before it is touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.graph import Graph, Kind, Node, references
from mlinfra.holding import NAMESPACE, in_namespace, lost_with
from mlinfra.naming import component_of, name_of
from mlinfra.report import Operation, PropertyChange, Step
from mlinfra.stack import Stack

Resource = Mapping[str, Any]
"""A resource as the state has it."""

_LONGEST = 120


def guarded(graph: Graph, stack: Stack) -> Graph:
    """The graph with everything protected that holds data, but for what the stack gives up."""
    given_up = set(stack.file.allow_loss)
    holding = _holding(graph)
    nodes = {}
    for node in graph:
        protect = (node.options.protect or node.name in holding) and component_of(node.name) not in given_up
        changed = protect != node.options.protect
        nodes[node.name] = replace(node, options=replace(node.options, protect=protect)) if changed else node
    return replace(graph, nodes=nodes)


def holders(resources: Iterable[Resource]) -> dict[str, str]:
    """What holds data, by URN, each with what is lost with it. What is being deleted already is not looked at."""
    ours = [item for item in resources if not item.get("external") and not item.get("delete")]
    found = {item["urn"]: lost_with(item["type"], item.get("inputs") or {}) for item in ours}
    found = {urn: lost for urn, lost in found.items() if lost}
    inside: dict[str, list[str]] = {}
    for item in ours:
        if item["urn"] in found and (namespace := in_namespace(item.get("inputs") or {})):
            inside.setdefault(namespace, []).append(name_of(item["urn"]))
    for item in ours:
        if item["type"] == NAMESPACE and (names := inside.get(item.get("id", ""))):
            found[item["urn"]] = f"everything in it, {', '.join(sorted(names))} among it"
        elif item.get("protect"):
            found.setdefault(item["urn"], "what it holds: it is protected")
    return found


@dataclass(frozen=True, slots=True)
class Loss:
    """A resource that holds data and would go: what is lost with it, and why it would go.

    `node` is its name in the blueprint, or in the state where the blueprint has it no more.
    """

    urn: str
    node: str
    type: str
    lost: str
    step: Step | None = None
    """The step that replaces it; None where the blueprint has it no more."""

    @property
    def component(self) -> str:
        """The component that it belongs to."""
        return component_of(self.node)


@dataclass
class Guard:
    """What holds data in the state of a stack that is about to be run.

    `resources` are the real resources in the state. A component is given up under the name that it has now, or under
    the one that the state knows.
    """

    stack: Stack
    graph: Graph
    resources: Sequence[Resource]
    project: str
    name: str
    held: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.held = holders(self.resources)

    @property
    def given_up(self) -> frozenset[str]:
        """The names of components whose data the stack gives up."""
        return frozenset(self.stack.file.allow_loss)

    def to_lift(self) -> list[str]:
        """The URNs of what the stack gives up and the engine still protects."""
        if not self.given_up:
            return []
        current = self._current
        return [
            item["urn"]
            for item in self.resources
            if item.get("protect") and self._is_given_up(item["urn"], current.get(item["urn"], ""))
        ]

    def removed(self) -> list[Loss]:
        """What holds data and is in the blueprint no more."""
        current = self._current
        types = {item["urn"]: item["type"] for item in self.resources}
        return [
            Loss(urn, name_of(urn), types[urn], lost) for urn, lost in sorted(self.held.items()) if urn not in current
        ]

    def planned(self, gone: Mapping[str, Step]) -> list[Loss]:
        """What holds data and would be deleted or replaced by a plan, beside what `removed` tells."""
        known = {loss.urn for loss in self.removed()}
        return [
            Loss(urn, step.node, step.type, self.held[urn], step)
            for urn, step in sorted(gone.items())
            if urn in self.held and urn not in known
        ]

    def refuse(self, losses: Collection[Loss]) -> None:
        """Raise `MlinfraError` for the losses that the stack does not allow."""
        refused = [loss for loss in losses if not self._is_given_up(loss.urn, loss.node)]
        if not refused:
            return
        names = sorted({loss.component for loss in refused})
        raise MlinfraError(*(self._refusal(loss, names) for loss in refused))

    def needless(self, losses: Collection[Loss]) -> list[Diagnostic]:
        """Warnings of what the stack gives up and this run does not lose: it would be lost by a later run, unasked."""
        used = {part for loss in losses for part in (loss.component, component_of(name_of(loss.urn)))}
        known = {component_of(name_of(item["urn"])) for item in self.resources} | {
            node.name for node in self.graph if node.kind is Kind.COMPONENT
        }
        return [
            Diagnostic(
                f"stack {self.stack.name} gives up the data of {name!r}, and this run loses nothing of it"
                if name in known
                else f"stack {self.stack.name} gives up the data of {name!r}, and there is no such component",
                detail="A change that loses it would not be refused." if name in known else "",
                remedy="Take it out of `allow_loss`.",
                location=self.stack.place("allow_loss", index),
                component=name if name in known else None,
                code="allow-loss-needless",
                severity=Severity.WARNING,
            )
            for index, name in enumerate(self.stack.file.allow_loss)
            if name not in used
        ]

    # ------------------------------------------------------------------------------------ parts

    @cached_property
    def _current(self) -> dict[str, str]:
        """The nodes of the graph by the URNs that they may have in the state, former ones among them."""
        return {urn: node.name for node in self.graph for urn in urns(self.graph, node, self.project, self.name)}

    def _is_given_up(self, urn: str, node: str) -> bool:
        return not self.given_up.isdisjoint({component_of(name_of(urn)), component_of(node)})

    def _refusal(self, loss: Loss, names: list[str]) -> Diagnostic:
        stays = [name for name in self.stack.file.allow_loss if name not in names]
        line = f"allow_loss: [{', '.join([*stays, *names])}]"
        protected = [name for name in names if name in self.stack.file.protect]
        taken = f", and take {', '.join(protected)} out of its `protect`" if protected else ""
        return Diagnostic(
            f"this run would {'replace' if loss.step else 'delete'} {loss.node}, which holds data",
            detail=f"{self._why(loss)}\nWhat would be lost: {loss.lost}.",
            remedy=f"{self._way_out(loss)}\nIf losing it is meant, write into {self.stack.place().file}{taken}: {line}",
            location=self.graph.source_of(loss.node) or self.stack.place("blueprint"),
            component=loss.component,
            resource=loss.node,
            code="data-loss",
        )

    def _why(self, loss: Loss) -> str:
        if loss.step is None:
            return f"The blueprint has {loss.component!r} or this part of it no more. It is of type {loss.type}."
        forced = _forced(loss.step)
        if forced:
            return f"What forces it, because it cannot be changed in place: {'; '.join(forced)}."
        if loss.step.operation is Operation.DELETE:
            return f"It is of type {loss.type}."
        return "What forces it is something that it depends on and that is replaced itself."

    @staticmethod
    def _way_out(loss: Loss) -> str:
        if loss.step is None:
            return (
                "Put it back into the blueprint. If the component has another name now, keep the first one: "
                f'moved_from="{loss.component}".'
            )
        return "Undo that change; or make a second one beside it, copy the data, and give this one up after."


def urns(graph: Graph, node: Node, project: str, stack: str) -> list[str]:
    """The URNs of a node in a stack, its present one first.

    Source: `New` in sdk/go/common/resource/urn/urn.go of pulumi/pulumi: the types of the parents stand before the
    node's own; the stack itself counts for none.
    """
    types = [node.type]
    parent = graph.nodes.get(node.component or "")
    while parent is not None:
        types.insert(0, parent.type)
        parent = graph.nodes.get(parent.component or "")
    qualified = "$".join(types)
    return [f"urn:pulumi:{stack}::{project}::{qualified}::{name}" for name in (node.name, *node.options.aliases)]


def _holding(graph: Graph) -> Set[str]:
    """The names of the nodes that hold data; a namespace does if something in it does."""
    found = {node.name for node in graph if node.kind is Kind.RESOURCE and lost_with(node.type, node.inputs)}
    spaces = {node.name: node for node in graph if node.type == NAMESPACE}
    for name in list(found):
        metadata = graph.nodes[name].inputs.get("metadata")
        namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
        found |= {reference.node for reference in references(namespace) if reference.node in spaces}
        found |= {
            space.name
            for space in spaces.values()
            if isinstance(namespace, str) and (space.inputs.get("metadata") or {}).get("name") == namespace
        }
    return found


def _forced(step: Step) -> list[str]:
    """The properties that force a replacement, each with what it was and what it becomes, where that may be shown."""
    told = []
    for root in step.replaces:
        changes = [
            change for change in step.changes if change.path == root or change.path.startswith((f"{root}.", f"{root}["))
        ]
        told += [_change(change) for change in changes] or [root]
    return told


def _change(change: PropertyChange) -> str:
    return f"{change.path}, from {_shown(change.old)} to {_shown(change.new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) and value.startswith(("[", "(")) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
