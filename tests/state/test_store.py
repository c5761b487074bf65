"""The store knows its key, and keeps nothing in the open."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.state import deployments, stacks, updates
from mlinfra.state.context import Context, NoSecrets
from mlinfra.state.deployments import Untyped
from mlinfra.state.stacks import Name
from mlinfra.state.states import ServiceStates
from mlinfra.state.store import open_store
from mlinfra.state.updates import Asked
from tests.state.conftest import resource, steps

CANARY = "correct-horse-battery-staple"


def test_nothing_stands_in_the_open(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    name = Name("organization", "demo", "dev")
    with store.transaction() as tx:
        stack = stacks.create(tx, name, {"note": CANARY})
        deployments.save(tx, stack.id, 0, Untyped(deployment={"resources": [resource("a", inputs={"x": CANARY})]}))
        asked = Asked("update", False, "alice", message=CANARY, environment={"x": CANARY}, config={"x": CANARY})
        identity = updates.create(tx, stack, asked)
        _, token, _ = updates.start(tx, stack, updates.find(tx, stack, identity))
        lease = updates.leased(tx, name, identity, token)
        updates.append(tx, lease, steps(CANARY))
        updates.tell(tx, lease, 1, [{"text": CANARY}], {CANARY: 1})
    for path in tmp_path.rglob("*"):
        assert CANARY.encode() not in path.read_bytes(), path
        assert token.encode() not in path.read_bytes(), path
    with store.transaction() as tx:
        assert updates.told(tx, updates.by_id(tx, identity)) == [{"text": CANARY}]
    store.close()


@pytest.mark.parametrize("key", [b"another key of its 32 bytes size!"[:32], b"", None])
def test_another_key_is_refused_and_changes_nothing(tmp_path: Path, key: bytes | None) -> None:
    open_store(tmp_path).close()
    path = tmp_path / "service.key"
    right = path.read_bytes()
    path.unlink()
    if key is not None:
        path.write_bytes(key)
    with pytest.raises(MlinfraError) as raised:
        open_store(tmp_path)
    assert raised.value.diagnostics[0].code == "state-key"
    path.write_bytes(right)
    store = open_store(tmp_path)
    assert ServiceStates(Context(store, NoSecrets())).verify() == []
    store.close()
