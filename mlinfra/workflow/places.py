"""The places that a stack's state may be in: opened, and seen to be the one that the stack is meant to use.

A place is what `state.backend` names: `service`, `files`, or the URL of one of Pulumi's backends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.session import Session, moved_away
from mlinfra.stack import Stack
from mlinfra.state.backend import FILES, SERVICE, Backend, using_backend
from mlinfra.tools.install import ensure
from mlinfra.workflow.request import Request

NEAR = (FILES, SERVICE)
"""The places that are within the project: neither an engine nor a network is needed to read a state there."""

DATABASE = "state.db"
"""The state service's database, in the project's folder of states."""


@contextmanager
def using_state(
    request: Request,
    stack: Stack,
    *,
    place: str | None = None,
    secrets_provider: str | None = None,
    workspace: str = "",
    binary: Path | None = None,
) -> Iterator[Session]:
    """The stack's state at a place, by default where its file says, for as long as the block lasts.

    The session has no providers yet. `workspace` keeps the engine's settings for a place apart from those of the place
    that the stack file names. Raises `MlinfraError` when the place cannot be reached.
    """
    state = stack.file.state
    backend = using_backend(
        request.project,
        place or state.backend,
        secrets_provider or state.secrets_provider,
        versions=state.keep.versions,
        days=state.keep.days,
    )
    with backend as opened:
        program = binary or ensure(["pulumi"], request.emit)["pulumi"]
        name = request.state_name
        # A key of a cloud is asked for with the user's credentials, wherever the state is.
        cloud = not opened.local or "://" in opened.secrets_provider
        session = Session(request.project, stack.blueprint, name, opened, program, {}, cloud=cloud, workspace=workspace)
        session.prepare()
        yield session


def refuse_elsewhere(request: Request, stack: Stack, session: Session) -> None:
    """Raise `MlinfraError` for a stack whose state is not where its file says: what is there would be made again.

    To be called by whoever holds the stack. Only the two places within the project are looked at, and the place that
    is named only where one of them has something.
    """
    named = stack.file.state.backend
    if session.backend.local and (place := session.moved_to()):
        raise moved_away(request.state_name, place)
    for place in NEAR:
        if place != named and _holds(request, stack, place) and not session.resources():
            raise MlinfraError(
                Diagnostic(
                    f"the state of stack {request.state_name} is in {place}, and the stack file names {named}",
                    detail="A run without that state would make everything a second time.",
                    remedy=f"Move it: {request.command('state move')} --from {place} --to {named}\n"
                    f"Or let the stack file name where it is: `state: {{backend: {place}}}`",
                    location=stack.place("state", "backend"),
                    code="state-elsewhere",
                )
            )


def states_folder(request: Request) -> Path:
    """The folder of the states within the project; it need not be there."""
    return request.project.home / "state"


@contextmanager
def near_state(request: Request, stack: Stack, place: str) -> Iterator[Session | None]:
    """A stack's state in one of the places within the project (`NEAR`), to read from; None where there is none.

    Neither an engine nor a network is needed, nothing is made by looking, and nothing is locked.
    """
    folder = states_folder(request)

    def session(backend: Backend) -> Session:
        return Session(request.project, stack.blueprint, request.state_name, backend, Path("pulumi"), {})

    if place == FILES:
        yield session(Backend(f"file://{folder}", "passphrase", local=True))
    elif not (folder / DATABASE).exists():
        yield None
    else:
        from mlinfra.state.service import states_of

        with states_of(request.project) as states:
            yield session(Backend("", "default", local=True, states=states))


def reading_state(request: Request, stack: Stack) -> AbstractContextManager[Session | None]:
    """A stack's state to read from, where its file says that it is: as `near_state`, or else as `using_state`."""
    place = stack.file.state.backend
    return near_state(request, stack, place) if place in NEAR else using_state(request, stack)


def _holds(request: Request, stack: Stack, place: str) -> bool:
    """Whether a place within the project has resources of a stack."""
    with near_state(request, stack, place) as there:
        return there is not None and bool(there.resources()) and not there.moved_to()
