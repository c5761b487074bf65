"""The view for a person at a terminal, or reading a log."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.graph import Graph, Kind
from mlinfra.report import Event, Fact, Note, Operation, Printed, Report, Stage, State, Step
from mlinfra.rollouts import RolloutState
from mlinfra.runs import JobRun, LogLine
from mlinfra.views.progress import Progress
from mlinfra.views.words import DONE, SIGNS, cell, counted, duration, short_type, value

if TYPE_CHECKING:  # one command shows it, and all load the views
    from mlinfra.checks.capacity.record import CapacityReport
    from mlinfra.checks.data.record import DataReport

_FILE_WIDTH = 400
_NUMBERS = ("version", "resources")


class PersonView:
    """Progress and problems on stderr, results on stdout; colours only where the stream is a terminal."""

    def __init__(self, out: Console | None = None, err: Console | None = None, *, debug: bool = False) -> None:
        self._debug = debug
        self.out = out or _console(sys.stdout)
        self.err = err or _console(sys.stderr)
        self._progress = Progress(self.err)
        self._told: set[Diagnostic] = set()

    # ------------------------------------------------------------------------------------ while it goes on

    def event(self, event: Event) -> None:
        """Progress; a line for each change; diagnostics as they come."""
        match event:
            case Note(diagnostic):
                self.diagnostics([diagnostic])
            case Stage(name, number, total):
                self._progress.line(f"[bold]{escape(name)}[/] [dim]({number} of {total})[/]")
            case Printed(program, text):
                if self._debug and text.strip():
                    lines = (f"{program} | {line}" for line in text.strip().splitlines())
                    self._progress.line("\n".join(f"[dim]{escape(line)}[/]" for line in lines))
            case JobRun():
                self._progress.line(_run_line(event))
            case RolloutState():
                self._progress.line(_rollout_line(event))
            case LogLine(part=part, text=text):
                self.out.print(f"[cyan]{escape(part)}[/] [dim]|[/] {escape(text)}" if part else escape(text))
            case Step() if event.state is State.DONE and _is_worth_a_line(event):
                self._progress.step(event)
                self._progress.line(_step_line(event, DONE[event.operation]))
            case _:
                self._progress.event(event)

    # ------------------------------------------------------------------------------------ results

    def plan(self, report: Report) -> None:
        """The changes by component, each update with its properties."""
        self._progress.stop()
        self._by_component(report.steps)
        if report.steps:
            self.out.print()
        if report.verb == "refresh":
            return  # nothing is planned: the steps are what somebody else has done
        if report.changes:
            self.out.print(f"[bold]Plan for {report.stack}:[/] {counted(report.counts, planned=True)}.")
        else:
            self.out.print(f"Nothing to change in {report.stack}: {counted(report.counts, planned=True)}.")

    def _by_component(self, steps: Sequence[Step]) -> None:
        by_component = sorted(steps, key=lambda step: (step.component or "", step.node))
        for component, found in groupby(by_component, key=lambda step: step.component or ""):
            lines = [f"[bold]{escape(component)}[/]", *(line for step in found for line in _planned(step))]
            self.out.print("\n".join(lines))  # at once: a thousand lines take rich 0.06 s, one by one 0.16

    def report(self, report: Report, advice: Sequence[str]) -> None:
        """One line on what was done, the outputs, and what to do next."""
        self._progress.stop()
        what = f"{report.verb} {report.stack}"
        if not report.succeeded:
            self.err.print(f"[bold red]{what} failed[/] after {duration(report.seconds)}.")
            if report.changes:
                self.err.print(f"Done before that: {counted(report.counts, planned=False)}.")
        elif report.steps:
            done = counted(report.counts, planned=False)
            self.out.print(f"[bold green]{what}:[/] {done}, in {duration(report.seconds)}.")
        else:
            unchanged = counted(report.counts, planned=False)
            nothing = "nothing to destroy" if report.verb == "destroy" else f"nothing to change; {unchanged}"
            self.out.print(f"[bold green]{what}:[/] {nothing}, in {duration(report.seconds)}.")
        if report.outputs and report.succeeded:
            self.out.print("\n[bold]Outputs[/]")
            self.outputs(report.outputs)
        self._advise(advice)

    def _advise(self, advice: Sequence[str]) -> None:
        if advice:
            self.out.print("\n[bold]Next[/]")
            for line in advice:
                self.out.print(f"  {escape(line)}")

    def outputs(self, outputs: Mapping[str, Any]) -> None:
        """Names and values in two columns."""
        width = max((len(name) for name in outputs), default=0)
        for name, item in outputs.items():
            self.out.print(f"  {escape(name):<{width}}  {escape(value(item, width=200))}")

    def graph(self, graph: Graph) -> None:
        """The components as a tree, with their nodes and what each refers to."""
        root = Tree(f"[bold]{escape(graph.blueprint)} {graph.version}[/] in {escape(graph.environment)}")
        branches = {
            node.name: root.add(f"[bold]{escape(node.name)}[/]  [dim]{node.type.rpartition(':')[2]}[/]")
            for node in graph
            if node.kind is Kind.COMPONENT
        }
        for node in graph:
            if node.kind is Kind.COMPONENT:
                continue
            branch = branches.get(node.component or "", root)
            others = sorted(name for name in node.references() if name != node.component and not name.startswith("@"))
            arrow = f"  [dim]← {escape(', '.join(others))}[/]" if others else ""
            local = node.name.removeprefix(f"{node.component}/")
            branch.add(f"{escape(local)}  [dim]{escape(short_type(node.type))}[/]{arrow}")
        self.out.print(root)
        for pool in graph.pools:
            gpus = f", {pool.gpus} GPUs" if pool.gpus else ""
            self.out.print(f"pool {pool.name}: {pool.min}–{pool.max} × {pool.instance_type}{gpus}")

    def rows(self, title: str, rows: Sequence[Fact]) -> None:
        """A table without lines."""
        self._progress.stop()
        table = Table(title=None, box=None, show_header=False, pad_edge=False)
        for row in rows:
            mark = "[green]ok[/]" if row.well else "[red]--[/]"
            table.add_row(mark, escape(row.name), escape(row.detail))
        if rows:
            self.out.print(table)
        else:
            self.out.print(f"No {title}.")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """A table with the columns' names above it."""
        self._progress.stop()
        table = Table(title=None, box=None, show_header=True, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(column, justify="right" if column in _NUMBERS else "left")
        for row in rows:
            table.add_row(*(escape(cell(column, row.get(column))) for column in columns))
        if rows:
            self.out.print(table)
        else:
            self.out.print(f"No {title}.")

    def state(
        self,
        version: int | None,
        resources: Sequence[Mapping[str, Any]],
        deployment: Mapping[str, Any],  # noqa: ARG002 — for programs
    ) -> None:
        """The resources as a table."""
        self.table("resources", ("name", "type", "id"), resources)
        number = f"Version {version}: " if version is not None else ""
        self.out.print(f"{number}{len(resources)} resources.")

    def differences(self, steps: Sequence[Step], heading: str) -> None:
        """The resources by component, each with the properties that differ."""
        self._progress.stop()
        self.out.print(f"[bold]{escape(heading)}[/]" if steps else escape(f"{heading}: nothing differs."))
        self._by_component(steps)

    def data(self, report: DataReport, stack: str, *, markdown: bool = False) -> None:
        """A table of the stores and one of their readers, a row each; or the same as Markdown."""
        from mlinfra.views import data_tables

        if markdown:
            self.message(data_tables.markdown(report, stack))
            return
        self.table("stores", data_tables.STORES, data_tables.stores(report))
        self.out.print()
        self.table("readers", data_tables.READERS, data_tables.readers(report))
        self.out.print()
        for note in data_tables.notes(report):
            self.out.print(escape(note))

    def capacity(self, report: CapacityReport, stack: str) -> None:
        """Pools with bars, a table of what runs on them, quotas, notes; problems on stderr."""
        from mlinfra.views import capacity_table, capacity_words

        self._progress.stop()
        capacity_table.draw(report, stack, self.out)
        self.table("workloads", capacity_words.WORKLOADS, [capacity_words.workload(item) for item in report.workloads])
        if report.vcpus:
            self.out.print()
            self.table("quotas", capacity_words.QUOTAS, [capacity_words.quota(item) for item in report.vcpus])
        self.out.print()
        for note in report.notes:
            self.out.print(escape(f"{note[0].upper()}{note[1:]}."))
        self.out.print(escape(capacity_words.summary(report)))
        self.diagnostics(report.problems)

    def run(self, run: JobRun, advice: Sequence[str] = (), *, whole: bool = False) -> None:
        """One line, or where it is wanted whole a table of facts and one of its pods; then what to do next."""
        from mlinfra.views import run_words

        self._progress.stop()
        if whole:
            self.outputs(dict(run_words.facts(run)))
            if run.pods:
                self.out.print()
                self.table("pods", run_words.POD_COLUMNS, run_words.pods(run.pods))
        else:
            took = f", in {duration(run.seconds)}" if run.phase.ended and run.started else ""
            self.out.print(f"{_run_line(run)}{took}.")
        self._advise(advice)

    def runs(self, runs: Sequence[JobRun]) -> None:
        """A table."""
        from mlinfra.views import run_words

        self.table("runs", run_words.COLUMNS, [run_words.row(run) for run in runs])

    def document(self, text: str, title: str, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002
        """The text, byte by byte: rich would take tabs and brackets for its own."""
        self._progress.stop()
        self.out.file.write(text)

    def rollout(self, state: RolloutState, advice: Sequence[str] = ()) -> None:
        """A table of facts, and one of what its gates saw; then what to do next."""
        from mlinfra.views import rollout_words

        self._progress.stop()
        self.outputs(dict(rollout_words.facts(state)))
        if state.gates:
            self.out.print()
            self.table("gates", rollout_words.GATE_COLUMNS, [rollout_words.gate(look) for look in state.gates])
        self._advise(advice)

    def rollouts(self, states: Sequence[RolloutState]) -> None:
        """A table."""
        from mlinfra.views import rollout_words

        self.table("rollouts", rollout_words.COLUMNS, [rollout_words.row(state) for state in states])

    def message(self, text: str, **fields: Any) -> None:  # noqa: ARG002 — the fields are for programs
        """The sentence."""
        self._progress.stop()
        self.out.print(escape(text))

    def diagnostics(self, diagnostics: Iterable[Diagnostic], debug: str = "") -> None:
        """Each as a block: what, where, why, what to do. One that was told already is not told again."""
        for item in diagnostics:
            if item in self._told:
                continue
            self._told.add(item)
            word, color = ("error", "red") if item.severity is Severity.ERROR else ("warning", "yellow")
            block = [f"[bold {color}]{word}:[/] {escape(item.summary)}"]
            if item.location:
                block.append(f"  [dim]at[/] {escape(str(item.location))}")
            block += [f"  {escape(line)}" for line in item.detail.splitlines()]
            if item.remedy:
                block.append(f"  [bold]→[/] {escape(item.remedy)}")
            self._progress.line("\n".join(block))
        if debug:
            self._progress.line(f"[dim]{escape(debug)}[/]")

    # ------------------------------------------------------------------------------------ questions

    def confirm(self, question: str) -> bool:
        """Yes only for `yes` or `y`."""
        return self.ask(f"{question} [yes/no]").strip().lower() in ("y", "yes")

    def ask(self, question: str) -> str:
        """A line from the terminal; nothing at its end."""
        self._progress.stop()
        self.err.print(f"[bold]{escape(question)}[/] ", end="")
        try:
            return input()
        except EOFError:
            return ""

    def ask_secret(self, question: str) -> str:
        """A line from the terminal that is not shown while it is typed; nothing at its end."""
        self._progress.stop()
        try:
            return getpass.getpass(f"{question} ")  # it asks when the terminal shows nothing any more, and no sooner
        except EOFError:
            return ""

    def close(self) -> None:
        """Take the progress lines away."""
        self._progress.stop()


def _console(stream: TextIO) -> Console:
    """A console that fits its lines to a terminal, and leaves them whole in a file or a pipe."""
    width = None if stream.isatty() else _FILE_WIDTH
    # Without emoji: an ARN such as `arn:aws:x:key:y` holds what rich takes for the name of one.
    return Console(file=stream, highlight=False, soft_wrap=True, width=width, emoji=False)


def _run_line(run: JobRun) -> str:
    from mlinfra.views import run_words

    color = run_words.COLORS.get(run.phase, "dim")
    return f"[bold]{escape(run.name)}[/] [{color}]{escape(run_words.state(run))}[/]"


def _rollout_line(state: RolloutState) -> str:
    from mlinfra.views import rollout_words

    color = rollout_words.COLORS.get(state.progress, "dim")
    return f"[bold]{escape(rollout_words.title(state))}[/] [{color}]{escape(rollout_words.words(state))}[/]"


def _is_worth_a_line(step: Step) -> bool:
    """Whether a step that ended changed something, or found a change."""
    if step.operation is Operation.REFRESH:
        return bool(step.changes)
    return step.operation is not Operation.SAME


def _planned(step: Step) -> Iterator[str]:
    """The lines of a step in a plan: what is to be done, and each property that changes."""
    sign, color = SIGNS[step.operation]
    local = step.node.partition("/")[2] or step.node
    yield f"  [{color}]{sign}[/] {escape(local)}  [dim]{short_type(step.type)}[/]"
    if step.operation not in (Operation.UPDATE, Operation.REPLACE, Operation.REFRESH):
        return
    for change in step.changes:
        if change.old is None and change.new is None:  # a secret, of which nothing more is told
            yield f"      {escape(change.path)}: {escape(change.kind)}"
            continue
        forced = "  [magenta]forces replacement[/]" if change.path in step.replaces else ""
        old, new = escape(value(change.old)), escape(value(change.new))
        yield f"      {escape(change.path)}: [red]{old}[/] → [green]{new}[/]{forced}"


def _step_line(step: Step, word: str) -> str:
    sign, color = SIGNS[step.operation]
    return (
        f"[{color}]{sign}[/] {escape(step.node)}  [dim]{short_type(step.type)}[/] {word} "
        f"[dim]{duration(step.seconds)}[/]"
    )
