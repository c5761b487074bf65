"""Progress at a terminal, told from several threads at once."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from mlinfra.engine.verb import Verb
from mlinfra.report import Operation, State, Step, Task, Working
from mlinfra.views import progress as module
from mlinfra.views.progress import Progress


def test_what_is_told_while_it_is_drawn_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich draws in a thread of its own."""
    monkeypatch.setattr(module, "_REFRESHES", 1000)
    out = io.StringIO()
    progress = Progress(Console(file=out, force_terminal=True, width=100))

    def tell(name: str) -> None:
        for number in range(300):
            node = f"{name}{number}"
            for state in (State.STARTED, State.DONE):
                progress.event(Step(node, "aws:s3/bucket:Bucket", name, Operation.CREATE, state))
            progress.line(f"{node} was made")
            progress.event(Task(name, State.RUNNING, str(number)))
            progress.event(Task(name, State.DONE, seconds=2))
            if number % 50 == 49:
                progress.stop()

    progress.event(Working(Verb.UP))
    threads = [threading.Thread(target=tell, args=(name,), daemon=True) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other"
    progress.stop()
    assert out.getvalue().count("was made") == 600
