"""One run at a time for each stack on this machine."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.project import Project


@contextmanager
def stack_lock(project: Project, name: str, verb: str) -> Iterator[None]:
    """Hold the stack for the block; raises `MlinfraError` that says who holds it, when somebody does.

    The kernel gives the lock back when its holder dies, however it dies.
    """
    path = project.folder("locks") / f"{name}.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(file, name) from None
        file.seek(0)
        file.truncate()
        json.dump({"verb": verb, "user": user_name(), "process": os.getpid(), "since": time.time()}, file)
        file.flush()
        yield


def _held(file: IO[str], name: str) -> MlinfraError:
    holder: dict[str, Any] = {}
    file.seek(0)
    with suppress(json.JSONDecodeError):  # the holder has the lock, but has not yet written who it is
        holder = json.load(file)
    since = time.strftime("%H:%M:%S", time.localtime(holder["since"])) if holder else "just now"
    who = f"`mlinfra {holder['verb']}` of {holder['user']}, process {holder['process']}" if holder else "another run"
    return MlinfraError(
        Diagnostic(
            f"stack {name} is in use",
            detail=f"{who} has been at work on it since {since}.",
            remedy="Wait until it has ended, then run the command again.",
            code="locked",
        )
    )


def user_name() -> str:
    """The name of the user who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry in the password database, as in many containers
        return str(os.getuid())
