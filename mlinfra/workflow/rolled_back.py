"""What was rolled back and stays so: read from the state, and put in the place of what the stack file still says.

A rollback withdraws a release. As long as the stack file says what was withdrawn, each run takes what was gone back to,
and says so; once the stack file says anything else, that is taken and the rollback is over. It is noted on the nodes of
the components that it is about (`FACT`), so that it is in each version of the state, wherever that is kept, and from
the moment at which a run begins to change anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from mlinfra.components.release import RELEASE
from mlinfra.diagnostics import Diagnostic, Location, MlinfraError, Severity
from mlinfra.engine.session import Session
from mlinfra.graph import Graph, Kind
from mlinfra.naming import name_of
from mlinfra.report import Note
from mlinfra.stack import Stack
from mlinfra.workflow.compile import Compiled, compile_request
from mlinfra.workflow.given import state_of
from mlinfra.workflow.given_params import Path, at, nested, with_values
from mlinfra.workflow.places import NEAR
from mlinfra.workflow.request import Request

FACT: Final = "rolled_back"
"""The fact about a component that says so, a JSON text: the engine would drop what is null in it."""

Release = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pin:
    """A parameter that has another value than the stack file says: `value`, where that says one of `instead_of`."""

    path: Path
    value: Any
    instead_of: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A component that was rolled back: to what it was in `version` of the state, from the releases in `withdrawn`."""

    component: str
    version: int
    pins: tuple[Pin, ...]
    withdrawn: tuple[Release, ...]

    @property
    def values(self) -> dict[Path, Any]:
        """The values of the parameters."""
        return {pin.path: pin.value for pin in self.pins}

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Whether parameters still say what was withdrawn, and nothing that is new."""
        said = [(pin, at(params, pin.path)) for pin in self.pins]
        known = all(value == pin.value or value in pin.instead_of for pin, value in said)
        return known and any(value != pin.value for pin, value in said)

    def as_fact(self) -> str:
        """How the graph has it."""
        pins = [{"path": list(pin.path), "value": pin.value, "instead_of": list(pin.instead_of)} for pin in self.pins]
        whole = {"version": self.version, "pins": pins, "withdrawn": list(self.withdrawn)}
        return json.dumps(whole, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_fact(cls, component: str, text: str) -> RolledBack:
        """Read back what `as_fact` made."""
        whole = json.loads(text)
        pins = (Pin(tuple(pin["path"]), pin["value"], tuple(pin["instead_of"])) for pin in whole["pins"])
        return cls(component, whole["version"], tuple(pins), tuple(whole["withdrawn"]))


def kept(request: Request, compiled: Compiled, session: Session) -> Compiled:
    """The stack with what was rolled back and still has to stay so, of which it warns."""
    if not releases(compiled.graph):
        return compiled  # the state need not be read
    return _kept(request, compiled, session.whole())


def compile_kept(request: Request, *, stand_in: bool = False, look_far: bool = True, capacity: bool = True) -> Compiled:
    """The stack as `up` would make it, for what only looks at it: with what was rolled back and still has to stay so.

    Raises as `compile_request`, to which all is handed on. Without `look_far` a state that is not within the project is
    not read. A state that cannot be read is warned of, and the stack is as its file says.
    """
    compiled = compile_request(request, stand_in=stand_in, look_far=look_far, capacity=capacity)
    near = compiled.stack.file.state.backend in NEAR
    if not releases(compiled.graph) or not (near or look_far):
        return compiled
    try:
        resources = state_of(request, compiled.stack).get("resources") or []
    except MlinfraError as error:
        request.emit(Note(_unread(compiled.stack, error)))
        return compiled
    return _kept(request, compiled, resources, stand_in=stand_in, look_far=look_far, capacity=capacity)


def _kept(request: Request, compiled: Compiled, resources: Iterable[Mapping[str, Any]], **how: bool) -> Compiled:
    held = holding(in_state(resources), compiled)
    for item in held:
        request.emit(Note(_warning(request, compiled.stack, item)))
    return compiled_with(request, compiled, held, **how)


def holding(found: Iterable[RolledBack], compiled: Compiled) -> list[RolledBack]:
    """Those whose component is still there, and whose release the stack file still says."""
    there = releases(compiled.graph)
    return [item for item in found if item.component in there and item.holds(compiled.params)]


def compiled_given(request: Request, compiled: Compiled, values: Mapping[Path, Any], **how: bool) -> Compiled:
    """The stack compiled once more, with these values in place of what it says; `how` is for `compile_request`."""
    if not values:
        return compiled
    return compile_request(request, compiled.stack, given=with_values(compiled.params, values), **how)


def compiled_with(request: Request, compiled: Compiled, held: Sequence[RolledBack], **how: bool) -> Compiled:
    """The stack with the parameters of what was rolled back; `how` is for `compile_request`."""
    values = {path: value for item in held for path, value in item.values.items()}
    again = compiled_given(request, compiled, values, **how)
    nodes = dict(again.graph.nodes)
    for item in held:
        node = nodes[item.component]
        nodes[node.name] = replace(node, inputs={**node.inputs, FACT: item.as_fact()})
    return replace(again, graph=replace(again.graph, nodes=nodes))


def releases(graph: Graph) -> dict[str, Release]:
    """What each component of a graph releases, of those that release something."""
    return {node.name: node.inputs[RELEASE] for node in graph if node.kind is Kind.COMPONENT and RELEASE in node.inputs}


def in_state(resources: Iterable[Mapping[str, Any]]) -> list[RolledBack]:
    """What was rolled back in a state."""
    found = ((name_of(item["urn"]), (item.get("inputs") or {}).get(FACT)) for item in resources)
    return [RolledBack.from_fact(name, text) for name, text in found if text]


def released_in(resources: Iterable[Mapping[str, Any]]) -> dict[str, Release]:
    """What each component had released in a state."""
    found = {name_of(item["urn"]): (item.get("inputs") or {}).get(RELEASE) for item in resources if not item["custom"]}
    return {name: release for name, release in found.items() if release}


def to_write(values: Mapping[Path, Any]) -> str:
    """What makes the stack file agree."""
    text: str = yaml.safe_dump({"params": nested(values)}, sort_keys=False, allow_unicode=True, width=1000)
    return text.rstrip()


def _warning(request: Request, stack: Stack, item: RolledBack) -> Diagnostic:
    shown = "\n".join(f"{'.'.join(pin.path)} stays {json.dumps(pin.value, ensure_ascii=False)}" for pin in item.pins)
    return Diagnostic(
        f"{item.component} stays as it was in version {item.version}: what stack {stack.name} says of it was withdrawn "
        "by a rollback",
        detail=f"{shown}\nAny other value in the stack file ends this.",
        remedy=f"Let {stack.place().file} say what runs:\n{to_write(item.values)}\n"
        f"Or make again what it says: {request.command('rollback')} --undo --component {item.component}",
        location=_place(stack, item),
        component=item.component,
        code="rolled-back",
        severity=Severity.WARNING,
    )


def _unread(stack: Stack, error: MlinfraError) -> Diagnostic:
    return Diagnostic(
        f"whether something of stack {stack.name} was rolled back is not known: its state cannot be read",
        detail="\n".join(item.summary for item in error.diagnostics),
        remedy=error.diagnostics[0].remedy,
        location=stack.place("state", "backend"),
        code="rolled-back-unknown",
        severity=Severity.WARNING,
    )


def _place(stack: Stack, item: RolledBack) -> Location:
    name = item.pins[0].path[0]
    return stack.place("imports", name) if name in stack.file.imports else stack.place("params", *item.pins[0].path)
