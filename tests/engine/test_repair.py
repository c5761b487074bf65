"""Repair of a state on this machine after a run that was cut off; the file as the engine leaves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.repair import repair
from mlinfra.engine.session import Session
from mlinfra.project import Project
from mlinfra.state.backend import Backend

RESOURCE = {"urn": "urn:pulumi:dev::demo::aws:s3/bucket:Bucket::data/bucket", "type": "aws:s3/bucket:Bucket"}


def checkpoint(**latest: Any) -> str:
    return json.dumps({"version": 3, "checkpoint": {"stack": "organization/demo/dev", "latest": latest}})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    backend = Backend(f"file://{tmp_path}/state", "passphrase", local=True)
    made = Session(Project(tmp_path), "demo", "dev", backend, Path("/nonexistent/pulumi"), {})
    made.state_file.parent.mkdir(parents=True)
    return made


def test_a_stack_that_is_well_needs_none(session: Session) -> None:
    session.state_file.write_text(checkpoint(resources=[RESOURCE]))
    assert repair(session) == ([], frozenset())


def test_a_stack_that_was_never_updated_needs_none(session: Session) -> None:
    assert repair(session) == ([], frozenset())


@pytest.mark.parametrize("torn", ["", '{"version": 3, "checkpoint": {"sta'])
def test_a_torn_state_gives_way_to_its_copy(session: Session, torn: str) -> None:
    session.state_file.write_text(torn)
    copy = session.state_file.with_name("dev.json.bak")
    copy.write_text(checkpoint(resources=[RESOURCE]))
    told, unfinished = repair(session)
    assert [item.code for item in told] == ["repaired"]
    assert unfinished == frozenset()
    assert session.export()["resources"] == [RESOURCE]
    assert repair(session) == ([], frozenset())


def test_a_lock_that_nobody_holds_any_more_is_taken_back(session: Session, tmp_path: Path) -> None:
    lock = tmp_path / "state" / ".pulumi" / "locks" / "organization" / "demo" / "dev" / "1234.json"
    other = lock.parent.parent / "prod" / "1234.json"
    for path in (lock, other):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    told, _ = repair(session)
    assert [item.code for item in told] == ["repaired"]
    assert not lock.exists()
    assert other.exists(), "the lock of another stack is not ours to take"


def test_a_state_elsewhere_is_not_touched(tmp_path: Path) -> None:
    remote: Mapping[str, str] = {}
    backend = Backend("s3://states", "passphrase", local=False, environment=remote)
    assert repair(Session(Project(tmp_path), "demo", "dev", backend, Path("/nonexistent"), {})) == ([], frozenset())
