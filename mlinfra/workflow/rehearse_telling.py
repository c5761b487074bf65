"""How a rehearsal is told while it goes on: each step, where it is, each diagnostic once."""

from __future__ import annotations

import time
from typing import Final

from mlinfra.diagnostics import Diagnostic
from mlinfra.emit import Emit
from mlinfra.report import Event, Note, Operation, Stage, State, Step, Task
from mlinfra.workflow.rehearse_results import count

_MOMENT: Final = 1.0


class Teller:
    """Passes on what happens: each diagnostic once, and of the engine's steps how many there were."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._told: set[Diagnostic] = set()
        self.stage, self.begun = "", time.monotonic()
        self._steps, self._last = 0, 0.0

    def __call__(self, event: Event) -> None:
        """Something happens just now."""
        match event:
            case Step(state=State.DONE) if event.operation is not Operation.SAME:
                self._steps += 1
                self.say(count(self._steps, "resource"))
            case Step():
                pass
            case Note(diagnostic) if diagnostic in self._told:
                pass
            case Note(diagnostic):
                self._told.add(diagnostic)
                self._emit(event)
            case _:
                self._emit(event)

    def begin(self, stage: str, number: int, total: int) -> None:
        """A step of the rehearsal begins."""
        self.stage, self.begun, self._steps, self._last = stage, time.monotonic(), 0, time.monotonic()
        self._emit(Stage(stage, number, total))
        self._emit(Task(stage, State.STARTED))

    def say(self, detail: str, fraction: float | None = None) -> None:
        """What it is at, not oftener than once a second."""
        if (now := time.monotonic()) - self._last >= _MOMENT:
            self._last = now
            self._emit(Task(self.stage, State.RUNNING, detail, fraction, now - self.begun))

    def end(self, *, well: bool) -> float:
        """It has ended; gives the seconds that it took."""
        seconds = time.monotonic() - self.begun
        self._emit(Task(self.stage, State.DONE if well else State.FAILED, seconds=seconds))
        return seconds
