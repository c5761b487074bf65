"""After a run that was cut off: its lock is given back, and what it was in the middle of is taken out of the state.

Only for states on this machine, where our own lock on the stack proves that the run is over. What became of the
operations that were cut off is unknown: creates are for the providers to look for, updates and deletions to be read
anew. Until a run has done so they are kept in a file beside the engine's settings, so that neither a preview nor
another kill forgets them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.engine.session import Session
from mlinfra.naming import name_of


@dataclass(frozen=True)
class Repaired:
    """What runs that were cut off have left.

    `told` says what was found. `unfinished` has the URNs of resources whose creation was cut off, each with the ids
    that the state knows for it: whatever else is there of it was made by that creation. `stale` says that the state may
    be wrong about resources that were being changed or deleted, until they are read.
    """

    told: tuple[Diagnostic, ...] = ()
    unfinished: Mapping[str, frozenset[str]] = field(default_factory=dict)
    stale: bool = False


def repair(session: Session) -> Repaired:
    """Repair the stack's state; to be called by whoever holds the stack, before the engine runs on it."""
    if not session.backend.local:
        session.running.forget_left_over()
        return Repaired()
    told: list[Diagnostic] = session.settle()
    for lock in _locks(session):
        lock.unlink(missing_ok=True)
        told.append(_warning("a run before this one was cut off: its lock on the state is taken back"))
    if _restore(session):
        told.append(_warning("a run before this one was killed while it wrote the state: the copy before it is taken"))
    state = session.export()
    left = _left(session, state)
    _remember(session, left)  # first: the state's own list is the only other place that has it
    if state.get("pending_operations"):
        _forget(session, state)
    session.begun.clear()
    session.running.forget_left_over()
    if left.operations:
        names = ", ".join(sorted(name_of(urn) for urn in left.operations))
        told.append(
            _warning(
                f"a run before this one was cut off in the middle of {len(left.operations)} operations: {names}",
                "What had been made already is taken over; what was being changed or deleted is read anew.",
            )
        )
    unfinished = {urn: frozenset(_ids(state).get(urn, ())) for urn in left.creates}
    return Repaired(tuple(told), unfinished, stale=bool(left.unread or left.killed))


def resolved(session: Session, unfinished: Collection[str]) -> None:
    """Forget what was cut off: every resource was read. Creates in `unfinished` are still for a run to look for."""
    _remember(session, _Left(frozenset(unfinished)))


def interrupted(session: Session) -> None:
    """Note that the providers were lost in the middle of a run: what was being changed or deleted is to be read anew.

    The engine takes the loss for a refusal, and strikes what it was in the middle of out of the state.
    """
    if session.backend.local:
        _remember(session, replace(_recall(session), killed=True))


@dataclass(frozen=True)
class _Left:
    """What is kept from run to run: URNs of creates, of updates and deletions, and whether the providers were killed.

    After that, which a kill of mlinfra is too, an engine may have struck out what it was in the middle of.
    """

    creates: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    killed: bool = False

    @property
    def operations(self) -> frozenset[str]:
        return self.creates | self.unread


def _left(session: Session, state: Mapping[str, Any]) -> _Left:
    before, pending = _recall(session), state.get("pending_operations") or []
    # A component is nothing but an entry in the state, so that a second one cannot be made.
    made = [item["resource"] for item in pending if item["type"] == "creating"]
    creates = {resource["urn"] for resource in made if resource.get("custom", True)}
    unread = {item["resource"]["urn"] for item in pending if item["type"] in ("updating", "deleting")}
    killed = session.backend.states is None and bool(session.running.left_over())
    begun = session.begun.unfinished(_ids(state))
    return _Left(before.creates | creates | begun, before.unread | unread, before.killed or killed)


def _ids(state: Mapping[str, Any]) -> dict[str, set[str]]:
    """The ids that the state has for each URN, without those of resources that were deleted to be made anew."""
    found: dict[str, set[str]] = {}
    for item in state.get("resources") or []:
        if item.get("id") and not item.get("pendingReplacement"):
            found.setdefault(item["urn"], set()).add(item["id"])
    return found


def _recall(session: Session) -> _Left:
    path = session.cut_off
    if not path.exists():
        return _Left()
    noted = json.loads(path.read_bytes())
    return _Left(frozenset(noted["creates"]), frozenset(noted["unread"]), noted["killed"])


def _remember(session: Session, left: _Left) -> None:
    path = session.cut_off
    if left == _Left():
        path.unlink(missing_ok=True)
        return
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"creates": sorted(left.creates), "unread": sorted(left.unread), "killed": left.killed}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _restore(session: Session) -> bool:
    """Put the copy that the engine keeps of the state before each write in the place of one that was cut off."""
    if session.backend.states is not None:
        return False
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
