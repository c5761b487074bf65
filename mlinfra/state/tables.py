"""The tables of the state service, the same on SQLite and Postgres.

Columns called `sealed` hold compressed and encrypted JSON (`mlinfra.state.keys`): nothing that a stack holds, says or
is configured with stands in the open. Times are seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()


def _stack() -> Column[int]:
    return Column("stack", ForeignKey("stacks.id", ondelete="CASCADE"), nullable=False, primary_key=True)


def _update() -> Column[str]:
    return Column("update", ForeignKey("updates.id", ondelete="CASCADE"), nullable=False, primary_key=True)


FACTS = Table("facts", METADATA, Column("name", Text, primary_key=True), Column("sealed", LargeBinary, nullable=False))
"""Of the database itself: `key`, by which it knows the key that it is sealed with."""

STACKS = Table(
    "stacks",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("organization", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("tags", LargeBinary),
    Column("version", Integer, nullable=False, default=0),
    Column("active", Text),
    UniqueConstraint("organization", "project", "name"),
    sqlite_autoincrement=True,  # ids, which secrets are encrypted for, are never given out twice
)
"""`version` is the number of the last update that began; `active` the update that has the stack now."""

DEPLOYMENTS = Table(
    "deployments",
    METADATA,
    _stack(),
    Column("version", Integer, primary_key=True),
    Column("made", Float, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("resources", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""A stack's whole state after an update. The newest is what the next update begins with."""

UPDATES = Table(
    "updates",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("stack", ForeignKey("stacks.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("dry", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("base", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("token", LargeBinary),
    Column("expires", Float),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("engine", Text, nullable=False),
    Column("changes", LargeBinary),
    Column("sealed", LargeBinary, nullable=False),
    Index("updates_of_stack", "stack", "version"),
)
"""Every run of the engine. `base` is the version that it began with, `token` the SHA-256 of its lease's token."""

ENTRIES = Table(
    "entries",
    METADATA,
    _update(),
    Column("first", BigInteger, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""The journals of the updates that run now, in batches as they came, by the sequence id of each batch's first entry:
emptied into a deployment when the update ends."""

EVENTS = Table(
    "events",
    METADATA,
    _update(),
    Column("first", BigInteger, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""What the engine told of an update, in batches as they came, by the number of each batch's first event."""

HOLDS = Table(
    "holds",
    METADATA,
    _stack(),
    Column("token", LargeBinary, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("verb", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
"""Which process has a stack for the whole of a command, around the engine's own runs."""
