"""The seam between the engine and the states: a URL, and the environment that the engine needs to use it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.project import Project

if TYPE_CHECKING:
    from mlinfra.state.states import ServiceStates

SERVICE = "service"
"""The state service within this process: `mlinfra.state.service`."""

FILES = "files"
"""The engine's own files under `.mlinfra/state/`."""

PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 — the name of a variable
PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105


@dataclass(frozen=True)
class Backend:
    """How the engine reaches a stack's state.

    `local` says that the state is under the project's `.mlinfra/`, so that nobody on another machine can hold it.
    `secrets_provider` is what a new stack's secrets are encrypted with. `states` is the way to the states from within
    this process, where there is one: the state service's.
    """

    url: str
    secrets_provider: str
    local: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    states: ServiceStates | None = None


@contextmanager
def using_backend(
    project: Project, url: str, secrets_provider: str, *, versions: int = 100, days: int = 90
) -> Iterator[Backend]:
    """The backend that a stack file names, for as long as the block lasts: `service` is served meanwhile.

    `versions` and `days` are how much of a stack's past the service keeps. Other backends keep what they keep.
    Raises `MlinfraError` as `open_backend` does, and when the service's database cannot be opened.
    """
    if url != SERVICE:
        yield open_backend(project, url, secrets_provider)
        return
    from mlinfra.state.service import serve_state

    # The service encrypts by itself; a passphrase is what the engine's own backends need one for.
    provider = "default" if secrets_provider == "passphrase" else secrets_provider
    with serve_state(project, versions=versions, days=days) as service:
        yield Backend(service.url, provider, local=True, environment=service.environment(), states=service.states)


def open_backend(project: Project, url: str, secrets_provider: str) -> Backend:
    """The backend that a stack file names.

    `files` keeps states in files under `.mlinfra/state/`; the passphrase of their secrets is one made for this project.
    Any other URL is one of Pulumi's backends; its passphrase comes from the environment. Raises `MlinfraError` when
    that is missing.
    """
    if url == FILES:
        folder = project.folder("state")
        environment = {PASSPHRASE_FILE: str(_key(folder))}
        return Backend(f"file://{folder}", secrets_provider, local=True, environment=environment)
    environment = {key: os.environ[key] for key in (PASSPHRASE, PASSPHRASE_FILE) if key in os.environ}
    if secrets_provider == "passphrase" and not environment:
        raise MlinfraError(
            Diagnostic(
                "the passphrase of the state is not set",
                detail=f"The stack keeps its state at {url}, with secrets encrypted by a passphrase.",
                remedy=f"Set {PASSPHRASE} or {PASSPHRASE_FILE}, or name a key: `secrets_provider: awskms://…`.",
                code="state-passphrase",
            )
        )
    return Backend(url, secrets_provider, local=False, environment=environment)


def _key(folder: Path) -> Path:
    """The file that holds the project's own passphrase; made once, readable by its owner alone."""
    path = folder / "key"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path
