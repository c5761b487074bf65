"""Following a run: its state each time it changes, and what its pods write, until it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.providers.kubernetes.errors import UnreachableError
from mlinfra.report import Note
from mlinfra.runs import JobRun
from mlinfra.workflow.runs_access import Job, Stage
from mlinfra.workflow.runs_logs import AT_ONCE, Logs, single
from mlinfra.workflow.runs_look import look

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0
_PATIENCE: Final = 120.0
"""For how many seconds the cluster may be away before following ends: a laptop that slept, a server that restarts."""


def follow(stage: Stage, job: Job, run: JobRun, *, tail: int = 0) -> JobRun:
    """Tell of a run until it has ended, and return what came of it, which is not told here.

    `tail` is how many lines of each pod's log to begin with, 0 for all. Raises `MlinfraError` when the run is deleted,
    or the cluster cannot be reached for long. Whoever is interrupted stops following; the run goes on.
    """
    emit, logs = stage.request.emit, Logs(stage.cluster(job), run, tail=tail)
    last, pause, told = None, _FIRST_PAUSE, set[str]()
    try:
        while True:
            run = replace(_patiently(stage, job, run.name), made=run.made)
            if run.looks() != last:
                last, pause = run.looks(), _FIRST_PAUSE
                if not run.phase.ended:
                    emit(run)
            for pod in run.pods:
                logs.follow(pod)
            for line in logs.rest() if run.phase.ended else logs.lines(pause):
                emit(single(run, line))
            for note in _troubles(stage, logs):
                if note.diagnostic.code not in told:
                    told.add(note.diagnostic.code)
                    emit(note)
            if run.phase.ended:
                return run
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    finally:
        logs.stop()


def _patiently(stage: Stage, job: Job, name: str) -> JobRun:
    """The run as it is now; waits for a cluster that does not answer."""
    since = time.monotonic()
    told = False
    while True:
        try:
            run = look(stage.cluster(job), job, name)
        except UnreachableError as error:
            if time.monotonic() - since > _PATIENCE:
                raise
            if not told:
                told = True
                stage.request.emit(Note(replace(error.diagnostics[0], severity=Severity.WARNING)))
            time.sleep(_LONGEST_PAUSE)
            continue
        if run is None:
            raise MlinfraError(
                Diagnostic(
                    f"run {name} is gone: somebody deleted it, or its time to be kept after its end was over",
                    remedy=f"See which there are: {stage.request.command('runs list')}",
                    code="run-gone",
                )
            )
        return run


def _troubles(stage: Stage, logs: Logs) -> Iterator[Note]:
    """Why there is no log, or not all of it."""
    if logs.trouble and stage.local:
        yield _warning(
            "there is no log: nothing is computed on the local target",
            detail="The scheduler places the run's pods as it would anywhere. KWOK plays the machines and says that "
            "the pods ran; no container is started.",
            code="run-simulated",
        )
    elif logs.trouble:
        yield Note(replace(logs.trouble.diagnostics[0], severity=Severity.WARNING))
    if logs.left_out:
        yield _warning(
            f"the run has more than {AT_ONCE} pods at the same time, and not all of their logs are followed",
            remedy="`kubectl logs POD` shows the log of any of them.",
            code="run-logs-left-out",
        )


def _warning(summary: str, *, detail: str = "", remedy: str = "", code: str) -> Note:
    return Note(Diagnostic(summary, detail, remedy, code=code, severity=Severity.WARNING))
