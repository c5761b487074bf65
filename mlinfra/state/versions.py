"""Every state that a stack has been in: listed, shown, made ready to be compared, restored, verified."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from mlinfra.state import deployments, holds, updates
from mlinfra.state.compare import with_secrets
from mlinfra.state.deployments import Untyped
from mlinfra.state.entries import Json, ReplayError
from mlinfra.state.keys import UnreadableError
from mlinfra.state.refused import RefusedError
from mlinfra.state.replay import replay
from mlinfra.state.stacks import StackRow
from mlinfra.state.store import Store, Transaction
from mlinfra.state.tables import DEPLOYMENTS, ENTRIES, EVENTS, STACKS, UPDATES
from mlinfra.state.updates import Asked


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a stack: the update that led to it, and what there was after it.

    Times are seconds since the epoch. `kind` is update, refresh, destroy, import or rename.
    """

    number: int
    made: float
    kind: str
    status: str
    author: str
    host: str
    resources: int
    changes: Mapping[str, int]
    message: str


def listed(tx: Transaction, stack: StackRow) -> list[Version]:
    """The versions that are kept, newest first."""
    columns = (DEPLOYMENTS.c.version, DEPLOYMENTS.c.made, DEPLOYMENTS.c.resources)
    rows = tx.all(select(*columns).where(DEPLOYMENTS.c.stack == stack.id).order_by(DEPLOYMENTS.c.version.desc()))
    led = {item.version: item for item in updates.history(tx, stack, limit=100_000)}
    found = []
    for row in rows:
        item = led.get(row.version)
        found.append(
            Version(
                number=row.version,
                made=row.made,
                kind=item.kind if item else "",
                status=item.status if item else "",
                author=item.owner.user if item else "",
                host=item.owner.host if item else "",
                resources=row.resources,
                changes=item.changes if item else {},
                message=str(item.details["message"]) if item else "",
            )
        )
    return found


def shown(tx: Transaction, stack: StackRow, version: int) -> Untyped:
    """The state of a version; raises `RefusedError` when it is not kept."""
    found = deployments.load_exactly(tx, stack.id, version)
    if found is None:
        raise RefusedError(404, f"stack {stack.name.stack} has no version {version}, or it is no longer kept")
    return found


def readable(tx: Transaction, stack: StackRow, version: int) -> Json:
    """The deployment of a version for a comparison: what its secrets are, as digests that mean nothing elsewhere.

    The service encrypts the same text to another ciphertext each time.
    """
    whole = shown(tx, stack, version).deployment
    if (whole.get("secrets_providers") or {}).get("type") != deployments.SERVICE:
        return whole

    def known(ciphertext: str) -> str:
        try:
            return tx.keys.digest(tx.keys.decrypt(base64.b64decode(ciphertext), stack.id))
        except (UnreadableError, ValueError):
            return ciphertext

    return dict(with_secrets(whole, known))


def restore(tx: Transaction, stack: StackRow, version: int) -> int:
    """Make a version the newest one again; its new number."""
    whole = shown(tx, stack, version)
    holds.refuse_others(tx, stack.id)
    if stack.active is not None:
        running = updates.find(tx, stack, stack.active)
        if not running.is_dead(tx.now) and not running.owner.is_me():
            raise RefusedError(409, f"Another update is currently in progress: {running.kind} of {running.owner}.")
        try:
            updates.finish(tx, running, updates.FAILED)
        except RefusedError:  # its journal is what the version is restored for
            updates.forget_journal(tx, running.id)
            updates.finish(tx, running, updates.FAILED)
    asked = Asked("import", dry=False, author="mlinfra", message=f"version {version} restored")
    return updates.replace(tx, stack, whole, asked)[1]


def unreadable(store: Store) -> list[str]:
    """Every sealed thing that does not open, and every deployment that the engine could not load."""
    problems: list[str] = []
    # Which tables hold what, by what each row is sealed for.
    with store.transaction() as tx:
        sealed: list[tuple[str, bytes]] = []
        for row in tx.all(select(STACKS.c.id, STACKS.c.tags)):
            sealed.append((f"tags/{row.id}", row.tags))
        for row in tx.all(select(UPDATES.c.id, UPDATES.c.sealed, UPDATES.c.owner, UPDATES.c.changes)):
            sealed += [(f"updates/{row.id}", row.sealed), (f"owner/{row.id}", row.owner)]
            sealed += [(f"changes/{row.id}", row.changes)] if row.changes is not None else []
        whole = select(DEPLOYMENTS.c.stack, DEPLOYMENTS.c.version, DEPLOYMENTS.c.sealed)
        for stack, version, data in tx.connection.execute(whole):
            kept = _try(tx, f"deployments/{stack}/{version}", data, problems)
            problems += [] if kept is None else unsound(kept["deployment"], f"version {version} of stack {stack}")
        for table, kind in ((ENTRIES, "entries"), (EVENTS, "events")):
            for identity, first, data in tx.connection.execute(select(table.c.update, table.c.first, table.c.sealed)):
                _try(tx, f"{kind}/{identity}/{first}", data, problems)
        for place, data in sealed:
            _try(tx, place, data, problems)
    return problems


def unsound(deployment: Json, what: str) -> list[str]:
    """Why the engine could not load a deployment; nothing when it could."""
    try:
        replay(deployment, ())
    except ReplayError as error:
        return [f"{what} is not sound: {error}"]
    return []


def _try(tx: Transaction, place: str, sealed: bytes, problems: list[str]) -> Any:
    try:
        return tx.unseal(sealed, place)
    except RefusedError as refused:
        problems.append(refused.message)
        return None
