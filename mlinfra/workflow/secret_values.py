"""The values of secrets, got from where they come from when a run needs them, and only then.

The graph has a node for each value (`mlinfra.components.secret_sources`), with a recipe in place of the value. What is
in the state by the same recipe is kept: the engine is told to leave it alone, so that nobody has to have the value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from mlinfra.components.secret_sources import QUESTION, RECIPE, STASH, VALUE, VARIABLE, generate
from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.functions import UNKNOWN
from mlinfra.graph import Graph, Node, Secret
from mlinfra.naming import name_of

Ask: TypeAlias = Callable[[str], str]
"""Asks a person for a value, which is not shown while it is typed."""

MOST_BYTES: Final = 65_536
"""Longest value (Secrets Manager API reference, `PutSecretValue`)."""

_STAND_IN = 32


def supplied(
    graph: Graph,
    resources: Iterable[Mapping[str, Any]],
    verb: str,
    *,
    ask: Ask | None = None,
    stand_ins: bool = False,
    variables: Mapping[str, str] = os.environ,
) -> tuple[Graph, list[Diagnostic]]:
    """The graph with the values that a run needs, and warnings; `resources` are those of the state.

    - `up` needs every value that the state has not.
    - `preview` goes on without: what is made of a value is not known yet.
    - Other verbs make nothing, so any value does.

    `stand_ins` makes values up where a person would have to give them, for rehearsals. Raises `MlinfraError` with
    every value that cannot be had.
    """
    nodes = [node for node in graph if node.type == STASH and RECIPE in node.inputs.get("input", {})]
    known = {name_of(item["urn"]): item for item in resources if _is_kept(item)}
    found: dict[str, Node | Diagnostic] = {}
    for asks in (False, True):  # nobody types a value for a run that lacks another
        for node in nodes:
            if (QUESTION in node.inputs["input"]) is asks:
                before = next((known[name] for name in (node.name, *node.options.aliases) if name in known), None)
                found[node.name] = _supply(node, before, verb, ask, stand_ins, variables)
        told = [_placed(graph, item) for item in found.values() if isinstance(item, Diagnostic)]
        if any(item.severity is Severity.ERROR for item in told):
            raise MlinfraError(*told)
    given = {node.name: item if isinstance(item := found[node.name], Node) else _with(node, UNKNOWN) for node in nodes}
    return replace(graph, nodes={**graph.nodes, **given}), told


def _is_kept(resource: Mapping[str, Any]) -> bool:
    return resource["type"] == STASH and not resource.get("delete")


def _placed(graph: Graph, told: Diagnostic) -> Diagnostic:
    return replace(told, location=graph.source_of(told.resource or ""))


def _supply(
    node: Node,
    before: Mapping[str, Any] | None,
    verb: str,
    ask: Ask | None,
    stand_ins: bool,
    variables: Mapping[str, str],
) -> Node | Diagnostic:
    asked: Mapping[str, Any] = node.inputs["input"]
    recipe = asked[RECIPE]
    if verb not in ("up", "preview"):
        return _kept(node) if before else _with(node, generate(_STAND_IN, "letters-and-digits"))
    if VARIABLE in asked and (given := variables.get(asked[VARIABLE])):
        return _with(node, given) if len(given.encode()) <= MOST_BYTES else _too_long(node, asked[VARIABLE])
    if before is not None and _recipe_of(before) == recipe:
        return _kept(node)
    if recipe["source"] == "generator":
        return _with(node, generate(int(recipe["length"]), recipe["alphabet"]))
    if stand_ins:
        return _with(node, generate(_STAND_IN, "letters-and-digits"))
    if verb == "preview":
        return _missing(node, asked, Severity.WARNING)
    if recipe["source"] == "prompt" and ask is not None and (typed := ask(asked[QUESTION])):
        return _with(node, typed)
    return _missing(node, asked, Severity.ERROR)


def _with(node: Node, value: Any) -> Node:
    given = {RECIPE: node.inputs["input"][RECIPE], VALUE: value if value is UNKNOWN else Secret(value)}
    return replace(node, inputs={"input": given})


def _kept(node: Node) -> Node:
    """The engine puts in what the state has."""
    return replace(_with(node, ""), options=replace(node.options, ignore_changes=("input",)))


def _recipe_of(resource: Mapping[str, Any]) -> Any:
    found = (resource.get("inputs") or {}).get("input")
    return found.get(RECIPE) if isinstance(found, Mapping) else None


def _missing(node: Node, asked: Mapping[str, Any], severity: Severity) -> Diagnostic:
    name = node.component or node.name
    if VARIABLE in asked:
        variable = asked[VARIABLE]
        summary = f"the value of {name} comes from the environment variable {variable}, which is not set"
        remedy = f"Set it where mlinfra runs: export {variable}=…"
    else:
        summary = f"the value of {name} is to be typed at a terminal"
        summary += ", and none was" if severity is Severity.ERROR else " at the next up"
        remedy = "Run `mlinfra up` in a terminal, without --json, and type the value."
    return Diagnostic(
        summary,
        detail="The state does not have it yet; once it has, it is kept there, encrypted, and need not be given again.",
        remedy=remedy,
        component=node.component,
        resource=node.name,
        code="secret-missing",
        severity=severity,
    )


def _too_long(node: Node, variable: str) -> Diagnostic:
    return Diagnostic(
        f"the environment variable {variable} holds more than {MOST_BYTES:,} bytes",
        detail="Secrets Manager takes no longer values (API reference, PutSecretValue).",
        remedy="Keep something shorter, such as the key that a longer text in a bucket is encrypted with.",
        component=node.component,
        resource=node.name,
        code="secret-too-long",
    )
