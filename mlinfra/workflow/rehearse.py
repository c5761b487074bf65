"""`rehearse`: a stack from nothing to nothing on a local target of its own, each step proved, one table at the end.

    local target → up → placement → second run → drift → destroy → leak scan → the local target is removed

What a step needs of those before it is said in `STEPS`. Destroy is always tried, and the scan always made: what went
wrong before is no reason to leave anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.emit import steady
from mlinfra.local import definitions
from mlinfra.local.leaks import LeakScan
from mlinfra.local.target import LocalAccess
from mlinfra.local.target import LocalTarget as Local
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.report import Note, Report
from mlinfra.stack import LocalTarget
from mlinfra.state.backend import SERVICE
from mlinfra.workflow.compile import Compiled, compile_request
from mlinfra.workflow.destroy import destroy
from mlinfra.workflow.places import near_state
from mlinfra.workflow.refresh import refresh
from mlinfra.workflow.rehearse_cluster import PatientCluster
from mlinfra.workflow.rehearse_drift import in_aws, in_cluster
from mlinfra.workflow.rehearse_jobs import place
from mlinfra.workflow.rehearse_results import (
    FAILED,
    INTERRUPTED,
    OK,
    SKIPPED,
    Found,
    Rehearsal,
    Result,
    changed,
    count,
    drifted,
    errors,
    leaked,
    limited,
    unplaced,
)
from mlinfra.workflow.rehearse_room import Rehearsing, Room, clear, interruptible, protected, room
from mlinfra.workflow.rehearse_telling import Teller
from mlinfra.workflow.request import Request
from mlinfra.workflow.up import up

STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "local target": (),
    "up": ("local target",),
    "placement": ("local target",),
    "second run": ("up",),
    "drift": ("up",),
    "destroy": ("local target",),
    "leak scan": ("local target",),
}
"""The steps in their order, each with those that have to be well before it."""


def rehearse(request: Request, *, keep: bool = False) -> Rehearsal:
    """Rehearse a stack, whatever its target, on a local target of its own that is removed afterwards unless `keep`.

    A step that fails is told in the result. Raises `MlinfraError` for a stack that is not valid, and where another
    rehearsal of it is going on: then nothing was begun.
    """
    begun = time.monotonic()
    request = replace(request, emit=steady(request.emit))
    name = request.stack_name
    with interruptible(), room(request.project, name, request.emit) as made:
        teller = Teller(request.emit)
        main = Rehearsing(made, name, rehearse=True, emit=teller, ask=request.ask, room_of=name)
        course = _Course(made, _ordered(main), teller)
        try:
            course.run()
        finally:
            kept = course.kept() if keep else None
            if kept is None:
                clear(made, request.emit, "removing it")
        return Rehearsal(name, tuple(course.results), time.monotonic() - begun, kept)


def _ordered(main: Rehearsing) -> list[tuple[Rehearsing, Compiled]]:
    """The stack and those that it imports from, each after what it imports; raises for one that is not valid."""
    order: dict[str, tuple[Rehearsing, Compiled]] = {}

    def visit(request: Rehearsing) -> None:
        compiled = compile_request(request, stand_in=True, look_far=False)  # it refuses imports in a circle
        for section in compiled.stack.file.imports.values():
            if section.stack not in order:
                visit(replace(request, stack_name=section.stack))
        order[request.stack_name] = request, compiled

    visit(main)
    return list(order.values())


class _Course:
    """The course of one rehearsal."""

    def __init__(self, made: Room, order: Sequence[tuple[Rehearsing, Compiled]], teller: Teller) -> None:
        self._room, self._order, self._teller = made, order, teller
        self._main, self._compiled = order[-1]
        self.results: list[Result] = []
        self._access: dict[str, LocalAccess] = {}
        self._clusters: dict[str, Cluster] = {}
        self._scan: LeakScan | None = None

    def run(self) -> None:
        """All steps, in their order."""
        bodies: Mapping[str, Callable[[], Found]] = {
            "local target": self._start,
            "up": self._up,
            "placement": self._placement,
            "second run": self._second_run,
            "drift": self._drift,
            "destroy": self._destroy,
            "leak scan": self._leaks,
        }
        for number, (name, needs) in enumerate(STEPS.items(), start=1):
            results = {item.step: item.result for item in self.results}
            lacking = [need for need in needs if results[need] != OK]
            if INTERRUPTED in results.values():
                self.results.append(Result(name, SKIPPED, 0.0, Found("interrupted")))
            elif lacking:
                self.results.append(Result(name, SKIPPED, 0.0, Found(f"needs {' and '.join(lacking)}")))
            else:
                self.results.append(self._result(name, number, bodies[name]))

    def kept(self) -> Path | None:
        """The file of exports that leads to the local target; None where it did not come up."""
        access = self._access.get(self._main.state_name)
        if access is None:
            return None
        path = self._room.home / "environment"
        path.write_text("".join(f"export {name}='{value}'\n" for name, value in access.environment().items()))
        return path

    def _result(self, name: str, number: int, body: Callable[[], Found]) -> Result:
        try:
            self._teller.begin(name, number, len(STEPS))
            found = body()
            result = FAILED if found.problems else OK
        except MlinfraError as error:
            found, result = Found(error.diagnostics[0].summary, error.diagnostics), FAILED
        except KeyboardInterrupt:
            found, result = Found("interrupted"), INTERRUPTED
        for problem in found.problems:
            self._teller(Note(problem))
        return Result(name, result, self._teller.end(well=result == OK), found)

    # ------------------------------------------------------------------------------------ the steps

    def _start(self) -> Found:
        nodes = 0
        for request, compiled in self._order:
            target = compiled.stack.file.target
            assert isinstance(target, LocalTarget)
            account = request.account_name(compiled.stack)
            local = Local(self._room, request.state_name, self._teller, target.region, account)
            self._access[request.state_name] = access = local.up(compiled.graph.pools)
            definitions.ensure(access.kubeconfig, compiled.graph)
            self._clusters[request.state_name] = cluster = PatientCluster.from_kubeconfig(access.kubeconfig)
            nodes += len(cluster.list("v1", "Node"))
        self._scan = LeakScan(self._room, self._clusters)
        self._scan.begin()
        clusters, pools = count(len(self._order), "cluster"), count(len(self._compiled.graph.pools), "pool")
        return Found(f"AWS and {clusters} with {count(nodes, 'node')}, {pools} declared")

    def _up(self) -> Found:
        made = []
        for request, _ in self._order:
            report = _done(up(request))
            made.append(f"{sum(report.counts.values())} of {request.stack_name}")
            if not report.succeeded:
                return Found(f"{request.stack_name} did not come up", errors(report))
        return Found(f"resources made: {', '.join(made)}")

    def _placement(self) -> Found:
        cluster = self._clusters[self._main.state_name]
        workloads, jobs = place(cluster, self._teller.say)
        every = [*workloads, *jobs]
        bad = [entry for entry in every if not entry.well]
        simulated = {"admission": jobs, "controller": workloads}
        what = (
            f"{count(sum(entry.pods for entry in workloads), 'pod')} of {count(len(workloads), 'workload')}, "
            f"{count(len(jobs), 'job')} each alone beside them"
        )
        lost = ", ".join(entry.name for entry in bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        what = f"without a machine: {lost}; of {what}" if bad else f"{what}: all placed"
        for part, entries in simulated.items():
            played = sum(bool(entry.simulated) for entry in entries)
            what += f"; {part} simulated for {played}" if played else ""
        problems = [unplaced(entry, self._compiled.graph) for entry in bad]
        details = {"workloads": [entry.as_json() for entry in workloads], "jobs": [entry.as_json() for entry in jobs]}
        return Found(what, limited(problems, "workloads and jobs find no place"), details)

    def _second_run(self) -> Found:
        report = _done(up(self._main))
        if not report.succeeded:
            return Found("it failed", errors(report))
        if not report.changes:
            return Found("no changes")
        problem = changed(report)
        return Found(problem.summary, (problem,))

    def _drift(self) -> Found:
        name, resources = self._main.state_name, self._of(self._main)
        made = [in_aws(self._access[name], resources), in_cluster(self._clusters[name], resources)]
        drifts = [drift for drift in made if drift is not None]
        if not drifts:
            return Found("the stack has nothing that could be changed by hand")
        found = _done(refresh(self._main))
        seen = {step.node for step in found.steps if step.changes}
        repaired = _done(up(self._main))
        problems = [item for report in (found, repaired) if not report.succeeded for item in errors(report)]
        for drift in drifts:
            if drift.node not in seen:
                problems.append(drifted(f"refresh did not find that {drift.what}", drift.node))
            if not drift.repaired():
                problems.append(drifted(f"up did not repair that {drift.what}", drift.node))
        for node in sorted(seen - {drift.node for drift in drifts}):
            problems.append(drifted(f"refresh finds {node} changed, and nobody has changed it", node))
        text = "; ".join(drift.what for drift in drifts)
        what = f"{count(len(drifts), 'change')} by hand, {'not all' if problems else 'each'} found and repaired: {text}"
        details = {"changes": [{"node": drift.node, "what": drift.what} for drift in drifts]}
        return Found(what, tuple(problems), details)

    def _destroy(self) -> Found:
        gone, lifted = 0, [name for _, compiled in self._order for name in protected(compiled.graph)]
        problems: list[Diagnostic] = []
        for request, compiled in reversed(self._order):
            try:
                gone += self._destroyed(request, compiled, problems)
            except MlinfraError as error:
                problems += error.diagnostics
        after = f", after their protection was lifted: {', '.join(lifted)}" if lifted else ""
        return Found(f"{count(gone, 'resource')} deleted{after}", tuple(problems))

    def _destroyed(self, request: Rehearsing, compiled: Compiled, problems: list[Diagnostic]) -> int:
        """Destroy one stack; how many resources were deleted."""
        if protected(compiled.graph) and self._of(request):
            # What is to be done of a real one first, too: AWS refuses to delete what has deletion protection.
            request = replace(request, giving_up=True)
            _done(up(request))
        report = _done(destroy(request, lambda *_: True, force=True))
        if not report.succeeded:
            problems += errors(report)
        elif left := self._of(request):
            what = f"the state of {request.stack_name} still has {count(len(left), 'resource')}"
            problems.append(Diagnostic(what, code="rehearsal-leak"))
        return sum(report.counts.values())

    def _of(self, request: Rehearsing) -> list[dict[str, Any]]:
        """The resources in the state of a stack."""
        with near_state(request, request.stack(), SERVICE) as session:
            return session.resources() if session else []

    def _leaks(self) -> Found:
        assert self._scan is not None
        leaks = self._scan.left()
        if not leaks:
            return Found(f"nothing is left in AWS and {count(len(self._clusters), 'cluster')}")
        what = f"{count(len(leaks), 'thing')} left: {', '.join(str(leak) for leak in leaks[:3])}"
        problems = limited([leaked(leak) for leak in leaks], "things are left")
        return Found(what, problems, {"leaks": [leak.as_json() for leak in leaks]})


def _done(report: Report | None) -> Report:
    """A run's report; an interrupt that the engine has taken is one of the rehearsal."""
    assert report is not None
    if report.interrupted:
        raise KeyboardInterrupt
    return report
