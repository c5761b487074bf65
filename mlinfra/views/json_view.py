"""The view for programs: one versioned JSON object a line on stdout, in the order in which things happen."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from mlinfra.diagnostics import Diagnostic
from mlinfra.graph import Graph
from mlinfra.report import Event, Fact, Note, Printed, Report, Stage, Step, Task
from mlinfra.rollouts import RolloutState
from mlinfra.runs import JobRun, LogLine

if TYPE_CHECKING:  # one command shows it, and all load the views
    from mlinfra.checks.capacity.record import CapacityReport
    from mlinfra.checks.data.record import DataReport

FORMAT = 1
"""Version of the lines' form; it changes when a field changes its meaning or goes, not when one is added."""


class JsonView:
    """Writes each thing as a line `{"format": 1, "type": …}`."""

    def __init__(self, stream: TextIO | None = None, *, debug: bool = False) -> None:
        self._debug = debug
        self._stream = stream or sys.stdout

    def _write(self, kind: str, /, **fields: Any) -> None:
        record = {"format": FORMAT, **fields, "type": kind}
        self._stream.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
        self._stream.flush()

    def event(self, event: Event) -> None:
        """A line for a task, a step or a diagnostic; for debugging, one for what a program printed."""
        match event:
            case Task():
                self._write("task", **{key: value for key, value in asdict(event).items() if value not in (None, "")})
            case Step():
                self._write("step", **event.as_json())
            case Stage():
                self._write("stage", **asdict(event))
            case Note(diagnostic):
                self._write("diagnostic", **diagnostic.as_json())
            case JobRun():
                self._write("run", **event.as_json())
            case RolloutState():
                self._write("rollout", **event.as_json())
            case LogLine():
                self._write("log", **event.as_json())
            case Printed(program, text) if self._debug:
                self._write("printed", program=program, text=text)

    def plan(self, report: Report) -> None:
        """A line `plan`."""
        self._write("plan", **report_as_json(report))

    def report(self, report: Report, advice: Sequence[str]) -> None:  # noqa: ARG002 — advice is for people
        """A line `report`."""
        self._write("report", **report_as_json(report))

    def diagnostics(self, diagnostics: Iterable[Diagnostic], debug: str = "") -> None:
        """A line `diagnostic` each."""
        for diagnostic in diagnostics:
            self._write("diagnostic", **diagnostic.as_json(), **({"debug": debug} if debug else {}))

    def outputs(self, outputs: Mapping[str, Any]) -> None:
        """A line `outputs`."""
        self._write("outputs", outputs=dict(outputs))

    def graph(self, graph: Graph) -> None:
        """A line `graph`, which reads back with `Graph.from_json`."""
        self._write("graph", graph=graph.to_json())

    def rows(self, title: str, rows: Sequence[Fact]) -> None:
        """A line a row; the title, as one word, is its type."""
        for row in rows:
            self._write(title, name=row.name, well=row.well, detail=row.detail, **row.fields)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002
        """A line a row; the title, as one word, is its type."""
        for row in rows:
            self._write(title, **row)

    def state(
        self,
        version: int | None,
        resources: Sequence[Mapping[str, Any]],  # noqa: ARG002 — the deployment has them
        deployment: Mapping[str, Any],
    ) -> None:
        """A line `state`."""
        self._write("state", version=version, deployment=dict(deployment))

    def differences(self, steps: Sequence[Step], heading: str) -> None:  # noqa: ARG002 — the heading is for people
        """A line `difference` each."""
        for step in steps:
            self._write("difference", **step.as_json())

    def data(self, report: DataReport, stack: str, *, markdown: bool = False) -> None:  # noqa: ARG002
        """A line `data`."""
        self._write("data", stack=stack, **report.as_json())

    def capacity(self, report: CapacityReport, stack: str) -> None:
        """A line `capacity`, with its problems."""
        self._write("capacity", stack=stack, **report.as_json())

    def run(self, run: JobRun, advice: Sequence[str] = (), *, whole: bool = False) -> None:  # noqa: ARG002
        """A line `run`, with its pods."""
        self._write("run", **run.as_json(), pods=[pod.as_json() for pod in run.pods])

    def runs(self, runs: Sequence[JobRun]) -> None:
        """A line `run` each."""
        for run in runs:
            self._write("run", **run.as_json())

    def document(self, text: str, title: str, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002
        """A line a row; the title, as one word, is its type."""
        self.table(title, (), rows)

    def rollout(self, state: RolloutState, advice: Sequence[str] = ()) -> None:  # noqa: ARG002
        """A line `rollout`, with its gates."""
        self._write("rollout", **state.as_json())

    def rollouts(self, states: Sequence[RolloutState]) -> None:
        """A line `rollout` each."""
        for state in states:
            self.rollout(state)

    def message(self, text: str, **fields: Any) -> None:
        """A line `message`."""
        self._write("message", text=text, **fields)

    def confirm(self, question: str) -> bool:
        """Programs are not asked."""
        raise RuntimeError(f"a program cannot be asked: {question}")

    def ask(self, question: str) -> str:
        """Programs are not asked."""
        raise RuntimeError(f"a program cannot be asked: {question}")

    def ask_secret(self, question: str) -> str:
        """Programs are not asked."""
        raise RuntimeError(f"a program cannot be asked: {question}")

    def close(self) -> None:
        """Nothing is held back."""


def report_as_json(report: Report) -> dict[str, Any]:
    """A report as plain data."""
    return {
        "verb": report.verb,
        "stack": report.stack,
        "blueprint": report.blueprint,
        "environment": report.environment,
        "target": report.target,
        "succeeded": report.succeeded,
        "interrupted": report.interrupted,
        "changes": report.changes,
        "counts": {str(key): value for key, value in sorted(report.counts.items())},
        "steps": [step.as_json() for step in report.steps],
        "outputs": dict(report.outputs),
        "seconds": round(report.seconds, 3),
    }
