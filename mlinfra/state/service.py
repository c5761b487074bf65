"""The state service within the mlinfra process: store, protocol and front put together, and what the engine is told.

    with serve_state(project) as service:
        run_the_engine(environment=service.environment())

Where the state says the service is: a state names the address of the secrets manager that it is encrypted with, and a
service has another port in every run; several run at once, one in each mlinfra process. So the address is taken out of
what is stored and put into what is exported: a state always points at the service that it was asked of.

The engine keeps the token that it logs in with in a file, `credentials.json`, and reads it back from there. Where the
system has files in memory (Linux), that file is one: the token, good for this run alone, never reaches a disk.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import orjson

from mlinfra.project import Project
from mlinfra.state.context import Context, NoSecrets
from mlinfra.state.http import Front
from mlinfra.state.refused import RefusedError
from mlinfra.state.requests import Caller, Callers, Head
from mlinfra.state.routes import Admitted, admit
from mlinfra.state.states import ORGANIZATION, ServiceStates
from mlinfra.state.store import open_store

_CREDENTIALS: Final = "credentials.json"
_RUN: Final = "run-"


class Protocol:
    """The protocol over a store, for callers that are known; what the front calls."""

    def __init__(self, context: Context, callers: Callers) -> None:
        self.context = context
        self.callers = callers

    def admit(self, head: Head) -> Admitted:
        """Whether a request is to be answered, by its head alone; raises `RefusedError`."""
        return admit(self.callers, head)

    def answer(self, admitted: Admitted, body: bytes) -> bytes:
        """The reply to a whole request; raises `RefusedError`."""
        return admitted.answer(self.context, body)

    def refusal(self, refused: RefusedError) -> bytes:
        """A refusal as the engine reads it: `ErrorResponse` in its apitype."""
        return orjson.dumps({"code": refused.status, "message": refused.text})


class StateService:
    """A service that runs. `states` is the way to the same states from within this process."""

    def __init__(self, context: Context, states: ServiceStates, token: str, folder: Path) -> None:
        self._context = context
        self.states = states
        self._token = token
        self._folder = folder

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._context.url

    def environment(self) -> dict[str, str]:
        """What the engine needs in its environment to keep its states here."""
        return {
            "PULUMI_BACKEND_URL": self.url,
            "PULUMI_ACCESS_TOKEN": self._token,
            "PULUMI_CREDENTIALS_PATH": str(self._folder),
            "PULUMI_ENABLE_JOURNALING": "true",  # without it the whole state is sent at every step
        }


@contextmanager
def serve_state(
    project: Project, *, database: str | None = None, versions: int = 100, days: int = 90
) -> Iterator[StateService]:
    """Serve the project's states, on loopback, for as long as the block lasts.

    They are in SQLite under `.mlinfra/state/`, or in the Postgres database at the URL `database`; the key that they are
    encrypted with is in `.mlinfra/state/service.key`. When an update ends, versions of its stack beyond the newest
    `versions` go, and what is older than `days`. Raises `MlinfraError` when the database cannot be opened.
    """
    folder = project.folder("state")
    with ExitStack() as stack:
        store = open_store(folder, database)
        stack.callback(store.close)
        token = secrets.token_urlsafe(32)
        login = "mlinfra"
        caller = Caller(login, frozenset({ORGANIZATION}))
        context = Context(store, NoSecrets(), count=versions, seconds=days * 86400.0)
        states = ServiceStates(context)
        front = Front(Protocol(context, Callers({token: caller})))
        stack.callback(front.close)
        context.url = f"http://{front.host}:{front.port}"
        yield StateService(context, states, token, stack.enter_context(_credentials(folder)))


@contextmanager
def states_of(project: Project, *, database: str | None = None) -> Iterator[ServiceStates]:
    """The project's states without a service, for what needs no engine: to list, show, compare, restore, verify."""
    store = open_store(project.folder("state"), database)
    try:
        yield ServiceStates(Context(store, NoSecrets()))
    finally:
        store.close()


@contextmanager
def _credentials(folder: Path) -> Iterator[Path]:
    """A folder for the engine's credentials, gone after the run; those that killed runs left are removed too."""
    for left in folder.glob(f"{_RUN}*"):
        _remove_if_left(left)
    with tempfile.TemporaryDirectory(prefix=_RUN, dir=folder) as name:
        path = Path(name)
        if not hasattr(os, "memfd_create"):
            yield path
            return
        file = os.memfd_create(_CREDENTIALS)
        try:
            (path / _CREDENTIALS).symlink_to(f"/proc/{os.getpid()}/fd/{file}")
            yield path
        finally:
            os.close(file)


def _remove_if_left(folder: Path) -> None:
    """Remove a credentials folder whose file in memory went with its process."""
    file = folder / _CREDENTIALS
    if file.is_symlink() and not file.exists():
        with suppress(OSError):
            for item in folder.iterdir():
                item.unlink()
            folder.rmdir()
