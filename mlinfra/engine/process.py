"""One `pulumi` process: started in a group of its own, fed nothing, its output kept back, interrupted in two steps."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mlinfra.engine.running import Noted
from mlinfra.processes import INTERRUPTS, handling

_KEPT = 200_000  # characters of output that are kept for `--debug` and for errors that no event tells

_GATE = ("/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "pulumi")
"""Waits for a line, then becomes the process, under the same number; ends without it when we are gone before the line.

So the engine can be noted before it is anything. A `preexec_fn` would do it too, but gRPC's threads do not bear a fork.
"""

_LAST_SECONDS = 30.0
"""How long an engine that was interrupted may take to end once its run is over, when all it does is say so."""


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
    noted: Noted,
    on_interrupt: Callable[[int], None] = lambda _: None,
    over: Callable[[], bool] = lambda: False,
    patience: float = _LAST_SECONDS,
) -> Ended:
    """Run `pulumi` to its end; `noted` is where the process is noted on disk for as long as it runs.

    The process is not in the terminal's group, so that Ctrl-C reaches it through us alone: the first interrupt is
    passed on, and the engine finishes what is in flight; so is the second, on which the engine stops at once; the third
    kills it. SIGTERM, and the SIGHUP of a terminal that is closed, count as well. `on_interrupt` is told the count.
    However this function ends, the process has ended too.

    An interrupt that reaches the engine while it is about to end makes it wait for ever: what it would say of it has no
    reader in it any more. So none is passed on once its run is `over`; and should one have crossed with that, the
    engine is killed after `patience` seconds.
    """
    process: subprocess.Popen[bytes] | None = None
    interrupts = 0

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the form of a signal handler
        nonlocal interrupts
        interrupts += 1
        if process is not None:
            if interrupts >= 3:
                _kill(process)
            elif not over():
                process.send_signal(signal.SIGINT)  # the engine's own second step is to stop without finishing anything
        on_interrupt(interrupts)

    with handling(interrupt, *INTERRUPTS):
        process = subprocess.Popen(  # noqa: S603 — the binary is ours, the arguments are a list
            [*_GATE, str(binary), *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with noted.process(process.pid):
                output = _followed(process, b"" if interrupts else b"\n", lambda: interrupts > 0 and over(), patience)
        finally:
            if process.poll() is None:
                _kill(process)
                process.wait()
    return Ended(process.returncode, output[-_KEPT:].decode(errors="replace"), interrupted=interrupts > 0)


def _followed(
    process: subprocess.Popen[bytes], given: bytes | None, ends: Callable[[], bool], patience: float
) -> bytes:
    """All that a process prints, given this input; from when it `ends`, it is waited for no longer than `patience`."""
    since: float | None = None
    while True:
        try:
            output, _ = process.communicate(given, timeout=0.5)
            return output
        except subprocess.TimeoutExpired:
            given = None  # it has it
        if since is None and ends():
            since = time.monotonic()
        if since is not None and time.monotonic() - since > patience:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:  # until it was waited for, its number is nobody else's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
