"""`preview`: what an update would change, with nothing changed."""

from __future__ import annotations

from mlinfra.report import Report
from mlinfra.workflow.opening import opened
from mlinfra.workflow.request import Request


def preview(request: Request, *, refresh: bool = False) -> Report:
    """The plan of a stack; `refresh` looks at the real resources first. Data that would be lost is an error here."""
    with opened(request, "preview") as run:
        return run.report(run.plan(refresh=refresh))
