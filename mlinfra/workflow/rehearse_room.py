"""The room of a rehearsal: a state, a local AWS and clusters of its own, thrown away when it ends.

Everything that mlinfra keeps for a run is under the project's `.mlinfra/`. A rehearsal has a folder within it that
stands in for all of it, so that nothing that it does can touch what a stack has, not that of `--rehearse` either, and
that nothing of it is left when the folder is gone.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Final

from mlinfra.diagnostics import MlinfraError
from mlinfra.emit import Emit
from mlinfra.graph import Graph, Kind, Node
from mlinfra.local.target import stop_all
from mlinfra.processes import INTERRUPTS, handling
from mlinfra.project import Project
from mlinfra.report import State, Task
from mlinfra.stack import Stack, StateSection
from mlinfra.workflow.lock import file_lock
from mlinfra.workflow.request import Request

ROOMS = "rehearse"
"""The folder of the rooms, under `.mlinfra/`."""

AWAITED = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod", "Service", "PersistentVolumeClaim")
PATIENCE = 90
"""Seconds that a workload has to become ready. On the local target the machines are all there, and nothing is pulled: a
pod that finds no place by then finds none, and the rehearsal is to tell so rather than to wait ten minutes."""

_PROTECTIONS: Final = {
    "deletionProtection": False,
    "enableDeletionProtection": False,
    "skipFinalSnapshot": True,
    "deleteAutomatedBackups": True,
}
"""Inputs of AWS resources, each with the value that lets the resource go, and leaves nothing of it."""


@dataclass(frozen=True, slots=True)
class Room(Project):
    """The same project, with another place for what mlinfra keeps of it."""

    name: str = ""

    @property
    def home(self) -> Path:
        """The room's folder."""
        return self.root / ".mlinfra" / ROOMS / self.name

    @property
    def project(self) -> Project:
        """The project that it is a room of."""
        return Project(self.root)

    def folder(self, *parts: str) -> Path:
        """A folder in the room, made if it is not there."""
        self.project.folder(ROOMS)
        return Project.folder(self, *parts)


@dataclass(frozen=True)
class Rehearsing(Request):
    """A stack in the room of a rehearsal, which is that of `room_of`."""

    room_of: str = ""
    giving_up: bool = False
    """Whether what AWS itself protects from deletion is protected no more: the last update before a destroy."""

    def command(self, verb: str) -> str:  # noqa: ARG002 — whatever is to be done again, the rehearsal does
        """The command that makes the rehearsal again, for messages to name."""
        return f"mlinfra rehearse --stack {self.room_of}"

    def stack(self) -> Stack:
        """The stack on the local target, with its state in the room, wherever its file says that it is."""
        stack = Request.stack(self)
        return Stack(stack.name, stack.file.model_copy(update={"state": StateSection()}), stack.positions)

    def fitted(self, graph: Graph) -> Graph:
        """The graph, with less patience for what becomes ready or does not."""
        nodes = {node.name: self._fitted(node) for node in graph}
        return replace(graph, nodes=nodes)

    def _fitted(self, node: Node) -> Node:
        if node.kind is not Kind.RESOURCE:
            return node
        if _awaited(node.type) and not node.options.timeout_seconds:
            return replace(node, options=replace(node.options, timeout_seconds=PATIENCE))
        if self.giving_up and (lifted := _lifted(node)):
            return replace(node, inputs={**node.inputs, **lifted})
        return node


def protected(graph: Graph) -> list[str]:
    """The names of what AWS itself would refuse to delete, or would keep a copy of."""
    return [node.name for node in graph if node.kind is Kind.RESOURCE and _lifted(node)]


def _awaited(token: str) -> bool:
    return token.startswith("kubernetes:") and token.rpartition(":")[2] in AWAITED


def _lifted(node: Node) -> dict[str, bool]:
    """The settings that keep a resource from being deleted, or that leave a copy of it, as they let it go."""
    if not node.type.startswith("aws:"):
        return {}
    return {name: free for name, free in _PROTECTIONS.items() if node.inputs.get(name) is (not free)}


def rooms(project: Project) -> list[Room]:
    """The rooms that there are: of rehearsals that go on, that were kept, or that were killed."""
    folder = project.home / ROOMS
    found = sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []
    return [Room(project.root, path.name) for path in found]


@contextmanager
def room(project: Project, stack: str, emit: Emit) -> Iterator[Room]:
    """A new room for the rehearsal of a stack, held for the block; `clear` it at the end.

    What an earlier rehearsal has left is thrown away. Raises `MlinfraError` where another one is going on.
    """
    made = Room(project.root, stack)
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(project, f"{stack}-{ROOMS}", ROOMS))
        except MlinfraError as error:
            told = [
                replace(item, summary=f"a rehearsal of {stack} is going on", remedy="Wait until it has ended.")
                if item.code == "locked"
                else item
                for item in error.diagnostics
            ]
            raise MlinfraError(*told, debug=error.debug) from None
        if made.home.exists():
            clear(made, emit, "removing what an earlier rehearsal has left")
        yield made


def clear(made: Room, emit: Emit, why: str) -> None:
    """Stop everything of a room, and delete it. Ctrl-C does not reach it: half of it would be worse than a second."""
    task = "the rehearsal's local target"
    emit(Task(task, State.STARTED, why))
    with _deaf():
        stop_all(made)
        shutil.rmtree(made.home, ignore_errors=True)
        with suppress(OSError):
            made.home.parent.rmdir()  # where no other rehearsal has a room
    emit(Task(task, State.DONE, "removed"))


@contextmanager
def interruptible() -> Iterator[None]:
    """What else interrupts (a CI system's SIGTERM, a terminal that is closed) is taken for Ctrl-C within the block."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the form of a signal handler
        raise KeyboardInterrupt

    with handling(interrupt, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def _deaf() -> Iterator[None]:
    with handling(signal.SIG_IGN, *INTERRUPTS):
        yield
