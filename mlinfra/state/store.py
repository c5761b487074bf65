"""The store: a database and the key that everything in it is sealed with. Its rooms are stacks, deployments, updates
and holds, functions over one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Table, insert, select
from sqlalchemy.sql import Executable

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.state.database import Database, open_postgres, open_sqlite
from mlinfra.state.keys import Keys, UnreadableError, load_keys
from mlinfra.state.refused import RefusedError
from mlinfra.state.tables import FACTS

_KEY = "key"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction, and the moment that it takes for now."""

    connection: Connection
    keys: Keys
    now: float

    def first(self, statement: Executable) -> Row[Any] | None:
        """The first row of a query."""
        return self.connection.execute(statement).first()

    def all(self, statement: Executable) -> Sequence[Row[Any]]:
        """Every row of a query."""
        return self.connection.execute(statement).all()

    def run(self, statement: Executable) -> int:
        """Run a change; how many rows it touched."""
        return self.connection.execute(statement).rowcount

    def add(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; those that are there already stay as they are, so that a request sent twice does no harm."""
        if not rows:
            return
        if self.connection.dialect.name == "sqlite":
            from sqlalchemy.dialects.sqlite import insert as insert_sqlite

            self.connection.execute(insert_sqlite(table).on_conflict_do_nothing(), rows)
        else:
            from sqlalchemy.dialects.postgresql import insert as insert_postgres

            self.connection.execute(insert_postgres(table).on_conflict_do_nothing(), rows)

    def seal(self, data: Any, row: str) -> bytes:
        """JSON data, sealed for one row. Raises `RefusedError` for what JSON cannot hold."""
        try:
            return self.keys.seal(orjson.dumps(data), row)
        except orjson.JSONEncodeError as error:
            raise RefusedError(400, f"this cannot be kept: {error}") from None

    def unseal(self, sealed: bytes, row: str) -> Any:
        """What was sealed. Raises `RefusedError` when it does not open."""
        try:
            return orjson.loads(self.keys.open(sealed, row))
        except UnreadableError:
            raise RefusedError(500, f"{row} in the state's database is damaged, or sealed with another key") from None


class Store:
    """A database and its key."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self.database = database
        self.keys = keys

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: all of it or nothing. Raises `RefusedError` when the database cannot take it."""
        with self.database.transaction() as connection:
            yield Transaction(connection, self.keys, time.time())

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def open_store(folder: Path, url: str | None = None) -> Store:
    """The store of a project: SQLite in `folder`, or the Postgres database at `url`; the key is in `folder` either way.

    Raises `MlinfraError` when the database is damaged or out of reach, or the key is not the one it is sealed with.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database, new = open_postgres(url) if url else open_sqlite(folder / "state.db")
    try:
        store = Store(database, load_keys(folder / "service.key", make=new or not _has_key(database)))
        _compare_key(store)
    except BaseException:
        database.close()
        raise
    return store


def _has_key(database: Database) -> bool:
    with database.transaction() as connection:
        return connection.execute(select(FACTS.c.name).where(FACTS.c.name == _KEY)).first() is not None


def _compare_key(store: Store) -> None:
    """Let a new database remember its key; refuse another one before anything is sealed with it."""
    with store.transaction() as tx:
        known = tx.first(select(FACTS.c.sealed).where(FACTS.c.name == _KEY))
        if known is None:
            tx.run(insert(FACTS).values(name=_KEY, sealed=tx.seal({}, _KEY)))
            return
        try:
            store.keys.open(known.sealed, _KEY)
        except UnreadableError:
            raise MlinfraError(
                Diagnostic(
                    "the state is sealed with another key than the one in service.key",
                    detail="Nothing that it holds can be read, and nothing was changed.",
                    remedy="Restore the key file that belongs to this database.",
                    code="state-key",
                )
            ) from None
