"""A run of the real engine: interrupts at its very end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.events import EventReader
from mlinfra.engine.verb import Verb
from tests.state.running import opened

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("last", [b'"summaryEvent"', b'"cancelEvent"'])
def test_an_interrupt_at_the_very_end_lets_the_engine_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    """By itself it does not: it waits for ever for somebody to read that it was interrupted."""
    read, interrupted = EventReader._event, 0

    def interrupt(reader: Any, line: bytes) -> None:
        nonlocal interrupted
        read(reader, line)
        if last in line:
            interrupted += 1
            os.kill(os.getpid(), signal.SIGINT)

    with opened(tmp_path) as stack:
        monkeypatch.setattr(EventReader, "_event", interrupt)
        for count in (3, 5, 4):
            outcome = stack.run(Verb.UP, count)
            assert outcome.interrupted
            assert len(stack.made()) == count
        monkeypatch.undo()
        assert interrupted == 3
        assert stack.run(Verb.UP, 4).succeeded
