"""`outputs`: what a stack's last update gave out, read from its state alone."""

from __future__ import annotations

import json
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.session import Session
from mlinfra.stack import Stack
from mlinfra.state.backend import Backend, using_backend
from mlinfra.tools.install import ensure
from mlinfra.workflow.request import Request


def outputs(request: Request, *, show_secrets: bool = False) -> dict[str, Any]:
    """The outputs of a stack, secrets redacted unless they are asked for.

    Raises `MlinfraError` when the stack has never been updated.
    """
    stack = request.stack()
    with using_backend(request.project, stack.file.state.backend, stack.file.state.secrets_provider) as backend:
        return _read(request, stack, backend, show_secrets)


def _read(request: Request, stack: Stack, backend: Backend, show_secrets: bool) -> dict[str, Any]:
    binary = ensure(["pulumi"], request.emit)["pulumi"]
    session = Session(
        request.project, stack.blueprint, request.state_name, backend, binary, {}, cloud=not backend.local
    )
    resources = session.export().get("resources") or []
    root = next((item for item in resources if item["type"] == "pulumi:pulumi:Stack"), None)
    if root is None:
        raise MlinfraError(
            Diagnostic(
                f"stack {request.state_name} has no outputs yet",
                detail="It has not been updated, or it was destroyed.",
                remedy=f"Run mlinfra up --stack {request.stack_name}.",
                code="no-outputs",
            )
        )
    if show_secrets:
        session.open()
        ended = session.run("stack", "output", "--json", "--show-secrets", "--stack", session.stack)
        if not ended.succeeded:
            raise MlinfraError(
                Diagnostic("the secrets cannot be read", detail=ended.output.strip(), code="outputs-secrets")
            )
        return dict(json.loads(ended.output))
    return dict(Redactor().data(root.get("outputs") or {}))
