"""Whole states out of the engine and into it, in its own format: what `mlinfra state` shows and moves.

The secrets of a whole state that is moved are in the open in between, as each place encrypts them in another way. They
pass through pipes and the memory of two processes, never through a file.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.session import Session

_MANAGED = "secrets_providers"


def export_whole(session: Session, *, show_secrets: bool = False, version: int | None = None) -> dict[str, Any]:
    """A stack's whole state with its schema version: the newest, or `version` where the backend keeps older ones.

    Raises `MlinfraError` with what the engine says when there is none, or secrets cannot be opened.
    """
    arguments = ["--show-secrets"] if show_secrets else []
    arguments += [] if version is None else ["--version", str(version)]
    asked = session.ask("stack", "export", "--stack", session.stack, *arguments)
    if asked.returncode:
        raise _refused(f"the state of stack {session.stack} cannot be read", asked.stderr)
    return dict(json.loads(asked.stdout))


def import_whole(session: Session, whole: dict[str, Any]) -> None:
    """Make a state that was exported with its secrets shown a stack's own, secrets encrypted as its place does it.

    The stack must have been opened. Raises `MlinfraError` with what the engine says; then nothing is changed.
    """
    deployment = {**whole["deployment"], _MANAGED: _manager(session)}
    given = json.dumps({**whole, "deployment": deployment}).encode()
    asked = session.ask("stack", "import", "--stack", session.stack, given=given)
    if asked.returncode:
        raise _refused(f"the state of stack {session.stack} cannot be written to {session.backend.url}", asked.stderr)


def comparable(whole: dict[str, Any]) -> dict[str, Any]:
    """What must be equal in two places: all but who encrypts the secrets, and the moment at which it was written."""
    left = (_MANAGED, "manifest")
    deployment = {key: item for key, item in whole["deployment"].items() if key not in left and item}
    return {"features": sorted(whole.get("features") or []), "deployment": deployment}


def _manager(session: Session) -> dict[str, Any]:
    """The secrets manager of an opened stack as states name it: `secrets_providers` in the engine's apitype."""
    found = export_whole(session)["deployment"].get(_MANAGED)
    if found and session.backend.states is None:
        return dict(found)  # the engine's own backends have it in a stack from its beginning
    settings = yaml.safe_load(session.settings.read_text()) or {}
    if provider := settings.get("secretsprovider"):
        return {"type": "cloud", "state": {"url": provider, "encryptedkey": settings.get("encryptedkey", "")}}
    from mlinfra.state.states import ORGANIZATION

    where = {"owner": ORGANIZATION, "project": session.project_name, "stack": session.stack}
    return {"type": "service", "state": {"url": session.backend.url, **where}}


def _refused(summary: str, told: bytes) -> MlinfraError:
    text = told.decode(errors="replace").strip()
    return MlinfraError(Diagnostic(summary, detail=text, code="state-transfer"), debug=text)
