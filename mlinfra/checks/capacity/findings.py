"""All that a report on capacity has to tell as problems: what is certain, and what was found by placing pods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from mlinfra.checks.capacity.amounts import PODS, plural, said
from mlinfra.checks.capacity.certain import MACHINES, REPLICAS, Certain
from mlinfra.checks.capacity.ground import Ground
from mlinfra.checks.capacity.record import WorkloadUse
from mlinfra.checks.capacity.survey import Survey
from mlinfra.checks.capacity.workloads import Use, Workload
from mlinfra.diagnostics import Diagnostic, Severity

NO_ROOM: Final = "capacity-no-room"
IN_PART: Final = "capacity-in-part"
AT_MOST: Final = "capacity-at-most"
SPREAD: Final = "capacity-if-spread"
UNREADABLE: Final = "capacity-unreadable"
_NAMED: Final = 5
"""Names that a message lists at most."""


def findings(ground: Ground, survey: Survey, uses: Sequence[WorkloadUse]) -> list[Diagnostic]:
    """Errors first: what is certain, then that for which no place was found; then warnings."""
    certain = Certain(ground)
    found = [*certain.problems(), *_unreadable(ground, certain)]
    found += [item for item in certain.quotas(most=True) if item.resource not in {other.resource for other in found}]
    if ground.setting.pools:
        surely = any(item.code == REPLICAS for item in found)
        if not surely:
            found += certain.replicas(most=True)
        told = {item.resource for item in found}
        if not surely:
            found += _always(ground, survey, certain, told)
        found += _jobs(ground, certain, {item.node: item for item in uses}, told)
        found += _hints(uses, {item.resource for item in found})
    return sorted(found, key=lambda item: item.severity is not Severity.ERROR)


def _unreadable(ground: Ground, certain: Certain) -> Iterator[Diagnostic]:
    for item in ground.workloads:
        if item.problem:
            name = ground.names[item.node.name]
            summary = f"What {name} asks for cannot be read, so it is not counted"
            yield certain.about(item, summary, f"{item.problem}.", "", UNREADABLE, severity=Severity.WARNING)


def _always(ground: Ground, survey: Survey, certain: Certain, told: set[str | None]) -> Iterator[Diagnostic]:
    """What is always there and found no place on the machines, though no bound says that there is none."""
    for item in ground.workloads:
        node, name = item.node.name, ground.names[item.node.name]
        if item.use is not Use.ALWAYS or node in told or not _all_bound(ground, item):
            continue
        fewest, most = survey.fewest.missed[node], survey.most.missed[node]
        if fewest:
            summary = f"{fewest} of {_pods(item, most=False)} of {name} found no place beside all else"
            yield certain.about(item, summary, _TRIED, MACHINES, NO_ROOM)
        elif most:
            summary = f"{most} of {_pods(item, most=True)} of {name} found no place when all runs its most replicas"
            yield certain.about(item, summary, _TRIED, MACHINES, AT_MOST, severity=Severity.WARNING)


_TRIED: Final = (
    "Pods were placed machine by machine, the largest first, by three measures of what is large. Another way of "
    "placing them may exist, but the scheduler does not search for one."
)


def _jobs(
    ground: Ground, certain: Certain, uses: dict[str, WorkloadUse], told: set[str | None]
) -> Iterator[Diagnostic]:
    """Jobs of which not even the least that makes sense finds room beside the fewest replicas."""
    for job in ground.runs:
        use = uses[job.node.name]
        if job.node.name in told or use.at_once is None or not _all_bound(ground, job):
            continue
        if use.at_once.runs == 0 and (job.together or use.at_once.pods == 0):
            what = f"a run of {use.name}" if job.total(most=False) > 1 else use.name
            summary = f"There is no room for {what} beside what is always there"
            pods = _pods(job, most=False)
            detail = (
                f"Of {pods} {use.missing.fewest:g} found no place beside the fewest replicas of what is always there."
            )
            yield certain.about(job, summary, detail, MACHINES, NO_ROOM)


def _hints(uses: Iterable[WorkloadUse], told: set[str | None]) -> Iterator[Diagnostic]:
    """Jobs that run in part, only while endpoints are small, or only if pods are packed, each kind in one warning."""
    jobs = [item for item in uses if item.at_once and item.at_once.pods and item.node not in told]
    for code, is_of, summary, detail, remedy in _HINTS:
        if names := [item.name for item in jobs if is_of(item)]:
            words = _ONE if len(names) == 1 else _MANY
            yield Diagnostic(
                f"{_names(names)} {summary.format(**words)}",
                detail=detail.format(**words),
                remedy=remedy.format(**words),
                code=code,
                severity=Severity.WARNING,
            )


_ONE: Final = {"find": "finds", "their": "its", "they_wait": "It waits", "jobs": "job"}
_MANY: Final = {"find": "find", "their": "their", "they_wait": "They wait", "jobs": "jobs"}
_HINTS: Final[tuple[tuple[str, Callable[[WorkloadUse], bool], str, str, str], ...]] = (
    (
        IN_PART,
        lambda item: item.at_once is not None and not item.at_once.runs,
        "{find} room for some of {their} pods at once, not for all of a run",
        "The others wait until some have ended: that takes longer, and is in vain where pods wait for each other.",
        "Give a pool more machines, or let fewer pods run at once.",
    ),
    (
        AT_MOST,
        lambda item: item.at_once_most is not None and not item.at_once_most.pods,
        "{find} no room while all else runs its most replicas",
        "{they_wait} until there are fewer.",
        "Give a pool more machines, or the {jobs} a pool of {their} own.",
    ),
    (
        SPREAD,
        lambda item: item.at_once_spread is not None and not item.at_once_spread.pods,
        "{find} room only where other pods leave machines free",
        "By default the scheduler spreads pods over all machines that are there, and leaves a little of each.",
        "Give the {jobs} a pool of {their} own, or let machines be added only as they are needed.",
    ),
)
"""What may keep jobs waiting: the code, which jobs it is told of, and the summary, detail and remedy."""


def _all_bound(ground: Ground, item: Workload) -> bool:
    """Whether the pools are the only machines for a workload; else nothing is missing that the cluster may not have."""
    return all(ground.is_bound(group.pod) for group in item.groups)


def _pods(item: Workload, *, most: bool) -> str:
    return said(PODS, item.total(most=most))


def _names(names: Sequence[str]) -> str:
    shown, more = ", ".join(names[:_NAMED]), len(names) - _NAMED
    return f"{shown} and {more} more {plural('job', more)}" if more > 0 else f"{plural('Job', len(names))} {shown}"
