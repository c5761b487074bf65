"""The processes that a run of the command has started."""

from __future__ import annotations

import re
import subprocess
import time
from typing import Final

ENGINE: Final = r"\S*/pulumi\b"
"""The command line of an engine, once it is one: before, a shell waits until it is noted."""
PROVIDERS: Final = r".* mlinfra\.engine\.attached_process\b"
"""The command line of the process that serves the embedded providers."""


def started(process: subprocess.Popen[str], what: str) -> list[int]:
    """The processes of a command that have such a command line; waits for one while the command runs."""
    while process.poll() is None:
        command = ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        rows = [line.split(None, 1) for line in found.splitlines()]
        if pids := [int(pid) for pid, line in rows if re.match(what, line)]:
            return pids
        time.sleep(0.005)
    return []
