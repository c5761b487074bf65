"""After a run that was cut off: its lock is given back and its unfinished operations are taken out of the state.

Only for states on this machine, where our own lock on the stack proves that the run is over.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.engine.session import Session


def repair(session: Session) -> tuple[list[Diagnostic], frozenset[str]]:
    """Repair the stack's state: what was found, and the URNs of resources whose creation was cut off.

    What was made of those is unknown: it is for the providers to look, and to take over what is there.
    """
    if not session.backend.local:
        return [], frozenset()
    told: list[Diagnostic] = session.settle()
    for lock in _locks(session):
        lock.unlink(missing_ok=True)
        told.append(_warning("a run before this one was cut off: its lock on the state is taken back"))
    if _restore(session):
        told.append(_warning("a run before this one was killed while it wrote the state: the copy before it is taken"))
    state = session.export()
    if pending := state.get("pending_operations"):
        _forget(session, state)
        names = ", ".join(sorted(item["resource"]["urn"].rpartition("::")[2] for item in pending))
        told.append(
            _warning(
                f"a run before this one was cut off in the middle of {len(pending)} operations: {names}",
                "They are done again; what had been made already is taken over.",
            )
        )
    unfinished = (item["resource"]["urn"] for item in pending or () if item["type"] == "creating")
    return told, frozenset(unfinished)


def _restore(session: Session) -> bool:
    """Put the copy that the engine keeps of the state before each write in the place of one that was cut off."""
    path = session.state_file
    try:
        whole = not path.exists() or bool(json.loads(path.read_bytes()))
    except ValueError:
        whole = False
    copy = path.with_name(f"{path.name}.bak")
    if whole or not copy.exists():
        return False
    copy.replace(path)
    return True


def _locks(session: Session) -> list[Path]:
    if session.backend.states is not None:
        return []
    base = Path(session.backend.url.removeprefix("file://")) / ".pulumi" / "locks"
    return sorted(base.glob(f"*/{session.project_name}/{session.stack}/*.json"))


def _forget(session: Session, state: dict[str, Any]) -> None:
    if session.backend.states is not None:
        session.backend.states.forget_pending(session.project_name, session.stack)
        return
    whole = {"version": 3, "deployment": {key: item for key, item in state.items() if key != "pending_operations"}}
    path = session.folder / f"repair-{session.stack}.json"
    path.write_text(json.dumps(whole))
    try:
        ended = session.run("stack", "import", "--stack", session.stack, "--file", str(path))
    finally:
        path.unlink()
    if not ended.succeeded:
        raise MlinfraError(
            Diagnostic(
                f"the state of stack {session.stack} cannot be repaired",
                detail=ended.output.strip(),
                remedy="See the state with `pulumi stack export`; a copy of each older state is beside it.",
                code="state-repair",
            )
        )


def _warning(summary: str, detail: str = "") -> Diagnostic:
    return Diagnostic(summary, detail=detail, code="repaired", severity=Severity.WARNING)
