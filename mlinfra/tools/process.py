"""Child processes whose lines are read as they come, and which never outlive the work that they are for."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class CommandError(Exception):
    """A command that failed; the text is the last lines that it wrote."""


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    folder: Path,
    each_line: Callable[[str], None] | None = None,
) -> list[str]:
    """Run a command in `folder`: call `each_line` with each line that it writes to stderr, return those of its stdout.

    The command has a process group of its own. Whatever ends this function early, Ctrl-C included, ends the group:
    `go build` would otherwise leave its compilers running. Raises `CommandError`.
    """
    tail: deque[str] = deque(maxlen=20)
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        with subprocess.Popen(  # noqa: S603 — our own fixed commands
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    tail.append(line.rstrip())
                    if each_line:
                        each_line(line.rstrip())
                code = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if code != 0:
            raise CommandError("\n".join(tail) or f"{command[0]} ended with code {code}")
        output.seek(0)
        return output.read().splitlines()
