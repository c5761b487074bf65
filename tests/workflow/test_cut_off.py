"""What a person is told of creates that were cut off and that nobody can look for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.diagnostics import Severity
from mlinfra.engine.session import Session
from mlinfra.graph import Graph, Kind, Node
from mlinfra.project import Project
from mlinfra.state.backend import Backend
from mlinfra.workflow.cut_off import forgotten, left_behind, undecided


def urn(token: str, name: str = "data/thing") -> str:
    return f"urn:pulumi:prod::demo::mlinfra:component:Raw${token}::{name}"


KEY, BUCKET, TABLE = "aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:dynamodb/table:Table"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Project(tmp_path), "demo", "prod", Backend("", "", local=True), Path("/nonexistent"), {})


@pytest.mark.parametrize(
    ("token", "attached", "told"),
    [
        (KEY, [], True),
        (KEY, ["aws"], False),
        (KEY, ["kubernetes"], True),
        (BUCKET, [], False),
        (TABLE, [], True),  # not a type that we know
        ("kubernetes:core/v1:ConfigMap", [], False),
        ("pulumi:index:Stash", [], False),  # it is in the state alone
    ],
)
def test_what_an_official_plugin_might_make_twice(
    session: Session, token: str, attached: list[str], told: bool
) -> None:
    problems = undecided(session, [urn(token)], attached)
    assert bool(problems) == told
    for problem in problems:
        assert problem.severity is Severity.ERROR
        assert ("data/thing" in problem.summary, token in problem.detail) == (True, True)
        assert ".mlinfra/engine/demo/cut-off-prod.json" in problem.remedy


def test_what_the_blueprint_has_no_more(session: Session) -> None:
    node = Node("data/thing", BUCKET, {}, Kind.RESOURCE)
    graph = Graph("demo", "1.0.0", "prod", {"data/thing": node}, {})
    gone = urn(BUCKET, "data/gone")
    cut_off = {urn(BUCKET): frozenset[str](), gone: frozenset[str](), urn(KEY, "data/made"): frozenset({"id"})}
    [told] = left_behind(graph, session, cut_off)
    assert (told.severity, told.resource) == (Severity.WARNING, "data/gone")
    assert BUCKET in told.detail
    assert forgotten(graph, cut_off) == [gone]
