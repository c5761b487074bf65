"""`up`: make the target what the blueprint says."""

from __future__ import annotations

from collections.abc import Callable

from mlinfra.engine.verb import Verb
from mlinfra.report import Report
from mlinfra.workflow.opening import opened
from mlinfra.workflow.request import Request

Confirm = Callable[[Report], bool]


def up(request: Request, confirm: Confirm | None = None, *, refresh: bool = False) -> Report | None:
    """Update a stack. With `confirm` the plan is shown first and None returned when it is turned down.

    A run that could lose data is planned in any case. Raises `MlinfraError` when it would lose what the stack does not
    give up by name: before anything is changed.
    """
    with opened(request, "up") as run:
        if confirm is not None or run.needs_plan(refresh=refresh):
            plan = run.plan(refresh=refresh)
            report = run.report(plan, "up")
            if not plan.succeeded:
                return report
            if confirm is not None and report.changes and not confirm(report):
                return None
            changes = bool(report.changes)
        else:
            run.warn()
            changes = not run.is_applied
        return run.finish(run.engine(Verb.UP, refresh=refresh, expects_changes=changes), "up")
