"""Graphs out of short records, and one cache of schemas for the whole session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from mlinfra.diagnostics import Diagnostic
from mlinfra.graph import Graph

MakeGraph: TypeAlias = Callable[[dict[str, Any]], Graph]


@pytest.fixture(scope="session")
def schema_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of schemas that all tests share: what one derives, the next one reads."""
    return tmp_path_factory.mktemp("schema")


@pytest.fixture(scope="session")
def make_graph() -> MakeGraph:
    """A graph from the JSON form, in which what is the same in every case may be left out."""

    def make(record: dict[str, Any]) -> Graph:
        nodes = {name: {"kind": "resource", "inputs": {}, **node} for name, node in (record.get("nodes") or {}).items()}
        sources = {
            node["component"]: ["blueprints/b.py", 10 + line]
            for line, node in enumerate(nodes.values())
            if node.get("component")
        }
        return Graph.from_json(
            {
                "format": 1,
                "blueprint": "b",
                "version": "1",
                "environment": "dev",
                "pools": [],
                "nodes": nodes,
                "outputs": record.get("outputs", {}),
                "sources": sources,
            }
        )

    return make


@pytest.fixture(scope="session")
def assert_told() -> Callable[[list[Diagnostic], list[dict[str, Any]]], None]:
    """Exactly the expected diagnostics, in order, each saying what is expected of it."""

    def check(found: list[Diagnostic], expected: list[dict[str, Any]]) -> None:
        told = [(item.code, item.resource, str(item.severity)) for item in found]
        wanted = [(item["code"], item.get("at"), item.get("severity", "error")) for item in expected]
        assert told == wanted, "\n".join(f"{item.summary}. {item.detail} {item.remedy}" for item in found)
        for item, want in zip(found, expected, strict=True):
            text = f"{item.summary}\n{item.detail}\n{item.remedy}"
            for words in want.get("says", []):
                assert words in text
            for words in want.get("never", []):
                assert words not in text

    return check
