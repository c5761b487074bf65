"""One update at a time; every entry is kept; whoever comes next folds what a dead update left. On both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlinfra.state import deployments, holds, stacks, updates
from mlinfra.state.owner import this_process
from mlinfra.state.refused import RefusedError
from mlinfra.state.stacks import Name, StackRow
from mlinfra.state.store import Store, Transaction
from mlinfra.state.updates import Asked, Leased
from tests.state.conftest import resource, steps

DEV = Name("organization", "demo", "dev")
UP = Asked("update", dry=False, author="alice", engine="v3.222.0")
PREVIEW = Asked("preview", dry=True, author="alice")


def begin(tx: Transaction, asked: Asked = UP) -> tuple[StackRow, Leased, str]:
    stack = stacks.find(tx, DEV) or stacks.create(tx, DEV, {})
    identity = updates.create(tx, stack, asked)
    _, token, _ = updates.start(tx, stack, updates.find(tx, stack, identity))
    return stacks.need(tx, DEV), updates.leased(tx, DEV, identity, token), token


def names(tx: Transaction, version: int | None = None) -> list[str]:
    found = deployments.load(tx, stacks.need(tx, DEV).id, version)
    return [item["id"] for item in (found.deployment.get("resources") or [])] if found else []


def refused(status: int) -> Any:
    return pytest.raises(RefusedError, match={403: "Forbidden", 404: "Not Found", 409: "Conflict"}[status])


def own_as(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let whatever is begun from now on belong to another process."""
    other = replace(this_process(), **changes)
    monkeypatch.setattr(updates, "this_process", lambda: other)
    monkeypatch.setattr(holds, "this_process", lambda: other)


def test_a_journal_becomes_the_state(store: Store) -> None:
    with store.transaction() as tx:
        stack, lease, _ = begin(tx)
        updates.append(tx, lease, steps("a", "b"))
        updates.append(tx, lease, steps("c", first=3)[:1])
        assert names(tx) == []
        updates.finish(tx, updates.by_id(tx, lease.id), updates.SUCCEEDED)
    with store.transaction() as tx:
        whole = deployments.load(tx, stack.id)
        assert whole is not None
        assert names(tx) == ["a", "b"]
        assert [item["type"] for item in whole.deployment["pending_operations"]] == ["creating"]
        assert whole.deployment["manifest"]["version"] == "v3.222.0"
        assert stacks.need(tx, DEV).active is None
        assert updates.journal(tx, updates.by_id(tx, lease.id)) == []


def test_a_batch_sent_twice_counts_once(store: Store) -> None:
    with store.transaction() as tx:
        _, lease, _ = begin(tx)
        for _ in range(2):
            updates.append(tx, lease, steps("a"))
        updates.finish(tx, updates.by_id(tx, lease.id), updates.SUCCEEDED)
        assert names(tx) == ["a"]


def test_a_second_update_is_told_who_has_the_stack(store: Store) -> None:
    with store.transaction() as tx:
        begin(tx)
    with store.transaction() as tx, refused(409) as raised:
        begin(tx)
    told = raised.value.text
    for part in ("Conflict: Another update", this_process().user, str(this_process().pid), this_process().host):
        assert part in told


def test_a_preview_leaves_the_stack_to_others(store: Store) -> None:
    with store.transaction() as tx:
        begin(tx)
        _, lease, _ = begin(tx, PREVIEW)
        updates.finish(tx, updates.by_id(tx, lease.id), updates.SUCCEEDED)
        assert stacks.need(tx, DEV).version == 1
        with refused(409):
            begin(tx)


@pytest.mark.parametrize("gone", [{"started": "1"}, {"place": "elsewhere"}])
def test_a_dead_update_is_folded_by_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch, gone: dict[str, str]
) -> None:
    """Seen at once on this host; elsewhere when its lease has run out."""
    with monkeypatch.context() as patch, store.transaction() as tx:
        own_as(patch, **gone)
        _, lease, token = begin(tx)
        updates.append(tx, lease, steps("a"))
    if "place" in gone:
        with store.transaction() as tx, refused(409):
            begin(tx)
        with store.transaction() as tx:
            updates.renew(tx, lease, -1.0)
    with store.transaction() as tx:
        stack, _, _ = begin(tx)
        assert names(tx) == ["a"]
        assert updates.by_id(tx, lease.id).status == updates.FAILED
        assert stack.version == 2
        with refused(403):
            updates.leased(tx, DEV, lease.id, token)


def test_a_late_renewal_is_good_while_nobody_took_over(store: Store) -> None:
    with store.transaction() as tx:
        _, lease, token = begin(tx)
        updates.renew(tx, lease, -1.0)
        assert updates.renew(tx, updates.leased(tx, DEV, lease.id, token), 1e9) <= tx.now + updates.LEASE_SECONDS


@pytest.mark.parametrize("wrong", ["token", "stack", "update"])
def test_a_lease_is_for_its_own_update(store: Store, wrong: str) -> None:
    with store.transaction() as tx:
        _, lease, token = begin(tx)
        name = Name("organization", "demo", "other") if wrong == "stack" else DEV
        identity = "0" * 32 if wrong == "update" else lease.id
        with refused(403):
            updates.leased(tx, name, identity, "guess" if wrong == "token" else token)


def test_an_update_ends_once(store: Store) -> None:
    with store.transaction() as tx:
        _, lease, token = begin(tx)
        updates.finish(tx, updates.by_id(tx, lease.id), updates.SUCCEEDED, keep_token=True)
        assert updates.leased(tx, DEV, lease.id, token, running=False).status == updates.SUCCEEDED
        with refused(403):
            updates.leased(tx, DEV, lease.id, token)
        with refused(409):
            updates.start(tx, stacks.need(tx, DEV), updates.by_id(tx, lease.id))


def test_a_journal_that_makes_no_sense_changes_nothing(store: Store) -> None:
    with store.transaction() as tx:
        _, lease, _ = begin(tx)
        begun, ended = steps("a")
        updates.append(tx, lease, [begun, {**ended, "removeNew": 99}])
    with store.transaction() as tx, pytest.raises(RefusedError, match="Bad Request: the journal of update 1"):
        updates.finish(tx, updates.by_id(tx, lease.id), updates.SUCCEEDED)
    with store.transaction() as tx:
        assert updates.by_id(tx, lease.id).status == updates.RUNNING
        assert stacks.need(tx, DEV).active == lease.id


def test_old_versions_go_the_newest_stays(store: Store) -> None:
    with store.transaction() as tx:
        stack = stacks.create(tx, DEV, {})
        for number in range(1, 7):
            whole = deployments.Untyped(deployment={"resources": [resource(str(number))]})
            deployments.save(tx, stack.id, number, whole)
        assert deployments.prune(tx, stack.id, count=4, seconds=1000) == 2
        assert names(tx, 2) == []
        assert names(tx, 3) == ["3"]
        assert deployments.prune(tx, stack.id, count=4, seconds=-1) == 3
        assert names(tx) == ["6"]


def test_a_hold_keeps_others_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.transaction() as tx:
        stack = stacks.create(tx, DEV, {})
        holds.take(tx, stack.id, "mine", "up")
        begin(tx)  # this process may work on what it holds
        with refused(409):
            holds.take(tx, stack.id, "another", "destroy")
        assert holds.renew(tx, stack.id, "mine")
        assert not holds.renew(tx, stack.id, "another")
        holds.give_back(tx, stack.id, "another")
        assert holds.holder(tx, stack.id) == this_process()
        holds.give_back(tx, stack.id, "mine")
        assert holds.holder(tx, stack.id) is None


def test_a_hold_of_another_process_keeps_updates_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, store.transaction() as tx:
        own_as(patch, place="elsewhere")
        holds.take(tx, stacks.create(tx, DEV, {}).id, "theirs", "destroy")
    with store.transaction() as tx, refused(409) as raised:
        begin(tx)
    assert "destroy of" in raised.value.message
    with store.transaction() as tx:
        holds.drop(tx, stacks.need(tx, DEV).id)
        begin(tx)


def test_a_hold_of_a_dead_process_counts_for_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, store.transaction() as tx:
        own_as(patch, started="1")
        holds.take(tx, stacks.create(tx, DEV, {}).id, "theirs", "up")
    with store.transaction() as tx:
        holds.take(tx, stacks.need(tx, DEV).id, "mine", "up")


def test_a_stack_is_made_once_and_goes_whole(store: Store) -> None:
    with store.transaction() as tx:
        first = stacks.create(tx, DEV, {"team": "ml"})
        with refused(409):
            stacks.create(tx, DEV, {})
        assert stacks.need(tx, DEV).tags == {"team": "ml"}
        assert [item.name for item in stacks.listed(tx, {"organization"}, "demo")] == [DEV]
        assert stacks.listed(tx, {"elsewhere"}) == []
        begin(tx)
        stacks.remove(tx, first.id)
        assert stacks.find(tx, DEV) is None
        assert stacks.create(tx, DEV, {}).id != first.id
