"""What is found out about a store before it is asked who can read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mlinfra.checks.access.deciding import Question
from mlinfra.checks.access.keys import Keys
from mlinfra.checks.access.patterns import Pattern, pattern
from mlinfra.checks.access.policies import Statement
from mlinfra.checks.access.principals import Principals
from mlinfra.checks.access.symbols import Symbols, at, shown
from mlinfra.checks.data.record import Store
from mlinfra.expansion import MANAGER
from mlinfra.graph import Node

CLASSIFICATION = f"{MANAGER}:classification"
DESCRIPTIONS = (f"{MANAGER}:holds", "description", "Description")
"""The tags that say what a store holds."""

STORES = ("Bucket", "Queue", "ManagedSecret", "Database", "ImageRepository", "Raw")
"""Components that are a store themselves, and not something that has one."""

CLUSTER = "the cluster"


@dataclass(frozen=True)
class Sources:
    """A graph, read in every way that is needed here."""

    symbols: Symbols
    principals: Principals
    keys: Keys
    _settings: dict[tuple[str, str], dict[str, list[Node]]] = field(default_factory=dict)

    def settings(self, token: str, key: str, *names: str) -> list[Node]:
        """The nodes of a type that are settings of the resource which bears one of the names."""
        index = self._settings.get((token, key))
        if index is None:
            index = self._settings[token, key] = {}
            for node in self.symbols.of_type(token):
                index.setdefault(str(self.symbols.input(node, key)), []).append(node)
        return [node for name in dict.fromkeys(names) for node in index.get(name, ())]

    def statements(self, token: str, key: str, *names: str) -> list[Statement]:
        """The statements of the policies that a resource has by nodes of their own."""
        return [
            statement
            for node in self.settings(token, key, *names)
            for statement in self.principals.read(node, self.symbols.input(node, "policy"))
        ]

    def own_statements(self, node: Node) -> list[Statement]:
        """The statements of the policy that is an input of the resource itself."""
        return self.principals.read(node, self.symbols.input(node, "policy"))

    def key_name(self, key: str) -> str:
        """A key's node; empty where the graph does not make it."""
        node = self.keys.node(key)
        return node.name if node else ""


@dataclass(frozen=True)
class Held:
    """A store and how it is read.

    `start` is how the names of all that is in it begin, or its own. `questions` are asked of every principal; a yes to
    one is enough. `key` is the key that a reader must be able to decrypt with, empty where AWS does so for whoever may
    read; `sealed` is the context of requests for that. `closed` says that AWS lets nobody in from other accounts
    without naming them: public access is blocked.
    """

    facts: Store
    start: str
    questions: tuple[Question, ...] = ()
    key: str = ""
    sealed: dict[str, str] = field(default_factory=dict)
    closed: bool = False


def facts(symbols: Symbols, node: Node, kind: str, **known: Any) -> Store:
    """What is told of a store of any type."""
    tags = symbols.input(node, "tags")
    described = symbols.input(node, "description")
    holds = next((str(tag) for key in DESCRIPTIONS if (tag := at(tags, key)) is not None), "")
    record: dict[str, Any] = {
        "name": title(symbols, node),
        "kind": kind,
        "node": node.name,
        "component": node.component,
        "place": shown(symbols.arn(node)),
        "classification": str(at(tags, CLASSIFICATION) or ""),
        "holds": holds or (described if isinstance(described, str) else ""),
        "where": symbols.region(node),
    }
    return Store(**{**record, **known})


def title(symbols: Symbols, node: Node) -> str:
    """What a store is called: its component, where it is what the component is for, else its node."""
    component = symbols.graph.nodes.get(node.component or "")
    local = node.name.partition("/")[2]
    kind = component.type.rpartition(":")[2] if component else ""
    main = node.type.partition(":")[0] == "aws" and local == node.type.rpartition(":")[2].lower()
    if component and kind in STORES and (main or local in ("resource", "instance")):
        return component.name
    return node.name


def space(text: str) -> Pattern:
    """The resources that an ARN names, whatever the account and what AWS adds turn out to be."""
    return pattern(text.replace("·", "?"))


def days(texts: Iterable[Any]) -> int | None:
    """The fewest of some numbers of days; None where there is none."""
    return min((int(item) for item in texts if isinstance(item, int | float)), default=None)
