"""The Kubernetes objects of a graph as they would be applied: references filled in, secrets left out.

What the graph itself says of a reference stands in the object: names, addresses within the cluster, ARNs that follow
from names. What only an `up` makes known comes from the stack's state, where there is one, or is marked by
`PLACEHOLDER` and listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.checks.access.symbols import Symbols, stands_in
from mlinfra.components.secret_sources import STASH
from mlinfra.functions import UnusableValueError, resolve
from mlinfra.graph import Call, Document, Graph, Join, Kind, Node, Path, Ref, Secret, Value, references, walk
from mlinfra.workflow.given import is_secret

PLACEHOLDER: Final = "KNOWN_AFTER_UP"
"""What is not known yet reads `KNOWN_AFTER_UP(data/bucket.arn)`: the node and its output."""

SECRET: Final = "kubernetes:core/v1:Secret"  # noqa: S105 — a type
_HIDDEN: Final = ("data", "stringData")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object: the node that it comes of, the provider instance that leads to its cluster, its body, and the outputs
    that are not known yet, for which placeholders stand in it."""

    node: str
    component: str
    cluster: str
    body: Mapping[str, Any]
    awaited: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Kind, namespace and name."""
        return _title(self.body)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An object that is not among the manifests, and why."""

    node: str
    component: str
    title: str
    why: str


class _HasSecretError(Exception):
    """A value is made of a secret."""


class Manifests:
    """The objects of a graph.

    `outputs` has what the state knows of nodes, by their names; what it does not have is looked for in the graph.
    `account` is the AWS account where it is known.
    """

    def __init__(self, graph: Graph, account: str = "", outputs: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._graph = graph
        self._symbols = Symbols(graph, account)
        self._outputs = outputs or {}

    def objects(self) -> Iterator[Manifest | LeftOut]:
        """Every object, each after those that it refers to."""
        for node in self._graph.topological():
            if node.kind is Kind.RESOURCE and node.type.startswith("kubernetes:"):
                yield self._object(node)

    def _object(self, node: Node) -> Manifest | LeftOut:
        component = node.component or ""
        title = self._named(node)
        if node.type == SECRET:
            return LeftOut(node.name, component, title, "secrets are in no file; `mlinfra up` makes it")
        if not title or node.type.endswith("Patch"):
            return LeftOut(node.name, component, node.type, "it is no object that can be applied")
        try:
            body = self._filled(dict(node.inputs))
        except _HasSecretError:
            return LeftOut(node.name, component, title, "a secret is part of it; `mlinfra up` makes it")
        awaited = dict.fromkeys(_name(ref) for ref in self._used(node.inputs) if self._known(ref) is None)
        return Manifest(node.name, component, node.options.provider or "", body, tuple(awaited))

    def _named(self, node: Node) -> str:
        """The object's title, empty for what is no object."""
        try:
            kept = {key: self._filled(node.inputs[key]) for key in ("apiVersion", "kind", "metadata")}
        except (KeyError, _HasSecretError):
            return ""
        return _title(kept) if kept["metadata"].get("name") else ""

    # ------------------------------------------------------------------------------------ values

    def _filled(self, value: Value) -> Any:
        match value:
            case Mapping():
                return {key: self._filled(item) for key, item in value.items()}
            case list():
                return [self._filled(item) for item in value]
            case Ref():
                found = self._known(value)
                return f"{PLACEHOLDER}({_name(value)})" if found is None else found
            case Join(parts):
                return self._made(Join(tuple(self._filled(part) for part in parts)), value)
            case Document(inner):
                return resolve(Document(self._filled(inner)), {})
            case Call(function, arguments):
                if any(self._known(ref) is None for ref in self._used(value)):
                    return _placeholder(value)
                return self._made(Call(function, tuple(self._filled(item) for item in arguments)), value)
            case Secret():
                raise _HasSecretError
            case _:
                return value

    def _made(self, filled: Value, value: Value) -> Any:
        try:
            return resolve(filled, {})
        except UnusableValueError:  # of an output that is nothing yet, such as an address of what is being made
            return _placeholder(value)

    def _used(self, value: Value) -> Iterator[Ref]:
        """The references in a value, where none of them leads to a secret; raises `_HasSecretError` where one does."""
        if any(isinstance(item, Secret) for item in walk(value)):
            raise _HasSecretError
        yield from references(value)

    def _known(self, ref: Ref) -> Any:
        """What a reference leads to; None where that is not known. Raises `_HasSecretError` for a secret."""
        node = self._graph.nodes[ref.node]
        if _is_hidden(node, ref.path):
            raise _HasSecretError
        if node.name in self._outputs:
            found = _at(self._outputs[node.name], ref.path)
            if found is not None:
                return found
        return self._certain(self._symbols.output(node, *ref.path))

    def _certain(self, found: Any) -> Any:
        """What the graph says, unless something in it only stands for what is not known."""
        for item in walk(found):
            if isinstance(item, Secret):
                raise _HasSecretError
            if isinstance(item, str) and stands_in(item):
                return None
        return found


def _is_hidden(node: Node, path: Path) -> bool:
    """Whether an output of a node is secret whatever it holds."""
    if node.type == STASH or str(path[0]) in node.options.secret_outputs:
        return True
    return node.type == SECRET and path[0] in _HIDDEN


def _at(outputs: Mapping[str, Any], path: Path) -> Any:
    """What the state has at a path; None where there is nothing. Raises `_HasSecretError` where it is a secret."""
    found: Any = outputs
    for part in path:
        try:
            found = None if isinstance(found, str) else found[part]
        except (KeyError, IndexError, TypeError):
            return None
        if is_secret(found):
            raise _HasSecretError
    if any(is_secret(item) for item in walk(found)):
        raise _HasSecretError
    return found


def _name(ref: Ref) -> str:
    return f"{ref.node}.{'.'.join(str(part) for part in ref.path)}"


def _placeholder(value: Value) -> str:
    return f"{PLACEHOLDER}({', '.join(dict.fromkeys(map(_name, references(value))))})"


def _title(body: Mapping[str, Any]) -> str:
    metadata = body["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{body['kind']} {where}{metadata['name']}"
