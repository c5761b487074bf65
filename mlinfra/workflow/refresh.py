"""`refresh`: read every resource as it really is, and note it in the state."""

from __future__ import annotations

from mlinfra.engine.verb import Verb
from mlinfra.report import Report
from mlinfra.workflow.opening import opened
from mlinfra.workflow.request import Request


def refresh(request: Request) -> Report:
    """Refresh a stack's state; the report's steps are the differences found. Nothing on the target is changed."""
    with opened(request, "refresh") as run:
        return run.finish(run.engine(Verb.REFRESH), "refresh")
