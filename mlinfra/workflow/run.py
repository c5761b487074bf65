"""What the verbs that run the engine share: compile, land, repair, run, record."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.run import Outcome, Verb, run_engine
from mlinfra.functions import UNKNOWN
from mlinfra.graph import REDACTED, Secret
from mlinfra.report import Note, Report
from mlinfra.workflow.compile import Compiled, compile_stack
from mlinfra.workflow.landing import Landed, land, tools
from mlinfra.workflow.lock import stack_lock
from mlinfra.workflow.places import refuse_elsewhere, using_state
from mlinfra.workflow.record import record
from mlinfra.workflow.request import Request


@dataclass
class Run:
    """A stack on its target, locked for this run; runs the engine as often as the verb needs."""

    request: Request
    compiled: Compiled
    landed: Landed
    redactor: Redactor

    def engine(
        self, verb: Verb, *, refresh: bool = False, unprotect: bool = False, targets: Collection[str] = ()
    ) -> Outcome:
        """Run the engine once; a run that failed is told in the outcome, not raised.

        Where the state may be wrong about what is there, everything is read first, whatever `refresh` says. `targets`
        are URNs, for a run that is about these alone.
        """
        program = self.landed.program
        if unprotect:
            program = type(program)(program.graph, program.provider_inputs, program.versions, unprotect=True)
        return run_engine(
            self.landed.session,
            program,
            verb,
            self.request.emit,
            packages=self.landed.packages,
            refresh=refresh or self.landed.stale,
            targets=targets,
            redactor=self.redactor,
        )

    def report(self, outcome: Outcome, verb: str | None = None) -> Report:
        """What an outcome comes to, for the views and for the record."""
        plan_failed = outcome.verb is Verb.PREVIEW and not outcome.succeeded
        return Report(
            verb=verb or str(outcome.verb),
            stack=self.request.state_name,
            blueprint=f"{self.compiled.graph.blueprint}@{self.compiled.graph.version}",
            environment=self.compiled.environment.name,
            target=self.compiled.stack.file.target.kind,
            succeeded=outcome.succeeded,
            # A plan that failed has done nothing and planned nothing that could be relied on.
            steps=() if plan_failed else outcome.steps,
            counts={} if plan_failed else outcome.counts,
            outputs={name: shown(value) for name, value in outcome.outputs.items()},
            diagnostics=outcome.diagnostics,
            seconds=outcome.seconds,
            interrupted=outcome.interrupted,
        )

    def finish(self, outcome: Outcome, verb: str) -> Report:
        """Record a run that may have changed something, whether it succeeded or not."""
        report = self.report(outcome, verb)
        record(self.request, report)
        if outcome.succeeded:
            self.landed.resolve(outcome.verb)
            self.landed.remember()
        return report


@contextmanager
def opened(request: Request, verb: str) -> Iterator[Run]:
    """Compile the stack and land it on its target, locked, and repaired where a run before was cut off."""
    compiled = compile_stack(request.project, request.stack(), request.emit)
    for warning in compiled.warnings:
        request.emit(Note(warning))
    with (
        using_state(request, compiled.stack, binary=tools(request, compiled)) as session,
        stack_lock(request, session, verb),
    ):
        refuse_elsewhere(request, compiled.stack, session)
        with land(request, compiled, session) as landed:
            for told in landed.repaired:
                request.emit(Note(told))
            yield Run(request, compiled, landed, Redactor())


def refuse_protected(run: Run, plan: Outcome) -> None:
    """Raise `MlinfraError` when a plan deletes or replaces what is protected: before anything is touched."""
    if not plan.protected:
        return
    raise MlinfraError(
        *(
            Diagnostic(
                f"{step.node} is protected, and this run would {step.operation} it",
                detail=f"What forces it: {', '.join(step.replaces)}." if step.replaces else "",
                remedy=f"Take {step.component!r} out of the stack's `protect` list first, if losing it is meant.",
                component=step.component,
                resource=step.node,
                location=run.compiled.graph.source_of(step.node),
                code="protected",
            )
            for step in dict.fromkeys(plan.protected)
        )
    )


def has_protected(run: Run) -> bool:
    """Whether anything in the graph is protected, so that a run is planned before it is made."""
    return any(node.options.protect for node in run.compiled.graph)


def shown(value: object) -> object:
    """A resolved value as people and programs may see it."""
    match value:
        case Secret():
            return REDACTED
        case dict():
            return {key: shown(item) for key, item in value.items()}
        case list():
            return [shown(item) for item in value]
        case _:
            return repr(UNKNOWN) if value is UNKNOWN else value
