"""`state restore`: make an older version of a stack's state the newest."""

from __future__ import annotations

from collections.abc import Callable

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.report import Step
from mlinfra.state.backend import SERVICE
from mlinfra.workflow.history import service, steps
from mlinfra.workflow.lock import stack_lock
from mlinfra.workflow.places import using_state
from mlinfra.workflow.request import Request

Confirm = Callable[[list[Step]], bool]
"""Asked with what differs between the newest version and the one that takes its place."""


def restore(request: Request, version: int, confirm: Confirm) -> int | None:
    """Restore a version as a new one; its number, None when `confirm` turned it down. No resource is touched.

    Raises `MlinfraError` when the version is not kept, another run has the stack, or the place keeps no versions.
    """
    stack = request.stack()
    if stack.file.state.backend != SERVICE:
        raise MlinfraError(
            Diagnostic(
                f"the state of stack {request.state_name} has no versions to go back to",
                detail=f"It is kept by {stack.file.state.backend}, of which the newest version alone can be had.",
                remedy=f"Move it to where versions are kept: {request.command('state move')} --to service",
                location=stack.place("state", "backend"),
                code="state-version",
            )
        )
    name = stack.blueprint, request.state_name
    with service(request, stack):  # a stack without a state is told of before anything is started
        pass
    with using_state(request, stack) as session, stack_lock(request, session, "state restore"):
        states = session.backend.states
        assert states is not None
        newest = states.versions(*name)[0].number
        if not confirm(steps(states.diff(*name, newest, version))):
            return None
        return states.restore(*name, version)
