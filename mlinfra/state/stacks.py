"""Stacks in the store: found, made, listed, tagged, renamed, removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from mlinfra.state.refused import RefusedError
from mlinfra.state.store import Transaction
from mlinfra.state.tables import DEPLOYMENTS, STACKS, UPDATES


@dataclass(frozen=True, slots=True)
class Name:
    """What a stack is called, in full."""

    organization: str
    project: str
    stack: str

    def __str__(self) -> str:
        return f"{self.organization}/{self.project}/{self.stack}"


@dataclass(frozen=True, slots=True)
class StackRow:
    """A stack as it is stored."""

    id: int
    name: Name
    tags: Mapping[str, str]
    version: int
    active: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A stack as lists show it; `updated` is when the last update began, in seconds since the epoch."""

    name: Name
    updated: float | None
    resources: int


def find(tx: Transaction, name: Name) -> StackRow | None:
    """A stack, locked until the transaction ends; None when there is none of this name."""
    row = tx.first(select(STACKS).where(*_is(name)).with_for_update())
    return None if row is None else _read(tx, row)


def need(tx: Transaction, name: Name) -> StackRow:
    """A stack; raises `RefusedError` when there is none of this name."""
    stack = find(tx, name)
    if stack is None:
        raise RefusedError(404, f"Stack '{name}' not found")
    return stack


def create(tx: Transaction, name: Name, tags: Mapping[str, str]) -> StackRow:
    """Make a stack; raises `RefusedError` when there is one of this name already."""
    row = {"organization": name.organization, "project": name.project, "name": name.stack, "version": 0}
    tx.add(STACKS, [row])
    found = tx.first(select(STACKS).where(*_is(name)).with_for_update())
    if found is None or found.tags is not None:
        raise RefusedError(409, f"Stack '{name}' already exists")
    set_tags(tx, found.id, tags)
    return StackRow(found.id, name, dict(tags), 0, None)


def set_tags(tx: Transaction, stack: int, tags: Mapping[str, str]) -> None:
    """Replace a stack's tags."""
    tx.run(update(STACKS).where(STACKS.c.id == stack).values(tags=tx.seal(dict(tags), f"tags/{stack}")))


def listed(tx: Transaction, organizations: Collection[str], project: str | None = None) -> list[Listed]:
    """The stacks of some organizations, or of one project of theirs."""
    resources = select(DEPLOYMENTS.c.resources).where(DEPLOYMENTS.c.stack == STACKS.c.id)
    newest = resources.order_by(DEPLOYMENTS.c.version.desc()).limit(1)
    began = select(func.max(UPDATES.c.started)).where(UPDATES.c.stack == STACKS.c.id, ~UPDATES.c.dry)
    query = select(
        STACKS.c.organization,
        STACKS.c.project,
        STACKS.c.name,
        newest.scalar_subquery().label("resources"),
        began.scalar_subquery().label("began"),
    ).where(STACKS.c.organization.in_(sorted(organizations)))
    if project is not None:
        query = query.where(STACKS.c.project == project)
    rows = tx.all(query.order_by(STACKS.c.organization, STACKS.c.project, STACKS.c.name))
    return [Listed(Name(row.organization, row.project, row.name), row.began, row.resources or 0) for row in rows]


def has_project(tx: Transaction, organization: str, project: str) -> bool:
    """Whether there is a stack in a project."""
    here = (STACKS.c.organization == organization, STACKS.c.project == project)
    return tx.first(select(STACKS.c.id).where(*here).limit(1)) is not None


def set_name(tx: Transaction, stack: int, name: Name) -> None:
    """Rename a stack; raises `RefusedError` when the name is taken."""
    if find(tx, name) is not None:
        raise RefusedError(409, f"Stack '{name}' already exists")
    values = {"organization": name.organization, "project": name.project, "name": name.stack}
    tx.run(update(STACKS).where(STACKS.c.id == stack).values(**values))


def remove(tx: Transaction, stack: int) -> None:
    """Remove a stack and all that belongs to it."""
    tx.run(delete(STACKS).where(STACKS.c.id == stack))


def _is(name: Name) -> tuple[Any, ...]:
    return (
        STACKS.c.organization == name.organization,
        STACKS.c.project == name.project,
        STACKS.c.name == name.stack,
    )


def _read(tx: Transaction, row: Row[Any]) -> StackRow:
    tags = {} if row.tags is None else tx.unseal(row.tags, f"tags/{row.id}")
    return StackRow(row.id, Name(row.organization, row.project, row.name), tags, row.version, row.active)
