"""Which engine runs for a stack: noted on disk before it can do anything, so that one that is left over is found.

The process that serves the embedded providers is noted in the same way: it ends when mlinfra does, and a run that
follows at once waits for that.

When mlinfra is killed, its engine lives on: it may still be at a step, and write to the state when that ends. The next
run on the stack ends it before it looks at the state. A process is known by its number and the moment of its start, so
no other that was given the number is ever touched; and an engine whose mlinfra is alive is none of ours to end.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.processes import identity

PATIENCE: Final = 10.0
"""Seconds that an engine that is left over has to finish what it is at, before it is killed with all it started."""


@dataclass(frozen=True)
class Noted:
    """The notes of one stack: a file for each engine that runs, in `folder`."""

    folder: Path

    @contextmanager
    def process(self, pid: int) -> Iterator[None]:
        """Note a process of ours for the block; the note is on disk when the block begins."""
        path = self.folder / f"{pid}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = os.getpid()
        with path.open("w", encoding="utf-8") as file:
            json.dump({"engine": [pid, identity(pid)], "mlinfra": [owner, identity(owner)]}, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def end_left_over(self, patience: float = PATIENCE) -> list[Diagnostic]:
        """End every engine whose mlinfra is gone, and wait until it has ended; says which there were.

        To be called by whoever holds the stack, before the state is looked at. The engine is interrupted first, so that
        what it has in flight comes to an end; after `patience` seconds its process group is killed. The notes stay
        until `forget_left_over`.
        """
        told = []
        for path in self.left_over():
            note = _read(path)
            if note is not None and _runs(note["engine"]):
                _end(note["engine"], patience)
                told.append(_told(note["engine"][0]))
        return told

    def left_over(self) -> list[Path]:
        """The notes of runs whose mlinfra was killed, whether their engine still runs or not."""
        return [path for path in sorted(self.folder.glob("*.json")) if not _is_at_work(path)]

    def forget_left_over(self) -> None:
        """Drop these notes: what follows from them was noted elsewhere."""
        for path in self.left_over():
            path.unlink(missing_ok=True)


Known = tuple[int, str]
"""A process: its number, and the mark that `mlinfra.processes.identity` gives it."""


def _read(path: Path) -> dict[str, Known] | None:
    """A note; None for one that was not written to its end, whose engine therefore never began."""
    try:
        note = json.loads(path.read_bytes())
        return {name: (int(note[name][0]), str(note[name][1])) for name in ("engine", "mlinfra")}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _is_at_work(path: Path) -> bool:
    note = _read(path)
    return note is not None and _runs(note["mlinfra"])


def _runs(known: Known) -> bool:
    pid, mark = known
    return identity(pid) == mark


def _end(engine: Known, patience: float) -> None:
    pid, _ = engine
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    if not _ended(engine, patience) and _runs(engine):
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # it leads a group of its own: what it started goes with it
        _ended(engine, patience)


def _ended(engine: Known, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while _runs(engine):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _told(pid: int) -> Diagnostic:
    return Diagnostic(
        f"a run before this one was killed and what it had started was still at work: process {pid} is ended",
        code="repaired",
        severity=Severity.WARNING,
    )
