"""The processes that a run of the command has started."""

from __future__ import annotations

import subprocess
import time
from typing import Final

PROVIDERS: Final = "mlinfra.engine.attached_process"
"""What is on the command line of the process that serves the embedded providers."""


def started(process: subprocess.Popen[str], what: str) -> list[int]:
    """The processes of a command that have `what` on their command line; waits for one while the command runs."""
    while process.poll() is None:
        command = ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        rows = [line.split(None, 1) for line in found.splitlines()]
        if pids := [int(pid) for pid, line in rows if what in line]:
            return pids
        time.sleep(0.005)
    return []
