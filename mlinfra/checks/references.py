"""References that lead nowhere, in a circle, to a function that is not there, or to the wrong kind of provider."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from itertools import pairwise

from mlinfra.diagnostics import Diagnostic
from mlinfra.functions import FUNCTIONS
from mlinfra.graph import Call, CycleError, Graph, Kind, Node, references, walk


def check_references(graph: Graph) -> list[Diagnostic]:
    """Every reference of the graph that cannot be followed."""
    return [*_dangling(graph), *_cycles(graph), *_calls(graph), *_providers(graph)]


def _dangling(graph: Graph) -> Iterator[Diagnostic]:
    for user, name in graph.dangling():
        near = get_close_matches(name, graph.nodes, 1)
        node = graph.nodes.get(user)
        yield Diagnostic(
            f"{user} refers to {name}, which is not in the graph",
            detail=f"It is named in {_where(node, name)}." if node else "",
            remedy=f"Did you mean {near[0]}?" if near else "",
            location=graph.source_of(user),
            component=node.component if node else None,
            resource=user if node else None,
            code="dangling-reference",
        )


def _where(node: Node, name: str) -> str:
    """What in a node names another node."""
    named = {
        "its parent": node.component == name,
        "its provider": node.options.provider == name,
        "what it depends on": name in node.options.depends_on,
    }
    named |= {key: any(ref.node == name for ref in references(value)) for key, value in sorted(node.inputs.items())}
    return ", ".join(place for place, found in named.items() if found)


def _cycles(graph: Graph) -> Iterator[Diagnostic]:
    """Every circle; circles that share a node are told one at a time."""
    rest = graph
    while True:
        try:
            rest.topological()
        except CycleError as error:
            yield _cycle(graph, error.names)
            nodes = {name: node for name, node in rest.nodes.items() if name not in error.names}
            rest = replace(rest, nodes=nodes)
        else:
            return


def _cycle(graph: Graph, names: list[str]) -> Diagnostic:
    links = [
        f"{user} refers to {name} in {_where(graph.nodes[user], name)}{_written(graph, user)}"
        for user, name in pairwise(names)
    ]
    return Diagnostic(
        f"Nodes refer to each other in a circle: {' → '.join(names)}",
        detail="\n".join(links),
        remedy="Take one of these references away, so that one of the nodes can be made first.",
        location=graph.source_of(names[0]),
        component=graph.nodes[names[0]].component,
        resource=names[0],
        code="reference-cycle",
    )


def _written(graph: Graph, name: str) -> str:
    place = graph.source_of(name)
    return f" ({place})" if place else ""


def _calls(graph: Graph) -> Iterator[Diagnostic]:
    """Calls of functions that are not there, or that take other arguments."""
    users = [(node.name, node.inputs) for node in graph]
    users += [(f"output {name}", value) for name, value in sorted(graph.outputs.items())]
    for user, value in users:
        for call in walk(value):
            if isinstance(call, Call) and (wrong := _wrong_call(call)):
                yield _about(graph, user, f"{user} {wrong[0]}", wrong[1], "unknown-function")


def _wrong_call(call: Call) -> tuple[str, str] | None:
    """What is wrong with a call, and what to do."""
    body = FUNCTIONS.get(call.function)
    if body is None:
        return f"calls {call.function}, which is not a function", f"The functions are {', '.join(sorted(FUNCTIONS))}."
    signature = inspect.signature(body)
    try:
        signature.bind(*call.arguments)
    except TypeError as error:
        return f"calls {call.function} with the wrong arguments: {error}", f"Call it as {call.function}{signature}."
    return None


def _providers(graph: Graph) -> Iterator[Diagnostic]:
    """Nodes whose provider is no provider, or one for another package."""
    for node in graph:
        provider = graph.nodes.get(node.options.provider or "")
        package = node.type.partition(":")[0]
        wanted = f"pulumi:providers:{package}"
        if provider is not None and node.kind in (Kind.RESOURCE, Kind.LOOKUP) and provider.type != wanted:
            summary = f"{node.name} has the provider {provider.name}, which is not one for {package}"
            remedy = f"Give it a provider instance of the type {wanted}; this is {provider.type}."
            yield _about(graph, node.name, summary, remedy, "wrong-provider")


def _about(graph: Graph, user: str, summary: str, remedy: str, code: str) -> Diagnostic:
    node = graph.nodes.get(user)
    return Diagnostic(
        summary,
        remedy=remedy,
        location=graph.source_of(user),
        component=node.component if node else None,
        resource=node.name if node else None,
        code=code,
    )
