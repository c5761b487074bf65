"""What a rehearsal comes to: a result for each step, and what was wrong, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.graph import Graph
from mlinfra.local.leaks import Leak
from mlinfra.report import Report
from mlinfra.workflow.rehearse_placement import JOBS, Placed

OK, FAILED, SKIPPED, INTERRUPTED = "ok", "failed", "skipped", "interrupted"
COLUMNS: Final = ("step", "result", "seconds", "what")
TOLD: Final = 20
"""Problems of one sort that a person is told of one by one."""

_PODS: Final = 5


@dataclass(frozen=True)
class Found:
    """What a step came to: in a few words, what was wrong, and the figures for a program."""

    what: str
    problems: tuple[Diagnostic, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One row of the table. `result` is `ok`, `failed`, `skipped` or `interrupted`."""

    step: str
    result: str
    seconds: float
    found: Found

    def as_row(self) -> dict[str, Any]:
        """As plain data; a person sees `COLUMNS` of it."""
        problems = [item.as_json() for item in self.found.problems]
        row = {"step": self.step, "result": self.result, "seconds": round(self.seconds, 1), "what": self.found.what}
        return {**row, **self.found.details, **({"problems": problems} if problems else {})}


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal came to; `kept` is the file that leads to its local target, where that was kept."""

    stack: str
    results: tuple[Result, ...]
    seconds: float
    kept: Path | None = None

    @property
    def succeeded(self) -> bool:
        """Whether every step was made, and was well."""
        return all(item.result == OK for item in self.results)


# ------------------------------------------------------------------------------------------------ in words


def unplaced(entry: Placed, graph: Graph) -> Diagnostic:
    """A workload or a job with pods that have no machine."""
    kind = "job" if entry.kind in JOBS else entry.kind
    told = "; ".join(dict.fromkeys(entry.reasons.values()))
    some = f": {entry.pods - sum(entry.on.values())} of its {entry.pods} pods" if entry.pods > 1 else ""
    pods = [f"{pod}: {why}" for pod, why in entry.reasons.items()][:_PODS]
    said = [f"The scheduler says: {entry.scheduler}"] if entry.scheduler else []
    return Diagnostic(
        f"{kind} {entry.name} finds no place{some}: {told}",
        detail="\n".join([*pods, *said]),
        remedy="Ask for less, or declare a pool with larger machines, or more of them." if "asks for" in told else "",
        location=graph.source_of(entry.component),
        component=entry.component,
        code="rehearsal-placement",
    )


def changed(report: Report) -> Diagnostic:
    """A second run that was not without changes."""
    lines = [f"{step.operation} {step.node}: {', '.join(item.path for item in step.changes)}" for step in report.steps]
    return Diagnostic(
        f"a second run of {report.stack} changes {count(report.changes, 'resource')}",
        detail="\n".join(lines[:TOLD]),
        remedy="Something in the blueprint is other than it was a moment ago, or the target changes what it is told.",
        code="rehearsal-second-run",
    )


def drifted(summary: str, node: str) -> Diagnostic:
    """Drift that was not found or not repaired, or that nobody made."""
    return Diagnostic(summary, resource=node, code="rehearsal-drift")


def leaked(leak: Leak) -> Diagnostic:
    """Something that is left."""
    tags = "\n".join(f"{key}: {value}" for key, value in sorted(leak.tags.items()))
    outside = "controller" in leak.owner or "made for" in leak.owner
    remedy = "No state has it. Delete what it was made for while the controller still runs, and it goes with that."
    return Diagnostic(
        f"{leak.type} {leak.id} is left in {leak.where}: {leak.owner or 'nothing on it says whose it is'}",
        detail="\n".join(filter(None, (leak.arn, tags))),
        remedy=remedy if outside else "",
        resource=leak.arn or leak.id,
        code="rehearsal-leak",
    )


def errors(report: Report) -> tuple[Diagnostic, ...]:
    """What was wrong with a run that failed; never nothing."""
    found = tuple(item for item in report.diagnostics if item.severity is Severity.ERROR)
    return found or (Diagnostic(f"{report.verb} of {report.stack} failed", code="rehearsal-failed"),)


def limited(problems: Sequence[Diagnostic], what: str) -> tuple[Diagnostic, ...]:
    """So many that a person reads them; a line that tells of one more would be as long as that one."""
    if len(problems) <= TOLD + 1:
        return tuple(problems)
    more = Diagnostic(f"{len(problems) - TOLD} more {what}", remedy="--json has them all.", code=problems[0].code)
    return (*problems[:TOLD], more)


def count(number: int, what: str) -> str:
    """`1 pod`, `1,200 pods`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
