"""Reports on blueprints that are written within a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from mlinfra.authoring import Blueprint, Component, Params, blueprint, recording
from mlinfra.checks.data import DataReport, Reader, Store, data_report
from mlinfra.environment import Environment, Owner
from mlinfra.expansion import expand
from mlinfra.graph import Graph
from mlinfra.tiers import Tier

ACCOUNT = "111122223333"
IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
Made: TypeAlias = Callable[[], Component | list[Component]]


def graph_of(declare: Made, account: str = ACCOUNT, tier: Tier = Tier.DEV) -> Graph:
    """The graph of what `declare` returns."""
    where = Environment("test", tier, Owner("recsys", "ml-042"), account, "eu-west-1", "ml" if account else "local")

    @blueprint("sample", version="1.0.0")
    def sample(env: Environment, p: Params) -> Blueprint:
        made = declare()
        return Blueprint(*(made if isinstance(made, list) else [made]))

    with recording() as notes:
        result = sample(where, Params())
    assert notes.problems == []
    graph, problems = expand(sample, result, where)
    assert problems.errors == ()
    return graph


class Told:
    """A report, with shorthands to ask it."""

    def __init__(self, report: DataReport) -> None:
        self.report = report

    def store(self, name: str) -> Store:
        (found,) = [store for store in self.report.stores if store.name == name]
        return found

    def reader(self, store: str, name: str) -> Reader:
        (found,) = [reader for reader in self.store(store).readers if reader.name == name]
        return found

    def names(self, store: str) -> list[str]:
        """Who reads a store, by component or name; those who take a role first with its name."""
        return [
            f"{reader.component or reader.name}{f' > {reader.through}' if reader.through else ''}"
            for reader in self.store(store).readers
        ]


Report: TypeAlias = Callable[..., Told]


@pytest.fixture(scope="session")
def report() -> Report:
    """The report on what `declare` returns."""

    def made(declare: Made, account: str = ACCOUNT, tier: Tier = Tier.DEV) -> Told:
        return Told(data_report(graph_of(declare, account, tier), account))

    return made
