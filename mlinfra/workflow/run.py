"""What the verbs that run the engine share: compile, land, repair, run, record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from mlinfra.emit import Emit, steady
from mlinfra.engine.attached import Attached
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.repair import interrupted
from mlinfra.engine.run import Outcome, run_engine
from mlinfra.engine.session import Session
from mlinfra.engine.verb import Verb
from mlinfra.functions import UNKNOWN
from mlinfra.graph import REDACTED, Secret
from mlinfra.report import Event, Note, Report
from mlinfra.workflow.applied import digest, is_applied, note
from mlinfra.workflow.compile import Compiled, compile_request
from mlinfra.workflow.landing import Landed, embedded, land, tools
from mlinfra.workflow.lock import stack_lock
from mlinfra.workflow.loss import Guard, Loss
from mlinfra.workflow.places import refuse_elsewhere, using_state
from mlinfra.workflow.record import record
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import kept
from mlinfra.workflow.secret_values import supplied


@dataclass
class Run:
    """A stack on its target, locked for this run; runs the engine as often as the verb needs."""

    request: Request
    compiled: Compiled
    landed: Landed
    redactor: Redactor

    def engine(
        self,
        verb: Verb,
        *,
        refresh: bool = False,
        unprotect: bool = False,
        targets: Collection[str] = (),
        excluded: Collection[str] = (),
        message: str = "",
        expects_changes: bool = True,
    ) -> Outcome:
        """Run the engine once; a run that failed is told in the outcome, not raised.

        Where the state may be wrong about what is there, everything is read first, whatever `refresh` says. `targets`
        are URNs, for a run that is about these alone; `excluded` are those that it leaves alone. `message` is what the
        version of the state says of it.
        """
        refresh = refresh or self.landed.stale
        program = self.landed.program
        if unprotect:
            program = replace(program, unprotect=True)
        outcome = run_engine(
            self.landed.session,
            program,
            verb,
            self._emit(verb),
            packages=self.landed.packages,
            refresh=refresh,
            targets=targets,
            excluded=excluded,
            redactor=self.redactor,
            message=message,
            expects_changes=expects_changes or refresh,  # whatever is read anew is waited for in the journal
        )
        providers = self.landed.providers
        trouble = providers.trouble() if providers and not outcome.succeeded else None
        if trouble is None:
            return outcome
        if verb is not Verb.PREVIEW:
            interrupted(self.landed.session)
        trouble = replace(trouble, detail=self.redactor.text(trouble.detail))
        self.request.emit(Note(trouble))
        return replace(outcome, diagnostics=(*outcome.diagnostics, trouble))

    def plan(self, *, refresh: bool = False) -> Outcome:
        """Plan an update. Raises `MlinfraError` when it would lose data that the stack does not give up.

        What it gives up without need is warned of.
        """
        outcome = self.engine(Verb.PREVIEW, refresh=refresh, unprotect=True)
        losses = [*self.guard.removed(), *self.guard.planned(outcome.gone)]
        self.guard.refuse(losses)
        for diagnostic in outcome.diagnostics:
            if diagnostic.code == "protected":  # a loss that the engine alone has seen coming
                self.request.emit(Note(diagnostic))
        self.warn(losses)
        return outcome

    def needs_plan(self, *, refresh: bool) -> bool:
        """Whether an update could lose data, as far as can be known without a plan.

        It cannot where the state has nothing that holds data, or where neither stack nor state has changed since the
        last update.
        """
        return bool(self.guard.held) and (refresh or self.landed.stale or not self.is_applied)

    @cached_property
    def is_applied(self) -> bool:
        """Whether neither stack nor state has changed since the last update, as far as can be known without a plan."""
        return is_applied(self.landed.session, self._digest())

    def warn(self, losses: Collection[Loss] = ()) -> None:
        """Warn of what the stack gives up and a run that comes to these losses does not lose."""
        for needless in self.guard.needless(losses):
            self.request.emit(Note(needless))

    def lift(self) -> None:
        """Take the engine's protection off what the stack gives up: it looks at the state's, not at the stack file."""
        if lifted := self.guard.to_lift():
            self.landed.session.unprotect(lifted)
            self.landed.resources = self.landed.session.resources()
            self.__dict__.pop("guard")

    @cached_property
    def guard(self) -> Guard:
        """What holds data in the state, as it was before the run."""
        session = self.landed.session
        compiled = self.compiled
        return Guard(compiled.stack, compiled.graph, self.landed.resources, session.project_name, session.stack)

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
        if outcome.succeeded and outcome.verb is Verb.UP:
            self.landed.resources = self.landed.session.resources()
            note(self.landed.session, self._digest())
            self.__dict__.pop("is_applied", None)
        return report

    def _digest(self) -> str:
        return digest(self.compiled.graph, self.compiled.stack, self.landed.program.versions, self.landed.resources)

    def _emit(self, verb: Verb) -> Emit:
        """Where the engine's run is told. Of what is protected a plan's refusal tells more than the engine does."""
        emit = self.request.emit

        def without_protection(event: Event) -> None:
            if not (isinstance(event, Note) and event.diagnostic.code == "protected"):
                emit(event)

        return without_protection if verb is Verb.PREVIEW else emit


Settle = Callable[[Request, Compiled, Session], Compiled]
"""What a stack comes to beside the state that it has: asked once nobody else can change that."""


@contextmanager
def opened_with(request: Request, verb: str, settle: Settle | None, process: Attached) -> Iterator[Run]:
    """As `mlinfra.workflow.opening.opened`; `process` is where the embedded providers are served from."""
    request = replace(request, emit=steady(request.emit))
    stack = request.stack()
    packages = embedded(stack)
    process.load(packages)
    # What is destroyed needs none of what it was made with: what it imported may be gone already.
    destroys = verb == "destroy"
    compiled = compile_request(request, stack, stand_in=destroys)
    for warning in compiled.warnings:
        request.emit(Note(warning))
    with (
        using_state(request, compiled.stack, binary=tools(request, compiled)) as session,
        stack_lock(request, session, verb),
    ):
        refuse_elsewhere(request, compiled.stack, session)
        compiled = compiled if destroys else (settle or kept)(request, compiled, session)
        compiled = replace(compiled, graph=request.fitted(compiled.graph))
        with land(request, compiled, session, process if packages else None) as landed:
            for told in landed.repaired:
                request.emit(Note(told))
            _give_values(request, landed, verb)
            run = Run(request, compiled, landed, Redactor())
            run.lift()
            yield run


def _give_values(request: Request, landed: Landed, verb: str) -> None:
    """Put the values of secrets into the program; warn of those that a plan goes on without."""
    program = landed.program
    graph, told = supplied(
        program.graph, landed.resources, verb, ask=request.ask, stand_ins=request.rehearse or request.target == "local"
    )
    for warning in told:
        request.emit(Note(warning))
    landed.program = replace(program, graph=graph)


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
