"""`outputs`: what a stack's last update gave out, read from its state alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.session import ORIGIN, STACK_TYPE, Session, moved_away
from mlinfra.workflow.places import using_state
from mlinfra.workflow.request import Request


def outputs(request: Request, *, show_secrets: bool = False) -> dict[str, Any]:
    """The outputs of a stack, secrets redacted unless they are asked for.

    Raises `MlinfraError` when the stack has never been updated.
    """
    stack = request.stack()
    with using_state(request, stack) as session:
        return _read(request, session, show_secrets)


def root_of(resources: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The stack's own resource in its state, which holds the outputs; None where the stack was never updated."""
    return next((item for item in resources if item["type"] == STACK_TYPE), None)


def _read(request: Request, session: Session, show_secrets: bool) -> dict[str, Any]:
    if place := session.moved_to():
        raise moved_away(request.state_name, place)
    resources = session.export().get("resources") or []
    root = root_of(resources)
    if root is None:
        raise MlinfraError(
            Diagnostic(
                f"stack {request.state_name} has no outputs yet",
                detail="It has not been updated, or it was destroyed.",
                remedy=f"Run {request.command('up')}.",
                code="no-outputs",
            )
        )
    if show_secrets:
        session.open()
        asked = session.ask("stack", "output", "--json", "--show-secrets", "--stack", session.stack)
        if asked.returncode:
            told = asked.stderr.decode(errors="replace").strip()
            raise MlinfraError(Diagnostic("the secrets cannot be read", detail=told, code="outputs-secrets"))
        found = dict(json.loads(asked.stdout))
    else:
        found = dict(Redactor().data(root.get("outputs") or {}))
    found.pop(ORIGIN, None)
    return found
