"""The states from within the process: versions, repairs, holds, the check of the whole database. On both databases."""

from __future__ import annotations

import base64
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from mlinfra.diagnostics import MlinfraError
from mlinfra.report import PropertyChange
from mlinfra.state import deployments, holds, stacks, updates
from mlinfra.state.compare import SECRET_CHANGED
from mlinfra.state.deployments import Untyped
from mlinfra.state.owner import this_process
from mlinfra.state.stacks import Name
from mlinfra.state.states import ORGANIZATION, ServiceStates
from mlinfra.state.tables import DEPLOYMENTS
from mlinfra.state.updates import Asked
from mlinfra.wire.values import SECRET, SIGNATURE
from tests.state.conftest import resource, steps

DEV = ("demo", "dev")
NAME = Name(ORGANIZATION, *DEV)


def put(states: ServiceStates, *resources: dict[str, Any]) -> int:
    """Give the stack a state as a new version."""
    with states.store.transaction() as tx:
        stack = stacks.find(tx, NAME) or stacks.create(tx, NAME, {})
        whole = Untyped(deployment={"manifest": {}, "resources": list(resources)})
        return updates.replace(tx, stack, whole, Asked("import", dry=False, author="alice", message="put"))[1]


def begun(states: ServiceStates, *entries: dict[str, Any]) -> None:
    """Leave an update running, with a journal."""
    with states.store.transaction() as tx:
        stack = stacks.find(tx, NAME) or stacks.create(tx, NAME, {})
        identity = updates.create(tx, stack, Asked("update", dry=False, author="alice"))
        _, token, _ = updates.start(tx, stack, updates.find(tx, stack, identity))
        if entries:
            updates.append(tx, updates.leased(tx, NAME, identity, token), entries)


def names(deployment: dict[str, Any]) -> list[str]:
    return [item["id"] for item in deployment.get("resources") or []]


def test_a_stack_that_is_not_there_is_empty(states: ServiceStates) -> None:
    assert states.read(*DEV) == {}
    assert not states.exists(*DEV)
    assert states.settle(*DEV) == []
    with pytest.raises(MlinfraError) as raised:
        states.versions(*DEV)
    assert raised.value.diagnostics[0].detail == f"Stack '{NAME}' not found"


def test_versions_are_listed_shown_compared_and_restored(states: ServiceStates) -> None:
    put(states, resource("a", inputs={"size": 1, "tags": {"x": "1"}}), resource("b"))
    put(states, resource("a", inputs={"size": 2, "tags": {"x": "1"}}, modified="later"), resource("c"))
    listed = states.versions(*DEV)
    assert [(item.number, item.kind, item.resources, item.message) for item in listed] == [
        (2, "import", 2, "put"),
        (1, "import", 2, "put"),
    ]
    assert (listed[0].author, listed[0].host) == (this_process().user, this_process().host)
    assert names(states.show(*DEV, 1)) == ["a", "b"]
    changes = [(item.urn.rpartition("::")[2], item.what, item.properties) for item in states.diff(*DEV, 1, 2)]
    size = PropertyChange("inputs.size", "update", 1, 2)
    assert changes == [("a", "changed", (size,)), ("b", "removed", ()), ("c", "added", ())]
    assert states.diff(*DEV, 2, 2) == []
    assert states.restore(*DEV, 1) == 3
    assert states.diff(*DEV, 1, 3) == []
    assert names(states.read(*DEV)) == ["a", "b"]
    assert states.prune(*DEV, count=1, seconds=1e9) == 2
    with pytest.raises(MlinfraError) as raised:
        states.show(*DEV, 1)
    assert raised.value.diagnostics[0].code == "state-version"


def test_what_was_cut_off_is_settled(states: ServiceStates) -> None:
    put(states)
    begun(states, *steps("a"), steps("b", first=2)[0])
    assert names(states.read(*DEV)) == ["a"]
    assert [item.code for item in states.settle(*DEV)] == ["repaired"]
    assert states.settle(*DEV) == []
    found = states.read(*DEV)
    assert (names(found), len(found["pending_operations"])) == (["a"], 1)
    states.forget_pending(*DEV)
    assert "pending_operations" not in states.read(*DEV)
    assert names(states.read(*DEV)) == ["a"]


def test_a_journal_that_makes_no_sense_is_given_up_with_a_restored_version(states: ServiceStates) -> None:
    put(states, resource("a"))
    first, second = steps("b")
    begun(states, first, {**second, "removeNew": 7})
    with pytest.raises(MlinfraError) as raised:
        states.settle(*DEV)
    assert "journal of update 2 cannot be replayed" in raised.value.diagnostics[0].detail
    assert states.restore(*DEV, 1) == 3
    assert names(states.read(*DEV)) == ["a"]
    assert states.settle(*DEV) == []


def test_a_running_update_elsewhere_is_not_restored_over(
    states: ServiceStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(states, resource("a"))
    with monkeypatch.context() as patch:
        other = replace(this_process(), place="elsewhere", host="build-7")
        patch.setattr(updates, "this_process", lambda: other)
        begun(states, *steps("b"))
    for act in (lambda: states.restore(*DEV, 1), lambda: states.settle(*DEV), lambda: states.forget_pending(*DEV)):
        with pytest.raises(MlinfraError) as raised:
            act()
        assert "build-7" in raised.value.diagnostics[0].detail
    assert "build-7" in states.holder(*DEV)
    assert "build-7" in states.cancel(*DEV)
    assert (states.holder(*DEV), states.cancel(*DEV)) == ("", "")
    assert states.restore(*DEV, 1) == 3


def test_a_hold_is_taken_given_back_and_waited_for(states: ServiceStates) -> None:
    told: list[str] = []
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with states.hold(*DEV, "destroy", wait=True, waiting=lambda text: (told.append(text), waiting.set())[0]):
            order.append("second")

    with states.hold(*DEV, "up"):
        with pytest.raises(MlinfraError) as raised, states.hold(*DEV, "destroy"):
            pass
        assert raised.value.diagnostics[0].code == "locked"
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(30)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "up of" in told[0]
    with states.store.transaction() as tx:
        assert holds.holder(tx, stacks.need(tx, NAME).id) is None


def test_a_hold_beats_while_it_lasts(states: ServiceStates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "HOLD_SECONDS", 0.2)
    beats = threading.Semaphore(0)
    renew = holds.renew
    monkeypatch.setattr(holds, "renew", lambda *arguments: (renew(*arguments), beats.release())[0])
    with states.hold(*DEV, "up"):
        for _ in range(4):
            assert beats.acquire(timeout=30)


def test_everything_sealed_is_verified(states: ServiceStates) -> None:
    put(states, resource("a"))
    put(states, resource("b"))
    begun(states, *steps("c"))
    assert states.verify() == []
    with states.store.transaction() as tx:
        found = tx.connection.execute(DEPLOYMENTS.select().where(DEPLOYMENTS.c.version == 2)).one()
        tx.run(update(DEPLOYMENTS).where(DEPLOYMENTS.c.version == 1).values(sealed=found.sealed))
    (problem,) = states.verify()
    assert (problem.code, "deployments/1/1" in problem.detail) == ("state-damaged", True)
    with pytest.raises(MlinfraError):
        states.show(*DEV, 1)
    assert names(states.show(*DEV, 2)) == ["b"]


def test_an_update_that_did_nothing_leaves_no_version(states: ServiceStates) -> None:
    put(states, resource("a"))
    begun(states)
    assert len(states.settle(*DEV)) == 1
    assert [item.number for item in states.versions(*DEV)] == [1]
    with states.store.transaction() as tx:
        assert deployments.load_exactly(tx, stacks.need(tx, NAME).id, 2) is None


def test_a_deployment_that_is_not_sound_is_told_of(states: ServiceStates) -> None:
    put(states, resource("a", parent="urn:pulumi:dev::demo::tests:index:Thing::nobody"))
    put(states, resource("b"))
    assert states.verify() == []
    with states.store.transaction() as tx:
        found = stacks.need(tx, NAME)
        deployments.save(tx, found.id, 1, Untyped(deployment={"manifest": {}, "resources": [{"urn": 7}]}))
    (problem,) = states.verify()
    assert (problem.code, "version 1 of stack" in problem.detail) == ("state-damaged", True)


def test_secrets_differ_when_their_texts_do(states: ServiceStates) -> None:
    """The same text has another ciphertext each time it is encrypted."""
    with states.store.transaction() as tx:
        stack = stacks.create(tx, NAME, {})
        keys = tx.keys
        texts = [base64.b64encode(keys.encrypt(text, stack.id)).decode() for text in (b"one", b"one", b"two")]
    for text in texts:
        secret = {SIGNATURE: SECRET, "ciphertext": text}
        whole = {"manifest": {}, "secrets_providers": {"type": "service", "state": {}}}
        states.replace(*DEV, Untyped(deployment={**whole, "resources": [resource("a", inputs={"key": secret})]}), "put")
    assert states.diff(*DEV, 1, 2) == []
    (changed,) = states.diff(*DEV, 2, 3)
    assert changed.properties == (PropertyChange("inputs.key", SECRET_CHANGED),)


def test_tags_are_kept_beside_the_state(states: ServiceStates) -> None:
    assert states.tags(*DEV) is None
    put(states)
    states.tag(*DEV, "a", "1")
    states.tag(*DEV, "b", "2")
    assert states.tags(*DEV) == {"a": "1", "b": "2"}


def test_protection_is_taken_off_what_is_named(states: ServiceStates) -> None:
    one, two = ({**resource(name), "protect": True} for name in ("one", "two"))
    put(states, one, two)
    states.unprotect(*DEV, [one["urn"], "urn:of:nobody"])
    left = states.read(*DEV)["resources"]
    assert [item.get("protect", False) for item in left] == [False, True]
    assert left[0] == {key: value for key, value in one.items() if key != "protect"}
    assert "lifted" in states.versions(*DEV)[0].message
