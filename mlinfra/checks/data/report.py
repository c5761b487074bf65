"""The report on data, put together: stores, what is told of each, and who can read it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mlinfra.checks.access.keys import Keys
from mlinfra.checks.access.principals import Principals
from mlinfra.checks.access.symbols import Symbols
from mlinfra.checks.data.buckets import buckets
from mlinfra.checks.data.cluster import ClusterData
from mlinfra.checks.data.held import Sources
from mlinfra.checks.data.readers import readers
from mlinfra.checks.data.record import DataReport, Store
from mlinfra.checks.data.services import services
from mlinfra.graph import Graph

OUTSIDE: Final = (
    "Principals that the stack neither makes nor names are not listed: users and roles of the account whose own "
    "policies allow it, its administrators and its root user among them."
)


def data_report(graph: Graph, account: str = "") -> DataReport:
    """The report on a graph; `account` is the number of the AWS account where it is known."""
    symbols = Symbols(graph, account if account.isdigit() else "")
    principals = Principals(symbols)
    sources = Sources(symbols, principals, Keys(symbols, principals))
    found = [*buckets(sources), *services(sources)]
    stores = [replace(held.facts, readers=readers(sources, held)) for held in found]
    stores += ClusterData(symbols).stores()
    return DataReport(
        graph.blueprint,
        graph.version,
        graph.environment,
        tuple(sorted(stores, key=_order)),
        (OUTSIDE, *_unseen(principals)),
    )


def _order(store: Store) -> tuple[str, str, str]:
    """By name, the parts of a store right after it."""
    return (store.within or store.name, store.within, store.name)


def _unseen(principals: Principals) -> list[str]:
    """What could not be read, each once."""
    unknown = [
        f"{item.kind} {item.name} has the policy {policy}, which is not in the graph: what it allows is not known"
        for item in principals
        for policy in dict.fromkeys(item.unseen)
    ]
    return list(dict.fromkeys((*principals.problems, *unknown)))
