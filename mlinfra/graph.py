"""The graph: what a blueprint comes to in an environment, as plain data, complete before any engine starts.

A `Graph` holds `Node`s by name. Inputs are JSON values in which a few marked values may stand:

========== =========================== =================================================================
value      JSON                        meaning
========== =========================== =================================================================
`Ref`      `{"$ref": [node, path…]}`   an output of another node; `id` and `urn` are outputs of every node
`Join`     `{"$join": [part…]}`        the parts' texts, one after the other
`Document` `{"$json": value}`          the value as a JSON text (a policy, a dashboard)
`Call`     `{"$call": [name, arg…]}`   a pure function of `mlinfra.functions`, once the arguments are known
`Secret`   `{"$secret": value}`        the value, never shown, logged or stored as plain text
========== =========================== =================================================================

The JSON form is the same bytes on every machine and reads back to an equal graph; it is what golden tests review and
what a compiler in another process hands over. Secrets are left out of it unless it is asked to reveal them.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, TypeAlias

from mlinfra.diagnostics import Location

Path: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = Any
"""A JSON value, or one of the marked values, at any depth."""

FORMAT = 1
REDACTED = "[secret]"


@dataclass(frozen=True, slots=True)
class Ref:
    """An output of another node, known once that node exists. An empty path is the node's id."""

    node: str
    path: Path = ("id",)

    def __getitem__(self, key: str | int) -> Ref:
        """A part of this output: a field of an object or an element of a list."""
        return Ref(self.node, (*self.path, key))


@dataclass(frozen=True, slots=True)
class Join:
    """Texts and values, one after the other, as one text."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A value as JSON text, keys sorted."""

    value: Value


@dataclass(frozen=True, slots=True)
class Call:
    """A pure function of `mlinfra.functions` over values that may not be known yet."""

    function: str
    arguments: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is never shown, logged or stored as plain text."""

    value: Value

    def __repr__(self) -> str:
        """Without the value: reprs end up in tracebacks and test reports."""
        return f"Secret({REDACTED})"


def join(*parts: Value) -> Join:
    """Text made of `parts`: `join("arn:aws:s3:::", bucket.name, "/*")`."""
    return Join(tuple(parts))


class Kind(StrEnum):
    """What a node is: something that the engine makes, groups by, configures a provider with, or looks up."""

    RESOURCE = "resource"
    COMPONENT = "component"
    PROVIDER = "provider"
    LOOKUP = "lookup"


@dataclass(frozen=True, slots=True)
class Options:
    """How the engine treats a node. Names and meanings are Pulumi's resource options.

    `aliases` are former names of the node, without the type; `ignore_changes` and `replace_on_changes` are property
    paths; `timeout_seconds` bounds create, update and delete alike, 0 for the provider's own.
    """

    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    provider: str | None = None
    import_id: str | None = None
    timeout_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One node: a resource with its inputs, a component that is a parent, a provider instance or a lookup."""

    name: str
    type: str
    inputs: Mapping[str, Value] = field(default_factory=dict)
    kind: Kind = Kind.RESOURCE
    component: str | None = None
    options: Options = Options()

    def references(self) -> frozenset[str]:
        """The names of all nodes that must be known before this one: inputs, order, parent and provider."""
        named = {reference.node for reference in references(self.inputs)} | set(self.options.depends_on)
        return frozenset(named | {name for name in (self.component, self.options.provider) if name})


@dataclass(frozen=True, slots=True)
class Pool:
    """Machines that a blueprint declares, and what one of them offers to pods: the local target stands in for them.

    `cpu` in cores, `memory` in GiB, `pods` a count. `labels` and `taints` are those of the Kubernetes nodes, a taint
    being (key, value, effect).
    """

    name: str
    instance_type: str
    cpu: float
    memory: float
    gpus: int = 0
    pods: int = 110
    min: int = 0
    max: int = 1
    spot: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()


class CycleError(ValueError):
    """Nodes that refer to each other in a circle; `names` begins and ends with the same node."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(" → ".join(names))
        self.names = names


@dataclass(frozen=True)
class Graph:
    """Every node of one stack, its outputs, the machines it declares, and where each component was written.

    `sources` maps a component's name to the place in the blueprint that declares it. It serves diagnostics and is no
    part of what the graph means: `to_json(sources=False)` leaves it out.
    """

    blueprint: str
    version: str
    environment: str
    nodes: Mapping[str, Node]
    outputs: Mapping[str, Value] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    sources: Mapping[str, Location] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Node]:
        """The nodes, in the order of their names."""
        return iter(self.nodes[name] for name in sorted(self.nodes))

    def source_of(self, name: str) -> Location | None:
        """Where the component that `name` is, or belongs to, was written."""
        node = self.nodes.get(name)
        while node is not None:
            if node.name in self.sources:
                return self.sources[node.name]
            node = self.nodes.get(node.component) if node.component else None
        return None

    def dangling(self) -> list[tuple[str, str]]:
        """Pairs of a node (or `output NAME`) and a name it refers to that no node has."""
        used = [(node.name, name) for node in self for name in sorted(node.references())]
        used += [
            (f"output {key}", ref.node) for key, value in sorted(self.outputs.items()) for ref in references(value)
        ]
        return [(user, name) for user, name in used if name not in self.nodes]

    def topological(self) -> list[Node]:
        """The nodes, each after all that it refers to, by name where there is a choice.

        Raises `CycleError` when nodes refer to each other in a circle.
        """
        waits = {node.name: {name for name in node.references() if name in self.nodes} for node in self}
        users: dict[str, list[str]] = {name: [] for name in waits}
        for name, needed in waits.items():
            for other in needed:
                users[other].append(name)
        ready = sorted(name for name, needed in waits.items() if not needed)
        order: list[Node] = []
        while ready:
            name = heapq.heappop(ready)
            order.append(self.nodes[name])
            for user in users[name]:
                waits[user].discard(name)
                if not waits[user]:
                    heapq.heappush(ready, user)
        if len(order) < len(waits):
            raise CycleError(_cycle({name: needed for name, needed in waits.items() if needed}))
        return order

    def to_json(self, *, sources: bool = True, reveal: bool = False) -> dict[str, Any]:
        """The graph as plain JSON data. `reveal` puts secrets in, for a private pipe between processes only."""
        record: dict[str, Any] = {
            "format": FORMAT,
            "blueprint": self.blueprint,
            "version": self.version,
            "environment": self.environment,
            "nodes": {node.name: _node_to_json(node, reveal) for node in self},
            "outputs": {key: to_json(value, reveal) for key, value in sorted(self.outputs.items())},
            "pools": [_plain(pool) for pool in self.pools],
        }
        if sources:
            record["sources"] = {name: [place.file, place.line] for name, place in sorted(self.sources.items())}
        return record

    def dumps(self, *, sources: bool = True, reveal: bool = False) -> str:
        """`to_json` as text: the same bytes on every machine."""
        return (
            json.dumps(self.to_json(sources=sources, reveal=reveal), indent=2, sort_keys=True, ensure_ascii=False)
            + "\n"
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Graph:
        """Read back what `to_json` made; raises `ValueError` for another format."""
        if record.get("format") != FORMAT:
            raise ValueError(f"a graph of format {record.get('format')!r}; this version reads format {FORMAT}")
        return cls(
            blueprint=record["blueprint"],
            version=record["version"],
            environment=record["environment"],
            nodes={name: _node_from_json(name, node) for name, node in record["nodes"].items()},
            outputs={key: from_json(value) for key, value in record["outputs"].items()},
            pools=tuple(_pool_from_json(pool) for pool in record["pools"]),
            sources={name: Location(file, line) for name, (file, line) in record.get("sources", {}).items()},
        )


# ------------------------------------------------------------------------------------------------ values


def walk(value: Value) -> Iterator[Value]:
    """Every value within `value`, itself first."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if type(item) not in _WHOLE:
            waiting.extend(reversed(tuple(_parts(item))))


def references(value: Value) -> Iterator[Ref]:
    """Every `Ref` within `value`."""
    return (item for item in walk(value) if isinstance(item, Ref))


_WHOLE: Final = frozenset({str, int, float, bool, type(None)})


def _parts(value: Value) -> Iterable[Value]:
    match value:
        case dict() | Mapping():  # the first is told at once
            return value.values()
        case list():
            return value
        case Join(parts):
            return parts
        case Call(_, arguments):
            return arguments
        case Document(inner) | Secret(inner):
            return (inner,)
        case _:
            return ()


def to_json(value: Value, reveal: bool = False) -> Any:
    """A value as JSON data. Secrets become `{"$secret": "[secret]"}` unless `reveal`."""
    match value:
        case Mapping():
            marked = any(key.startswith("$") for key in value)
            plain = {key: to_json(item, reveal) for key, item in sorted(value.items())}
            return {"$object": plain} if marked else plain
        case list():
            return [to_json(item, reveal) for item in value]
        case Ref(node, path):
            return {"$ref": [node, *path]}
        case Join(parts):
            return {"$join": [to_json(part, reveal) for part in parts]}
        case Document(inner):
            return {"$json": to_json(inner, reveal)}
        case Call(function, arguments):
            return {"$call": [function, *(to_json(item, reveal) for item in arguments)]}
        case Secret(inner):
            return {"$secret": to_json(inner, reveal) if reveal else REDACTED}
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"a {type(value).__name__} cannot stand in a graph: {value!r}")


def from_json(data: Any) -> Value:
    """Read back what `to_json` made of a value."""
    if isinstance(data, list):
        return [from_json(item) for item in data]
    if not isinstance(data, dict):
        return data
    match data:
        case {"$ref": [node, *path]}:
            return Ref(node, tuple(path))
        case {"$join": parts}:
            return Join(tuple(from_json(part) for part in parts))
        case {"$json": inner}:
            return Document(from_json(inner))
        case {"$call": [function, *arguments]}:
            return Call(function, tuple(from_json(item) for item in arguments))
        case {"$secret": inner}:
            return Secret(from_json(inner))
        case {"$object": inner}:
            return {key: from_json(item) for key, item in inner.items()}
    return {key: from_json(item) for key, item in data.items()}


# ------------------------------------------------------------------------------------------------ nodes as JSON


def _plain(record: Options | Pool) -> dict[str, Any]:
    """The fields that differ from their defaults, tuples as lists."""
    shown: dict[str, Any] = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if value != item.default and not (item.default_factory is dict and not value):
            shown[item.name] = json.loads(json.dumps(value))
    return shown


def _node_to_json(node: Node, reveal: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"type": node.type, "kind": str(node.kind), "inputs": to_json(dict(node.inputs), reveal)}
    if node.component:
        record["component"] = node.component
    if options := _plain(node.options):
        record["options"] = options
    return record


def _node_from_json(name: str, record: Mapping[str, Any]) -> Node:
    options: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in record.get("options", {}).items()
    }
    return Node(
        name=name,
        type=record["type"],
        inputs=from_json(record["inputs"]),
        kind=Kind(record["kind"]),
        component=record.get("component"),
        options=Options(**options),
    )


def _pool_from_json(record: Mapping[str, Any]) -> Pool:
    return Pool(**{**record, "taints": tuple(tuple(taint) for taint in record.get("taints", ()))})


def _cycle(waits: Mapping[str, set[str]]) -> list[str]:
    """One circle among nodes that all wait for another of them, from its first name by the alphabet."""
    seen: list[str] = []
    name = min(waits)
    while name not in seen:
        seen.append(name)
        name = min(other for other in waits[name] if other in waits)
    circle = seen[seen.index(name) :]
    first = circle.index(min(circle))
    circle = circle[first:] + circle[:first]
    return [*circle, circle[0]]
