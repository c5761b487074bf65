"""`cancel`: take a stack from whoever has it."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.processes import identity
from mlinfra.stack import Stack
from mlinfra.state.backend import SERVICE
from mlinfra.workflow.lock import Holder, file_holder
from mlinfra.workflow.places import DATABASE, states_folder, using_state
from mlinfra.workflow.request import Request

Confirm = Callable[[str], bool]
"""Asked with who has the stack, and what taking it from them comes to."""

_UNKNOWN = "whoever has its lock in the backend, which cannot be seen from here"


def cancel(request: Request, confirm: Confirm) -> str | None:
    """Take a stack from whoever has it; says who that was, nothing when nobody had it, None when it was turned down.

    In the service the holder's engine is refused at its next step, on whatever machine it is. A run on this machine on
    another backend is interrupted as by Ctrl-C. Where only the backend's own lock is left, it is removed: that stops no
    engine. Raises `MlinfraError` where a lock in files is of another machine, whose engine would go on unseen.
    """
    stack = request.stack()
    if stack.file.state.backend == SERVICE:
        return _in_service(request, stack, confirm)
    running = file_holder(request.project, request.state_name)
    if running is not None:
        return _interrupt(running, confirm)
    with using_state(request, stack) as session:
        if session.backend.local:
            locks = states_folder(request) / ".pulumi" / "locks"
            found = sorted(locks.glob(f"*/{session.project_name}/{session.stack}/*.json"))
            if not found:
                return ""
            who = ", ".join(_owner(request, path) for path in found)
        else:
            who = _UNKNOWN
        if not confirm(f"{who}. Its lock is removed; an engine that still runs there is not stopped."):
            return None
        ended = session.run("cancel", "--yes", "--stack", session.stack)
        if not ended.succeeded:
            raise MlinfraError(
                Diagnostic(
                    f"stack {session.stack} cannot be cancelled", detail=ended.output.strip(), code="cancel-refused"
                )
            )
        return who


def _in_service(request: Request, stack: Stack, confirm: Confirm) -> str | None:
    if not (states_folder(request) / DATABASE).exists():
        return ""
    from mlinfra.state.service import states_of

    with states_of(request.project) as states:
        who = states.holder(stack.blueprint, request.state_name)
        if who and not confirm(f"{who}. Its engine stops at its next step."):
            return None
        return states.cancel(stack.blueprint, request.state_name)


def _interrupt(holder: Holder, confirm: Confirm) -> str | None:
    """End a run on this machine in its own way: the engine finishes what is in flight, and its lock goes with it."""
    if not confirm(f"{holder}. It finishes what is in flight, then ends."):
        return None
    if identity(holder.process) == holder.mark:  # the lock was held a moment ago; the number may be another's by now
        with suppress(ProcessLookupError):
            os.kill(holder.process, signal.SIGINT)
    return str(holder)


def _owner(request: Request, path: Path) -> str:
    """Who has made a lock in files; raises `MlinfraError` for another machine."""
    lock: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        lock = json.loads(path.read_bytes())
    host = lock.get("hostname", "")
    who = f"{lock.get('username', 'somebody')}, process {lock.get('pid', '?')} on {host or 'an unknown host'}"
    if host and host != socket.gethostname():
        raise MlinfraError(
            Diagnostic(
                f"stack {request.state_name} is held from another machine: {who}",
                detail="Removing its lock would not stop its engine, and two would write the same state.",
                remedy=f"End it there. If it is gone for good, remove {request.project.relative(path)}.",
                code="cancel-refused",
            )
        )
    return f"{who}, since {lock.get('timestamp', 'an unknown time')}"
