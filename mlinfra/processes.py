"""Processes that were started here: whether one still runs, and stopping it, and never one that only has its number.

Process numbers are given out again, after a reboot above all. A process is therefore known by its number together with
the moment of its start, or by the command line that it was started with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a CI system that gives up, a terminal that is closed."""

_PROC = Path("/proc")


def identity(pid: int) -> str | None:
    """A mark of the process that has this number now; None where none has, or one that has ended already."""
    _reap(pid)
    if _PROC.joinpath("self").exists():
        try:
            # Fields after the name, which is in brackets and may hold anything: state is 3, start time 22 (proc(5)).
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            # The first thread of a process can have ended while others still hold its ports.
            ended = fields[0] in "ZX" and len(list((_PROC / str(pid) / "task").iterdir())) <= 1
            boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        return None if ended else f"{boot}/{fields[19]}"
    return _ask_ps(pid, "lstart=")


def command_line(pid: int) -> str:
    """The command line of the process that has this number now; empty where none has."""
    if _PROC.joinpath("self").exists():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return _ask_ps(pid, "command=") or ""


def started_from(folder: Path) -> list[int]:
    """The numbers of all processes whose program was called by a path in a folder."""
    start = f"{folder}/"
    if _PROC.joinpath("self").exists():
        numbers = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
        return [pid for pid in numbers if command_line(pid).startswith(start)]
    rows = [row.strip().partition(" ") for row in _run_ps("-axo", "pid=,command=").splitlines()]
    return [int(pid) for pid, _, command in rows if command.strip().startswith(start)]


def kill(pids: Iterable[int], *, gently: bool = False, patience: float = 5.0) -> None:
    """Stop processes and wait until they have ended. The caller has made sure that they are ours.

    `gently` lets them end by themselves first; those that have not after `patience` seconds are killed.
    """
    left = {pid: mark for pid in pids if (mark := identity(pid))}
    for signal_number in (signal.SIGTERM, signal.SIGKILL) if gently else (signal.SIGKILL,):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        deadline = time.monotonic() + patience
        while left and time.monotonic() < deadline:
            left = {pid: mark for pid, mark in left.items() if identity(pid) == mark}
            if left:
                time.sleep(0.02)


def _reap(pid: int) -> None:
    """Collect the process if it is a child of this one and has ended: until then its number stays taken."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)


def _ask_ps(pid: int, field: str) -> str | None:
    return _run_ps("-o", field, "-p", str(pid)).strip() or None


def _run_ps(*arguments: str) -> str:
    """Where there is no /proc (macOS), `ps` tells."""
    return subprocess.run(["/bin/ps", *arguments], capture_output=True, text=True, check=False).stdout  # noqa: S603


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers, *numbers: signal.Signals
) -> Iterator[None]:
    """Handle signals within the block; only the main thread may, elsewhere nothing is changed.

    SIGHUP stays ignored where it is: that is what `nohup` asks for.
    """
    here = threading.current_thread() is threading.main_thread()
    taken = [n for n in numbers if not (n is signal.SIGHUP and signal.getsignal(n) is signal.SIG_IGN)] if here else []
    before = {number: signal.signal(number, handler) for number in taken}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
