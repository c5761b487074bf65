"""One `pulumi` process: started in a group of its own, fed nothing, its output kept back, interrupted in two steps."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

_KEPT = 200_000  # characters of output that are kept for `--debug` and for errors that no event tells


@dataclass(frozen=True)
class Ended:
    """How a process ended: exit code (negative: the signal that killed it), what it printed, whether we stopped it."""

    code: int
    output: str
    interrupted: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it did all it was to do. After a signal the exit code proves nothing."""
        return self.code == 0 and not self.interrupted


def run_pulumi(
    binary: Path,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    on_interrupt: Callable[[int], None] = lambda _: None,
) -> Ended:
    """Run `pulumi` to its end.

    The process is not in the terminal's group, so that Ctrl-C reaches it through us alone: the first interrupt is
    passed on, and the engine finishes what is in flight; so is the second, on which the engine stops at once; the third
    kills it. `on_interrupt` is told the count.
    """
    process = subprocess.Popen(  # noqa: S603 — the binary is ours, the arguments are a list
        [str(binary), *arguments],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    interrupts = 0

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the form of a signal handler
        nonlocal interrupts
        interrupts += 1
        if interrupts < 3:
            process.send_signal(signal.SIGINT)  # the engine's own second step is to stop without finishing anything
        else:
            os.killpg(process.pid, signal.SIGKILL)
        on_interrupt(interrupts)

    with _handling(interrupt):
        assert process.stdout is not None
        output = process.stdout.read()
        code = process.wait()
    return Ended(code, output[-_KEPT:].decode(errors="replace"), interrupted=interrupts > 0)


class _handling:  # noqa: N801 — reads as a verb where it is used
    """Handle SIGINT and SIGTERM within the block; only the main thread may, elsewhere nothing is changed."""

    def __init__(self, handler: Callable[[int, FrameType | None], None]) -> None:
        self.handler = handler
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.handler)

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
