"""One run at a time for each stack: wherever its state is in the service, else on this machine."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.engine.session import Session
from mlinfra.processes import identity
from mlinfra.project import Project
from mlinfra.report import Note
from mlinfra.workflow.request import Request

_PAUSE = 0.5
_MOMENT, _TRIES = 0.02, 100


@dataclass(frozen=True)
class Holder:
    """Who holds a stack on this machine; `mark` tells their process from a later one of the same number."""

    verb: str
    user: str
    host: str
    process: int
    mark: str
    since: float

    def __str__(self) -> str:
        """As messages name it, in the words of the state service."""
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.since))
        return f"{self.verb} of {self.user}, process {self.process} on {self.host}, since {since}"


@contextmanager
def stack_lock(request: Request, session: Session, verb: str) -> Iterator[None]:
    """Hold the stack for the block.

    Raises `MlinfraError` that says who holds it, since when and from where, when somebody does; where the request says
    to wait, tells the same as it happens, and waits.
    """

    def waiting(holder: str) -> None:
        request.emit(Note(_waits(request.state_name, holder)))

    with ExitStack() as stack:
        try:
            if session.backend.states is not None:
                name = session.project_name, session.stack
                stack.enter_context(session.backend.states.hold(*name, verb, wait=request.wait, waiting=waiting))
            else:
                lock = file_lock(request.project, request.state_name, verb, wait=request.wait, waiting=waiting)
                stack.enter_context(lock)
        except MlinfraError as error:
            remedy = f"Wait for it with --wait, or take the stack from it: {request.command('cancel')}"
            told = [replace(item, remedy=remedy) if item.code == "locked" else item for item in error.diagnostics]
            raise MlinfraError(*told, debug=error.debug) from None
        yield


@contextmanager
def file_lock(
    project: Project, name: str, verb: str, *, wait: bool = False, waiting: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Hold a stack among the processes of this machine; raises `MlinfraError` that says who holds it.

    The kernel gives the lock back when its holder dies, however it dies.
    """
    path = project.folder("locks") / f"{name}.lock"
    with path.open("a+", encoding="utf-8") as file:
        told = ""
        while not _taken(file):
            if not wait:
                raise _held(name, str(_read(file) or "another run, since just now"))
            holder = str(_read(file, tries=1) or "")  # who has it may give it back this moment: look again, then
            if holder and told != holder:
                told = holder
                waiting(holder)
            time.sleep(_PAUSE)
        file.seek(0)
        file.truncate()
        pid = os.getpid()
        mine = Holder(verb, user_name(), socket.gethostname(), pid, identity(pid) or "", time.time())
        json.dump(vars(mine), file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def file_holder(project: Project, name: str) -> Holder | None:
    """Who holds a stack among the processes of this machine, None when nobody does."""
    path = project.home / "locks" / f"{name}.lock"
    if not path.exists():
        return None
    with path.open("a+", encoding="utf-8") as file:
        return None if _taken(file) else _read(file)


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: IO[str], tries: int = _TRIES) -> Holder | None:
    """The holder of a lock that is taken; None for one that does not say who it is within a moment.

    Between taking the lock and writing who it is, what stands in the file is nothing, or a holder that was killed.
    """
    for attempt in range(tries):
        if attempt:
            time.sleep(_MOMENT)
        file.seek(0)
        with suppress(ValueError, TypeError):
            holder = Holder(**json.load(file))
            if identity(holder.process) == holder.mark:
                return holder
    return None


def _held(name: str, holder: str) -> MlinfraError:
    detail = f"Another update is currently in progress: {holder}."
    return MlinfraError(Diagnostic(f"stack {name} is in use", detail=detail, code="locked"))


def _waits(name: str, holder: str) -> Diagnostic:
    summary = f"waiting for stack {name}, which is in use"
    return Diagnostic(summary, detail=holder, code="waiting", severity=Severity.WARNING)


def user_name() -> str:
    """The name of the user who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry in the password database, as in many containers
        return str(os.getuid())
