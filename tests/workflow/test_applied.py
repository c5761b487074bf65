"""Whether anything has changed since the last update: each thing that counts makes another digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import Location
from mlinfra.engine.session import Session
from mlinfra.graph import Graph, Node
from mlinfra.positions import Positions
from mlinfra.project import Project
from mlinfra.stack import Stack, StackFile
from mlinfra.state.backend import Backend
from mlinfra.workflow.applied import digest, is_applied, note

PLAIN: dict[str, Any] = {
    "blueprint": "b",
    "environment": {"name": "dev", "tier": "dev"},
    "owner": {"team": "t", "cost_center": "c"},
}
RESOURCE = {"urn": "u::data/bucket", "id": "data", "inputs": {"bucket": "a"}}


def made(
    *, bucket: str = "a", target: dict[str, Any] | None = None, versions: dict[str, str] | None = None,
    resources: Any = (RESOURCE,), line: int = 1,
) -> str:  # fmt: skip
    file = StackFile.model_validate({**PLAIN, "target": target or {"kind": "local"}}, strict=False)
    node = Node("data/bucket", "aws:s3/bucket:Bucket", {"bucket": bucket})
    graph = Graph("b", "1.0.0", "dev", {node.name: node}, sources={"data": Location("b.py", line)})
    return digest(graph, Stack("dev", file, Positions("f", {})), versions or {"aws": "7"}, resources)


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": "b"},
        {"target": {"kind": "local", "region": "eu-west-1"}},
        {"versions": {"aws": "8"}},
        {"resources": ()},
        {"resources": ({**RESOURCE, "inputs": {"bucket": "b"}},)},
        {"resources": ({**RESOURCE, "protect": True},)},
    ],
)
def test_what_changes_the_digest(change: dict[str, Any]) -> None:
    assert made(**change) != made()


def test_what_does_not() -> None:
    other = {"urn": "u::other", "id": "o"}
    assert made(line=9) == made(), "where a component is written is no part of what it means"
    assert made(resources=(RESOURCE, other)) == made(resources=(other, RESOURCE))


def test_it_is_kept_until_the_next_update(tmp_path: Path) -> None:
    session = Session(Project(tmp_path), "b", "dev", Backend("", "", local=True), Path("/nonexistent"), {})
    assert not is_applied(session, made())
    note(session, made())
    assert is_applied(session, made())
    assert not is_applied(session, made(bucket="b"))
