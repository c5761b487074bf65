"""One run of the engine on a program: preview, update, refresh or destroy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mlinfra.diagnostics import Diagnostic
from mlinfra.emit import Emit
from mlinfra.engine.events import EventReader, Told
from mlinfra.engine.failures import diagnose
from mlinfra.engine.host import LanguageHost
from mlinfra.engine.process import Ended, run_pulumi
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.registration import Program
from mlinfra.engine.session import Session
from mlinfra.engine.verb import Verb
from mlinfra.report import Note, Operation, Printed, State, Step, Task

PARALLEL = 16
"""Resource operations at once. The engine's default grows with the cores; the providers' threads are above it."""

FLAGS = {
    Verb.PREVIEW: (),
    Verb.UP: ("--yes", "--skip-preview"),
    Verb.REFRESH: ("--yes", "--skip-preview", "--run-program"),
    # Without the program, providers would be configured from the state, which may name a port of yesterday.
    Verb.DESTROY: ("--yes", "--skip-preview", "--run-program"),
}
"""What each of the engine's commands is called with."""


@dataclass(frozen=True)
class Outcome:
    """What one run of the engine came to."""

    verb: Verb
    succeeded: bool
    interrupted: bool
    steps: tuple[Step, ...]
    counts: Mapping[Operation, int]
    gone: Mapping[str, Step]
    """What is deleted or replaced, by its URN in the state."""
    outputs: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...]
    seconds: float


def nothing_done(verb: Verb) -> Outcome:
    """What a run comes to that had nothing to do for the engine."""
    return Outcome(
        verb, succeeded=True, interrupted=False, steps=(), counts={}, gone={}, outputs={}, diagnostics=(), seconds=0.0
    )


def run_engine(
    session: Session,
    program: Program,
    verb: Verb,
    emit: Emit,
    *,
    packages: list[Any] | None = None,
    refresh: bool = False,
    targets: Collection[str] = (),
    excluded: Collection[str] = (),
    redactor: Redactor | None = None,
    message: str = "",
    expects_changes: bool = True,
) -> Outcome:
    """Run the engine once.

    `refresh` first reads every resource anew, which a refresh does anyway. `targets` are the URNs that the run is
    about, where it is not about all; `excluded` those that it is not about. `message` is what the version of the state
    says of the run. `expects_changes` has no influence on what is done, only on how fast.
    """
    redactor = redactor or Redactor()
    if session.backend.states is not None:
        session.backend.states.redact_with(redactor)
    begun = time.monotonic()
    host = LanguageHost(program, packages or [], redactor)
    pipe = session.folder / f"events-{session.stack}"
    reader = EventReader(pipe, program.graph, emit, redactor, verb)
    arguments = [str(verb), "--stack", session.stack, *FLAGS[verb], "--parallel", str(PARALLEL)]
    if refresh and verb is not Verb.REFRESH:
        arguments += ["--refresh"] if verb is Verb.DESTROY else ["--refresh", "--run-program"]
    if message:
        arguments += ["--message", message]
    for urn in sorted(targets):
        arguments += ["--target", urn]
    for urn in sorted(excluded):
        arguments += ["--exclude", urn]

    def told_of_interrupt(count: int) -> None:
        detail = "finishing what is in flight; interrupt again to stop at once" if count == 1 else "stopping now"
        emit(Task("interrupted", State.RUNNING, detail))

    with host.serve() as server:
        arguments += [
            f"--client={server.address}",
            "--exec-kind=auto.inline",
            "--non-interactive",
            "--color=never",
            "--suppress-progress",
            f"--event-log={pipe}",
        ]
        try:
            environment = session.environment(expects_changes=expects_changes)
            ended = run_pulumi(
                session.binary,
                arguments,
                session.folder,
                environment,
                session.running,
                told_of_interrupt,
                reader.is_over,
            )
        finally:
            told = reader.close()
            session.give_back()
    output = redactor.text(ended.output)
    diagnostics = (*host.diagnostics, *diagnose(told, output, ended, program.graph, session.stack))
    emit(Printed("pulumi", output))
    for diagnostic in diagnostics:
        emit(Note(diagnostic))
    return _outcome(verb, host, told, ended, diagnostics, time.monotonic() - begun)


def _outcome(
    verb: Verb, host: LanguageHost, told: Told, ended: Ended, diagnostics: tuple[Diagnostic, ...], seconds: float
) -> Outcome:
    counts = Counter(told.counts)
    if verb is Verb.DESTROY:  # the program was run for the providers' sake; what it registered is not what was done
        counts = Counter({Operation.DELETE: told.counts[Operation.DELETE]})
    return Outcome(
        verb=verb,
        succeeded=ended.succeeded and not any(item.severity == "error" for item in diagnostics),
        interrupted=ended.interrupted,
        steps=tuple(told.steps),
        counts=counts,
        gone=told.gone,
        outputs={} if verb is Verb.DESTROY else host.outputs,
        diagnostics=diagnostics,
        seconds=seconds,
    )
