"""Locks between processes, one file each.

They are held by `flock`, so that a lock ends with its process, whatever becomes of it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlinfra.diagnostics import Diagnostic, MlinfraError

_PAUSE = 0.1


@contextmanager
def lock(
    path: Path, what: str, waiting: Callable[[str], None] | None = None, timeout: float = 1800.0
) -> Iterator[None]:
    """Hold the lock file at `path` for the length of a `with` block.

    `what` says in words what is being done under it. Where another process holds it, `waiting` is called once with a
    sentence that names that process and what for; after `timeout` seconds `MlinfraError` is raised. Threads of one
    process exclude each other too, since each opens the file for itself.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout
    with path.open("a+") as file:
        told = False
        while not _taken(file.fileno()):
            file.seek(0)
            holder = file.read().strip() or "another mlinfra process"
            if time.monotonic() > deadline:
                raise MlinfraError(
                    Diagnostic(
                        f"waited {timeout:.0f} s for {holder}",
                        detail=f"It holds {path}, which keeps two processes from {what} at once.",
                        remedy="Wait until it has ended, or end it if it hangs; then run the command again.",
                        code="lock-timeout",
                    )
                )
            if waiting and not told:
                waiting(f"waiting for {holder}")
                told = True
            time.sleep(_PAUSE)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}, which is {what}")
        file.flush()
        yield
        file.truncate(0)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
