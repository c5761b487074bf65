"""Components made into graphs, without a stack file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from mlinfra.authoring import Blueprint, Component, Params, blueprint, recording
from mlinfra.diagnostics import Diagnostic
from mlinfra.environment import Environment, Owner
from mlinfra.expansion import expand
from mlinfra.graph import Graph, Node
from mlinfra.tiers import Tier

LOCAL = Environment(
    name="test",
    tier=Tier.DEV,
    owner=Owner("recsys", "ml-042"),
    account="local",
    region="us-east-1",
    cluster="local",
)
TARGETS = {
    "local": LOCAL,
    "eks": replace(LOCAL, account="111122223333", region="eu-west-1", cluster="ml-prod"),
    "aws-only": replace(LOCAL, account="111122223333", cluster="", has_kubernetes=False),
    "kubeconfig": replace(LOCAL, account="", region="", cluster=""),
}


@dataclass(frozen=True)
class Expanded:
    """A graph and everything that was said on the way to it."""

    graph: Graph
    diagnostics: tuple[Diagnostic, ...]

    @property
    def codes(self) -> list[str]:
        return [item.code for item in self.diagnostics]

    def node(self, name: str) -> Node:
        return self.graph.nodes[name]

    def inputs(self, name: str) -> Any:
        return self.graph.nodes[name].inputs

    def names_of(self, component: str) -> set[str]:
        return {name.partition("/")[2] for name in self.graph.nodes if name.startswith(f"{component}/")}


Declare = Callable[[], Component | list[Component]]


class Expand(Protocol):
    def __call__(
        self, declare: Declare, target: str = ..., *, tier: Tier = ..., protect: tuple[str, ...] = ..., **over: Any
    ) -> Expanded: ...


@pytest.fixture(scope="session")
def expanded() -> Expand:
    """Run `declare` as a blueprint and expand what it returns."""

    def run(
        declare: Declare,
        target: str = "local",
        *,
        tier: Tier = Tier.DEV,
        protect: tuple[str, ...] = (),
        name: str = "sample",
        environment: str = "test",
    ) -> Expanded:
        @blueprint(name, version="1.0.0")
        def sample(env: Environment, p: Params) -> Blueprint:
            made = declare()
            return Blueprint(*(made if isinstance(made, list) else [made]))

        where = replace(TARGETS[target], tier=tier, name=environment)
        with recording() as notes:
            result = sample(where, Params())
        if notes.problems:
            empty = Graph(name, "1.0.0", environment, {})
            return Expanded(empty, tuple(notes.problems))
        graph, problems = expand(sample, result, where, frozenset(protect))
        return Expanded(graph, tuple(problems.found))

    return run
