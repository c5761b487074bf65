"""`up`: make the target what the blueprint says."""

from __future__ import annotations

from collections.abc import Callable

from mlinfra.engine.run import Verb
from mlinfra.report import Report
from mlinfra.workflow.request import Request
from mlinfra.workflow.run import has_protected, opened, refuse_protected

Confirm = Callable[[Report], bool]


def up(request: Request, confirm: Confirm | None = None, *, refresh: bool = False) -> Report | None:
    """Update a stack. With `confirm` the plan is shown first and None returned when it is turned down.

    A stack that protects something is planned first in any case, so that a run that would lose it changes nothing.
    """
    with opened(request, "up") as run:
        if confirm is not None or has_protected(run):
            plan = run.engine(Verb.PREVIEW, refresh=refresh)
            refuse_protected(run, plan)
            report = run.report(plan, "up")
            if not plan.succeeded:
                return report
            if confirm is not None and report.changes and not confirm(report):
                return None
        return run.finish(run.engine(Verb.UP, refresh=refresh), "up")
