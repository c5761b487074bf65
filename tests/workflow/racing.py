"""Processes that want the same stack at the same moment.

A program: python -m tests.workflow.racing FOLDER PLACE COUNT WAIT. It prints a line when a process takes the stack,
gives it back, is told to wait, or is refused. What takes long to import is imported once, before the processes are
forked: they begin together.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mlinfra.diagnostics import MlinfraError
from mlinfra.engine.session import Session
from mlinfra.project import Project
from mlinfra.report import Note
from mlinfra.state.backend import Backend
from mlinfra.state.service import states_of
from mlinfra.workflow.lock import stack_lock
from mlinfra.workflow.request import Request


def main() -> None:
    folder, place, count, wait = sys.argv[1:]
    (begin, begun), (end, ended) = os.pipe(), os.pipe()
    for _ in range(int(count)):
        if os.fork() == 0:
            os.close(begun)
            os.close(ended)
            os.read(begin, 1)  # until the parent closes it for all
            try:
                run(Project(Path(folder)), place, wait == "wait", end)
            except BaseException as error:
                tell("failed", {"error": repr(error)})
            os._exit(0)
    os.close(begun)
    sys.stdin.readline()  # whoever has the stack first keeps it until everybody else was refused, or waits
    os.close(ended)
    for _ in range(int(count)):
        os.wait()


def run(project: Project, place: str, wait: bool, end: int) -> None:
    with ExitStack() as opened:
        states = opened.enter_context(states_of(project)) if place == "service" else None
        backend = Backend("", "default", local=True, states=states)
        session = Session(project, "demo", "dev", backend, Path("pulumi"), {})
        request = Request(project, "dev", emit=lambda event: tell("waiting", note(event)), wait=wait)
        try:
            with stack_lock(request, session, "up"):
                tell("taken", {})
                os.read(end, 1)
                tell("given back", {})
        except MlinfraError as error:
            tell("refused", error.diagnostics[0].as_json())


def note(event: Any) -> dict[str, Any]:
    assert isinstance(event, Note)
    return event.diagnostic.as_json()


def tell(what: str, details: dict[str, Any]) -> None:
    os.write(1, (json.dumps({"process": os.getpid(), "what": what, **details}) + "\n").encode())  # whole, or not at all


if __name__ == "__main__":
    main()
