"""`preview`: what an update would change, with nothing changed."""

from __future__ import annotations

from mlinfra.engine.run import Verb
from mlinfra.report import Report
from mlinfra.workflow.request import Request
from mlinfra.workflow.run import opened, refuse_protected


def preview(request: Request, *, refresh: bool = False) -> Report:
    """The plan of a stack; `refresh` looks at the real resources first. Protected losses are errors already here."""
    with opened(request, "preview") as run:
        outcome = run.engine(Verb.PREVIEW, refresh=refresh)
        refuse_protected(run, outcome)
        return run.report(outcome)
