"""Updates in the store: begun, journalled, finished. One at a time has a stack.

What the engine relies on: it waits for the reply to a journal entry before it touches the resource, and again before
it counts the step as done. So every entry is committed before it is answered, and an update that dies at any moment
leaves a journal that says all there is to know: whoever comes next folds it into the stack's state.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, insert, select, update

from mlinfra.state import deployments, holds
from mlinfra.state.deployments import Untyped
from mlinfra.state.entries import Json, ReplayError
from mlinfra.state.owner import Owner, this_process
from mlinfra.state.refused import RefusedError
from mlinfra.state.replay import replay
from mlinfra.state.stacks import Name, StackRow
from mlinfra.state.store import Transaction
from mlinfra.state.tables import ENTRIES, EVENTS, STACKS, UPDATES

LEASE_SECONDS: Final = 300.0
"""For how long an update has the stack unless it renews; the engine takes this for granted and renews at the half."""

RUNNING: Final = "running"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
_NOT_STARTED: Final = "not started"
_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the engine says of an update when it asks for one."""

    kind: str
    dry: bool
    author: str
    engine: str = ""
    message: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Update:
    """An update as it is stored."""

    id: str
    stack: int
    kind: str
    dry: bool
    status: str
    version: int
    base: int
    author: str
    owner: Owner
    token: bytes | None
    expires: float
    started: float
    ended: float | None
    engine: str
    changes: Mapping[str, int]
    details: Mapping[str, Any]

    def is_dead(self, now: float) -> bool:
        """Whether it runs no more though nobody ended it: its process is gone, or it did not renew its lease."""
        return self.status == RUNNING and (self.owner.has_ended() or self.expires < now)


@dataclass(frozen=True, slots=True)
class Leased:
    """What is looked up of an update whenever its engine calls, which is all the time."""

    id: str
    stack: int
    dry: bool
    status: str


_LEASED: Final = (
    select(
        UPDATES.c.stack,
        UPDATES.c.dry,
        UPDATES.c.status,
        UPDATES.c.token,
        STACKS.c.organization,
        STACKS.c.project,
        STACKS.c.name,
    )
    .join(STACKS, STACKS.c.id == UPDATES.c.stack)
    .where(UPDATES.c.id == bindparam("identity"))
)


def create(tx: Transaction, stack: StackRow, asked: Asked) -> str:
    """Note an update that is about to start; its id."""
    identity = secrets.token_hex(16)
    details = {"message": asked.message, "environment": dict(asked.environment), "config": dict(asked.config)}
    _insert(tx, identity, stack, asked, details, status=_NOT_STARTED, version=stack.version, base=stack.version)
    return identity


def find(tx: Transaction, stack: StackRow, identity: str) -> Update:
    """An update of a stack; raises `RefusedError` when it has none of this id."""
    row = tx.first(select(UPDATES).where(UPDATES.c.id == identity, UPDATES.c.stack == stack.id))
    if row is None:
        raise RefusedError(404, "there is no such update")
    return _read(tx, row)


def by_id(tx: Transaction, identity: str) -> Update:
    """An update that is known to be there."""
    return _read(tx, tx.connection.execute(select(UPDATES).where(UPDATES.c.id == identity)).one())


def leased(tx: Transaction, name: Name, identity: str, token: str, *, running: bool = True) -> Leased:
    """The update of a stack that a lease's token belongs to. Raises `RefusedError` with 403: the engine stops at it.

    A lease that ran out still holds while nobody took the stack over, who would have taken its token away.
    """
    row = tx.connection.execute(_LEASED, {"identity": identity}).first()
    held = row is not None and row.token is not None and hmac.compare_digest(row.token, _digest(token))
    if row is None or not held or (running and row.status != RUNNING):
        raise RefusedError(403, "the update does not have the stack: it was cancelled, completed or taken over")
    if Name(row.organization, row.project, row.name) != name:
        raise RefusedError(403, "the update does not have this stack")
    return Leased(identity, row.stack, row.dry, row.status)


def start(tx: Transaction, stack: StackRow, found: Update) -> tuple[int, str, float]:
    """Give an update the stack: its version, its lease's token, and when the lease runs out.

    A preview gets a token and leaves the stack to others. Raises `RefusedError` with 409 when somebody has the stack.
    """
    if found.status != _NOT_STARTED:
        raise RefusedError(409, "the update was started before")
    token, expires, version = secrets.token_urlsafe(32), tx.now + LEASE_SECONDS, stack.version
    if not found.dry:
        free(tx, stack)
        version += 1
        tx.run(update(STACKS).where(STACKS.c.id == stack.id).values(active=found.id, version=version))
    values = {"status": RUNNING, "version": version, "base": stack.version, "started": tx.now}
    tx.run(update(UPDATES).where(UPDATES.c.id == found.id).values(**values, token=_digest(token), expires=expires))
    return version, token, expires


def free(tx: Transaction, stack: StackRow) -> Update | None:
    """See that nobody has the stack; the dead update that had it, now finished, if one did.

    Raises `RefusedError` with 409 that says who has it.
    """
    holds.refuse_others(tx, stack.id)
    if stack.active is None:
        return None
    found = find(tx, stack, stack.active)
    if not found.is_dead(tx.now):
        raise RefusedError(409, f"Another update is currently in progress: {described(found)}.")
    finish(tx, found, FAILED)
    return found


def described(found: Update) -> str:
    """Who runs an update, what it does and since when."""
    since = datetime.fromtimestamp(found.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{found.kind} of {found.owner}, since {since}"


def renew(tx: Transaction, found: Leased, seconds: float) -> float:
    """Hold on to the stack for longer; when the lease runs out now."""
    expires = tx.now + min(seconds, LEASE_SECONDS)
    tx.run(update(UPDATES).where(UPDATES.c.id == found.id).values(expires=expires))
    return expires


def finish(tx: Transaction, found: Update, status: str, *, keep_token: bool = False) -> None:
    """End an update: its journal becomes the stack's state, the stack is free. All of it in one transaction.

    `keep_token` lets the engine end it a second time, when the first reply was lost. Raises `RefusedError` when the
    journal cannot be replayed; then nothing is changed.
    """
    if not found.dry:
        whole = folded(tx, found)
        if whole is not None:
            deployments.save(tx, found.stack, found.version, whole)
        forget_journal(tx, found.id)
        tx.run(update(STACKS).where(STACKS.c.id == found.stack, STACKS.c.active == found.id).values(active=None))
    token = found.token if keep_token else None
    tx.run(update(UPDATES).where(UPDATES.c.id == found.id).values(status=status, ended=tx.now, token=token))


def folded(tx: Transaction, found: Update) -> Untyped | None:
    """What an update's base and its journal so far come to; None while the journal is empty. Raises `RefusedError`."""
    entries = journal(tx, found)
    if not entries:
        return None
    base = deployments.load(tx, found.stack, found.base)
    moment = datetime.fromtimestamp(tx.now, UTC).isoformat().replace("+00:00", "Z")
    try:
        result = replay(base.deployment if base else None, entries, found.engine, moment)
    except ReplayError as error:
        raise RefusedError(400, f"the journal of update {found.version} cannot be replayed: {error}") from None
    return Untyped(result.version, tuple(result.features), result.deployment)


def journal(tx: Transaction, found: Update) -> list[Json]:
    """The entries of an update, in the order that they came in."""
    rows = tx.all(select(ENTRIES).where(ENTRIES.c.update == found.id).order_by(ENTRIES.c.first))
    return [entry for row in rows for entry in tx.unseal(row.sealed, f"entries/{found.id}/{row.first}")]


def append(tx: Transaction, found: Leased, entries: Sequence[Json]) -> None:
    """Add a batch of entries to an update's journal; one that is there already, sent again, stays as it is."""
    first = min(entry["sequenceID"] for entry in entries)
    tx.add(ENTRIES, [{"update": found.id, "first": first, "sealed": tx.seal(entries, f"entries/{found.id}/{first}")}])


def forget_journal(tx: Transaction, identity: str) -> None:
    """Drop the journal of an update."""
    tx.run(delete(ENTRIES).where(ENTRIES.c.update == identity))


def tell(tx: Transaction, found: Leased, first: int, events: Sequence[Json], changes: Json | None) -> None:
    """Keep a batch of events; `changes` is the summary's counts when the batch has it."""
    tx.add(EVENTS, [{"update": found.id, "first": first, "sealed": tx.seal(events, f"events/{found.id}/{first}")}])
    if changes is not None:
        sealed = tx.seal(changes, f"changes/{found.id}")
        tx.run(update(UPDATES).where(UPDATES.c.id == found.id).values(changes=sealed))


def told(tx: Transaction, found: Update) -> list[Json]:
    """Every event of an update."""
    rows = tx.all(select(EVENTS).where(EVENTS.c.update == found.id).order_by(EVENTS.c.first))
    return [event for row in rows for event in tx.unseal(row.sealed, f"events/{found.id}/{row.first}")]


def replace(tx: Transaction, stack: StackRow, whole: Untyped, asked: Asked) -> tuple[str, int]:
    """Give a stack another state from outside, as a version of its own: the update's id and the version."""
    version, identity = stack.version + 1, secrets.token_hex(16)
    deployments.save(tx, stack.id, version, whole)
    tx.run(update(STACKS).where(STACKS.c.id == stack.id).values(version=version))
    details = {"message": asked.message, "environment": {}, "config": {}}
    _insert(tx, identity, stack, asked, details, status=SUCCEEDED, version=version, base=stack.version, ended=tx.now)
    return identity, version


def history(tx: Transaction, stack: StackRow, limit: int, offset: int = 0) -> list[Update]:
    """The updates that were started, newest first, without previews."""
    started = (UPDATES.c.stack == stack.id, ~UPDATES.c.dry, UPDATES.c.status != _NOT_STARTED)
    newest = select(UPDATES).where(*started).order_by(UPDATES.c.version.desc()).limit(limit).offset(offset)
    return [_read(tx, row) for row in tx.all(newest)]


def of_version(tx: Transaction, stack: StackRow, version: int) -> Update:
    """The update that led to a version; raises `RefusedError` when there was none."""
    is_it = (UPDATES.c.stack == stack.id, ~UPDATES.c.dry, UPDATES.c.version == version)
    row = tx.first(select(UPDATES).where(*is_it, UPDATES.c.status != _NOT_STARTED))
    if row is None:
        raise RefusedError(404, f"there is no version {version}")
    return _read(tx, row)


def prune(tx: Transaction, stack: int, seconds: float) -> int:
    """Drop the records of updates that ended longer ago than `seconds`, and their events; how many there were.

    Previews, and updates that never started, are nobody's history: they go after a day.
    """
    passing = (UPDATES.c.dry | (UPDATES.c.status == _NOT_STARTED)) & (UPDATES.c.started < tx.now - _DAY)
    outdated = (UPDATES.c.ended < tx.now - seconds) | passing
    return tx.run(delete(UPDATES).where(UPDATES.c.stack == stack, outdated))


def _insert(tx: Transaction, identity: str, stack: StackRow, asked: Asked, details: Json, **columns: Any) -> None:
    row = {
        "id": identity,
        "stack": stack.id,
        "kind": asked.kind,
        "dry": asked.dry,
        "author": asked.author,
        "owner": tx.seal(this_process().as_json(), f"owner/{identity}"),
        "started": tx.now,
        "engine": asked.engine,
        "sealed": tx.seal(details, f"updates/{identity}"),
    }
    tx.run(insert(UPDATES).values(**row, **columns))


def _read(tx: Transaction, row: Row[Any]) -> Update:
    values = dict(row._mapping)
    sealed, changes = values.pop("sealed"), values.pop("changes")
    values["owner"] = Owner(**tx.unseal(values["owner"], f"owner/{row.id}"))
    values["expires"] = values["expires"] or 0.0
    return Update(
        **values,
        changes={} if changes is None else tx.unseal(changes, f"changes/{row.id}"),
        details=tx.unseal(sealed, f"updates/{row.id}"),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
