"""The contract of a view: what the commands have to show, as data. Two views keep it, for a person and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mlinfra.diagnostics import Diagnostic
from mlinfra.graph import Graph
from mlinfra.report import Event, Fact, Report, Step
from mlinfra.rollouts import RolloutState
from mlinfra.runs import JobRun

if TYPE_CHECKING:  # one command shows it, and all load the views
    from mlinfra.checks.capacity.record import CapacityReport
    from mlinfra.checks.data.record import DataReport


class View(Protocol):
    """Shows things. Progress goes to stderr, results to stdout."""

    def event(self, event: Event) -> None:
        """Something happens just now."""

    def plan(self, report: Report) -> None:
        """What a run would change."""

    def report(self, report: Report, advice: Sequence[str]) -> None:
        """What a run has changed, and what to do next."""

    def diagnostics(self, diagnostics: Iterable[Diagnostic], debug: str = "") -> None:
        """Problems that ended a command, or warnings."""

    def outputs(self, outputs: Mapping[str, Any]) -> None:
        """The outputs of a stack."""

    def graph(self, graph: Graph) -> None:
        """A graph."""

    def rows(self, title: str, rows: Sequence[Fact]) -> None:
        """A table of facts: tools, stacks, the state of the local target."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of values: `columns` are those that a person sees, a program sees them all."""

    def state(self, version: int | None, resources: Sequence[Mapping[str, Any]], deployment: Mapping[str, Any]) -> None:
        """A version of a stack's state: its resources for a person, all of it for a program."""

    def differences(self, steps: Sequence[Step], heading: str) -> None:
        """What differs between two versions of a state, a step for each resource."""

    def data(self, report: DataReport, stack: str, *, markdown: bool = False) -> None:
        """What data a stack holds, and who can read it; `markdown` for a document, where a person asks for one."""

    def capacity(self, report: CapacityReport, stack: str) -> None:
        """What a stack asks for against what its machines have, and what is wrong with that."""

    def run(self, run: JobRun, advice: Sequence[str] = (), *, whole: bool = False) -> None:
        """What came of a run of a training job, or how far it is; `whole` for all that is known, its pods too."""

    def runs(self, runs: Sequence[JobRun]) -> None:
        """A table of runs."""

    def rollout(self, state: RolloutState, advice: Sequence[str] = ()) -> None:
        """All that is known of a rollout, its gates too, and what to do next."""

    def rollouts(self, states: Sequence[RolloutState]) -> None:
        """A table of rollouts."""

    def document(self, text: str, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A text as it is, for a file or a pipe; for a program the rows that it is made of."""

    def message(self, text: str, **fields: Any) -> None:
        """A plain sentence; `fields` say the same to a program."""

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question; only where there is a terminal."""

    def ask(self, question: str) -> str:
        """Ask for a line of text; only where there is a terminal."""

    def ask_secret(self, question: str) -> str:
        """Ask for a text that is not shown while it is typed; only where there is a terminal."""

    def close(self) -> None:
        """Nothing more will be shown."""
