"""What a run does and has done, as plain data: events while it goes on, a report at its end.

The rooms below tell what happens by calling an `Emit` with an `Event`; the views draw the events and the final report.
Nothing here prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from mlinfra.diagnostics import Diagnostic

if TYPE_CHECKING:  # a run's and a rollout's words are few commands' own
    from mlinfra.rollouts import RolloutState
    from mlinfra.runs import JobRun, LogLine


class State(StrEnum):
    """How far a task or a step has come."""

    STARTED = "started"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Operation(StrEnum):
    """What the engine does to a node; the words are Pulumi's, with the parts of a replacement told as one."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"
    REFRESH = "refresh"
    IMPORT = "import"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Task:
    """Work of our own that may take over a second: a tool that is built, a cluster that starts.

    `name` says what, the same for all events of one task; `detail` what it is at just now; `fraction` how far it is,
    from 0 to 1, or None where nobody knows; `seconds` how long it has taken so far.
    """

    name: str
    state: State
    detail: str = ""
    fraction: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property that a step changes: its path, what it was and what it becomes. Secrets are redacted already."""

    path: str
    kind: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class Step:
    """The engine at one node. `replaces` names the properties that force a replacement."""

    node: str
    type: str
    component: str | None
    operation: Operation
    state: State
    changes: tuple[PropertyChange, ...] = ()
    replaces: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The step as plain data, without what is empty."""
        record: dict[str, Any] = {
            "node": self.node,
            "resource_type": self.type,
            "component": self.component,
            "operation": str(self.operation),
            "state": str(self.state),
            "changes": [
                {"path": item.path, "kind": item.kind, "old": item.old, "new": item.new} for item in self.changes
            ],
            "replaces": list(self.replaces),
            "seconds": round(self.seconds, 3),
        }
        return {key: value for key, value in record.items() if value not in (None, [], 0.0)}


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a longer work begins, the `number`th of `total`: told where it begins, whatever it takes."""

    name: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Note:
    """A diagnostic, told when it is found."""

    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program of ours printed, secrets taken out: shown with `--debug` alone."""

    program: str
    text: str


@dataclass(frozen=True, slots=True)
class Working:
    """The engine has begun; what it comes to is told in other events. `verb` is what it is at."""

    verb: str


@dataclass(frozen=True)
class Fact:
    """A fact about the machine or the project: a name, whether it is as it should be, what there is to say.

    `fields` say the same to a program.
    """

    name: str
    well: bool
    detail: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Event: TypeAlias = "Task | Step | Stage | Note | Printed | Working | JobRun | LogLine | RolloutState"


@dataclass(frozen=True)
class Report:
    """What one run came to.

    `counts` has the number of nodes for each operation; `steps` only those that change something, in the order in
    which they ended; `outputs` are the stack's outputs, secrets redacted.
    """

    verb: str
    stack: str
    blueprint: str
    environment: str
    target: str
    succeeded: bool
    steps: tuple[Step, ...] = ()
    counts: Mapping[Operation, int] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def changes(self) -> int:
        """How many nodes change, or would."""
        quiet = (Operation.SAME, Operation.READ, Operation.REFRESH)
        return sum(count for operation, count in self.counts.items() if operation not in quiet)
