"""Who holds a stack: a process of a user on a host, and whether it is known to have ended.

Process numbers are given out again, so a process is known by its number and the moment of its start; both mean
something only among processes that share a kernel since its last boot, and a process namespace (proc(5),
pid_namespaces(7)). Of a process anywhere else nothing is known, and its lease has to run out.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that may hold stacks. `place` is the same for all processes that can see each other."""

    user: str
    host: str
    place: str
    pid: int
    started: str

    def has_ended(self) -> bool:
        """Whether the process is known to be gone; False where that cannot be told from here."""
        return self.place == _place() and _started(self.pid) != self.started

    def is_me(self) -> bool:
        """Whether it is this process."""
        return self == this_process()

    def __str__(self) -> str:
        """As messages name it."""
        return f"{self.user}, process {self.pid} on {self.host}"

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def this_process() -> Owner:
    """The process that asks."""
    return _describe(os.getpid())


@cache
def _describe(pid: int) -> Owner:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry in the password database, as in many containers
        user = str(os.getuid())
    return Owner(user, socket.gethostname(), _place(), pid, _started(pid))


@cache
def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """When the process began; empty when there is none of this number, or it has ended and was not yet collected."""
    if not (_PROC / "self").exists():  # macOS
        ps = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    try:
        # Fields after the name, which is in brackets and may hold anything: state is 3, start time 22 (proc(5)).
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
