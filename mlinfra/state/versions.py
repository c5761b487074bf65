"""Every state that a stack has been in: listed, shown, compared, restored, verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from mlinfra.state import deployments, holds, updates
from mlinfra.state.deployments import Untyped
from mlinfra.state.entries import Json
from mlinfra.state.refused import RefusedError
from mlinfra.state.stacks import StackRow
from mlinfra.state.store import Store, Transaction
from mlinfra.state.tables import DEPLOYMENTS, ENTRIES, EVENTS, STACKS, UPDATES
from mlinfra.state.updates import Asked

_NOT_COMPARED = frozenset({"created", "modified", "sourcePosition", "stackTrace"})
"""When a resource was touched, and by which line of a program, says nothing of what it is."""


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


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that two versions differ in: `added`, `removed` or `changed`, and if changed, the fields."""

    urn: str
    what: str
    fields: tuple[str, ...] = ()


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


def compare(before: Json, after: Json) -> list[Change]:
    """What differs between two deployments, by URN."""
    olds, news = (_by_urn(item) for item in (before, after))
    changes = []
    for key in sorted(olds.keys() | news.keys()):
        old, new = olds.get(key), news.get(key)
        if old is None or new is None:
            changes.append(Change(key[0], "removed" if new is None else "added"))
        elif fields := _differences(old, new, ""):
            changes.append(Change(key[0], "changed", tuple(fields)))
    return changes


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
    """Every sealed thing that does not open."""
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
            _try(tx, f"deployments/{stack}/{version}", data, problems)
        for table, kind in ((ENTRIES, "entries"), (EVENTS, "events")):
            for identity, first, data in tx.connection.execute(select(table.c.update, table.c.first, table.c.sealed)):
                _try(tx, f"{kind}/{identity}/{first}", data, problems)
        for place, data in sealed:
            _try(tx, place, data, problems)
    return problems


def _try(tx: Transaction, place: str, sealed: bytes, problems: list[str]) -> None:
    try:
        tx.unseal(sealed, place)
    except RefusedError as refused:
        problems.append(refused.message)


def _by_urn(deployment: Json) -> dict[tuple[str, bool], Json]:
    """A resource that is being replaced is there twice, the old one marked for deletion."""
    return {(item["urn"], bool(item.get("delete"))): item for item in deployment.get("resources") or []}


def _differences(old: Any, new: Any, path: str) -> list[str]:
    """The paths at which two values differ, the shortest that tell."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(old.keys() | new.keys()):
            if path or key not in _NOT_COMPARED:
                found += _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return found
    return [] if old == new else [path]
