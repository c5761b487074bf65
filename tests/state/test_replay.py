"""The replay of journals, held against the engine's own replayer: made from a seed, recorded, and broken ones."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.state.replay import ZERO_TIME, Replayed, ReplayError, replay
from tests.state.replayer.engine import VERSION, EngineError, Replayer, running
from tests.state.replayer.journals import STACK, Update

JOURNALS = Path(__file__).parent / "journals"
RECORDED = [(path, line) for path in sorted(JOURNALS.glob("*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def engine() -> Iterator[Replayer]:
    with running() as replayer:
        yield replayer


def comparable(deployment: dict[str, Any]) -> dict[str, Any]:
    """Without the time, and with operations in an order of their own: the engine keeps those of a journal in none."""
    operations = sorted(deployment.get("pending_operations", []), key=lambda item: json.dumps(item, sort_keys=True))
    manifest = {**deployment["manifest"], "time": ZERO_TIME}
    return {**deployment, "manifest": manifest, "pending_operations": operations}


def equal(engine: Replayer, base: dict[str, Any] | None, entries: list[dict[str, Any]]) -> bool:
    """Hold both replays of one journal against each other; False where both refuse it."""
    before = copy.deepcopy((base, entries))
    try:
        ours: Replayed | ReplayError = replay(base, entries, VERSION)
    except ReplayError as error:
        ours = error
    assert (base, entries) == before
    try:
        theirs = engine.replay(base, entries)
    except EngineError as error:
        assert isinstance(ours, ReplayError), error
        return False
    assert isinstance(ours, Replayed), ours
    assert (ours.version, ours.features) == (theirs["version"], theirs.get("features", []))
    assert comparable(ours.deployment) == comparable(theirs["deployment"])
    return True


# ------------------------------------------------------------------------------------------------ sound journals


@pytest.mark.parametrize("start", range(0, 2000, 250))
def test_random_journals(engine: Replayer, start: int) -> None:
    _hold(engine, range(start, start + 250))


@pytest.mark.slow
def test_many_random_journals(engine: Replayer) -> None:
    _hold(engine, range(2000, 22_000))


def _hold(engine: Replayer, seeds: range) -> None:
    replayed = 0
    for seed in seeds:
        update = Update(seed)
        try:
            replayed += equal(engine, update.base, update.entries)
        except AssertionError as error:
            raise AssertionError(f"Update({seed}): {error}") from None
    # Nearly all are sound; what a journal may do to be refused by both is to give two resources one alias.
    assert replayed > 0.98 * len(seeds)
