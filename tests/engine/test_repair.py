"""Repair of a state on this machine after a run that was cut off; the file as the engine leaves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.repair import Repaired, repair, resolved
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
    assert repair(session) == Repaired()


def test_a_stack_that_was_never_updated_needs_none(session: Session) -> None:
    assert repair(session) == Repaired()


@pytest.mark.parametrize("torn", ["", '{"version": 3, "checkpoint": {"sta'])
def test_a_torn_state_gives_way_to_its_copy(session: Session, torn: str) -> None:
    session.state_file.write_text(torn)
    copy = session.state_file.with_name("dev.json.bak")
    copy.write_text(checkpoint(resources=[RESOURCE]))
    repaired = repair(session)
    assert [item.code for item in repaired.told] == ["repaired"]
    assert (repaired.unfinished, repaired.stale) == ({}, False)
    assert session.export()["resources"] == [RESOURCE]
    assert repair(session) == Repaired()


def test_a_lock_that_nobody_holds_any_more_is_taken_back(session: Session, tmp_path: Path) -> None:
    lock = tmp_path / "state" / ".pulumi" / "locks" / "organization" / "demo" / "dev" / "1234.json"
    other = lock.parent.parent / "prod" / "1234.json"
    for path in (lock, other):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    assert [item.code for item in repair(session).told] == ["repaired"]
    assert not lock.exists()
    assert other.exists(), "the lock of another stack is not ours to take"


def test_a_state_elsewhere_is_not_touched(tmp_path: Path) -> None:
    remote: Mapping[str, str] = {}
    backend = Backend("s3://states", "passphrase", local=False, environment=remote)
    assert repair(Session(Project(tmp_path), "demo", "dev", backend, Path("/nonexistent"), {})) == Repaired()


# ------------------------------------------------------------------------------------ what was cut off

URN = RESOURCE["urn"]
OTHER = "urn:pulumi:dev::demo::aws:kms/key:Key::data/key"


def pending(kind: str, urn: str) -> dict[str, Any]:
    return {"type": kind, "resource": {"urn": urn, "type": urn.split("::")[2], "custom": True}}


class States:
    """A service's states, as far as repair needs them."""

    def __init__(self, **deployment: Any) -> None:
        self.deployment = deployment

    def read(self, project: str, stack: str) -> dict[str, Any]:
        return dict(self.deployment)

    def settle(self, project: str, stack: str) -> list[Any]:
        return []

    def forget_pending(self, project: str, stack: str) -> None:
        self.deployment.pop("pending_operations", None)


def on_service(tmp_path: Path, **deployment: Any) -> Session:
    states: Any = States(**deployment)
    backend = Backend("http://127.0.0.1:9", "default", local=True, states=states)
    return Session(Project(tmp_path), "demo", "dev", backend, Path("/nonexistent/pulumi"), {})


def test_a_component_that_was_cut_off_is_nothing_that_could_be_there(tmp_path: Path) -> None:
    cut_off = pending("creating", "urn:pulumi:dev::demo::mlinfra:component:Bucket::data")
    cut_off["resource"]["custom"] = False
    session = on_service(tmp_path, pending_operations=[cut_off])
    assert repair(session) == Repaired()
    assert "pending_operations" not in session.export()


@pytest.mark.parametrize(
    ("kind", "creates", "stale"),
    [
        ("creating", {OTHER: frozenset()}, False),
        ("updating", {}, True),
        ("deleting", {}, True),
        ("reading", {}, False),
    ],
)
def test_what_was_pending_is_kept_until_it_is_resolved(
    tmp_path: Path, kind: str, creates: dict[str, frozenset[str]], stale: bool
) -> None:
    session = on_service(tmp_path, resources=[RESOURCE], pending_operations=[pending(kind, OTHER)])
    for _ in range(2):  # a second run that is killed before it did anything learns the same
        repaired = repair(session)
        assert (repaired.unfinished, repaired.stale) == (creates, stale)
        assert [item.code for item in repaired.told] == (["repaired"] if creates or stale else [])
        assert "pending_operations" not in session.export()
    resolved(session, [])
    assert repair(session) == Repaired()


def test_what_is_still_unfinished_is_kept(tmp_path: Path) -> None:
    operations = [pending("creating", OTHER), pending("deleting", URN)]
    session = on_service(tmp_path, resources=[RESOURCE], pending_operations=operations)
    assert repair(session).stale
    resolved(session, [OTHER])
    repaired = repair(session)
    assert (repaired.unfinished, repaired.stale) == ({OTHER: frozenset()}, False)


def test_the_ids_that_the_state_has_are_told(tmp_path: Path) -> None:
    resources = [
        {"urn": OTHER, "id": "old", "delete": True},
        {"urn": OTHER, "id": "newer"},
        {"urn": OTHER, "id": "deleted to be made anew", "pendingReplacement": True},
    ]
    session = on_service(tmp_path, resources=resources, pending_operations=[pending("creating", OTHER)])
    assert repair(session).unfinished == {OTHER: frozenset({"old", "newer"})}


def test_creates_that_only_the_providers_noted(tmp_path: Path) -> None:
    session = on_service(tmp_path, resources=[{**RESOURCE, "id": "bucket"}])
    session.begun.begin(URN)
    session.begun.end(URN, "bucket")
    session.begun.begin(OTHER)
    assert repair(session).unfinished == {OTHER: frozenset()}
    assert not session.begun.path.exists()
    assert repair(session).unfinished == {OTHER: frozenset()}


def left_over(session: Session) -> None:
    """The note of a run whose mlinfra is gone, and its engine, too."""
    folder = session.running.folder
    folder.mkdir(parents=True)
    gone = [2**22 + 1, "of a start long ago"]
    (folder / "4194305.json").write_text(json.dumps({"engine": gone, "mlinfra": gone}))


def test_after_a_kill_a_state_in_files_may_be_wrong(session: Session) -> None:
    """An engine whose mlinfra is killed takes what was in flight for refused, and says so in its files."""
    session.state_file.write_text(checkpoint(resources=[RESOURCE]))
    left_over(session)
    for _ in range(2):
        assert repair(session).stale
    resolved(session, [])
    assert repair(session) == Repaired()


def test_after_a_kill_a_state_in_the_service_is_right(tmp_path: Path) -> None:
    """The service ends with mlinfra, so the engine could tell it nothing after."""
    session = on_service(tmp_path, resources=[RESOURCE])
    left_over(session)
    assert repair(session) == Repaired()
    assert session.running.left_over() == []
