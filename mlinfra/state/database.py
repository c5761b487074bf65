"""The database under the store: SQLite within the project, or Postgres, each transaction on disk before it is over.

SQLite runs with a write-ahead log and `synchronous=FULL`: a commit is synced to the disk before it returns, and one
that was cut off is absent when the database is opened again (sqlite.org/wal.html, sqlite.org/pragma.html). FULL cost
no more than NORMAL where it was measured. Several processes share one file; writers take turns.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, event
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.state.refused import RefusedError
from mlinfra.state.tables import METADATA
from mlinfra.tools.lock import lock

_BUSY_SECONDS = 60.0
_CHECK_AT_OPEN = 32 << 20
"""Bytes up to which a database is checked whenever it is opened: 32 MB take 0.05 s."""

_MAKING = 0x6D6C_696E_6672_61
"""The advisory lock under which Postgres's tables are made."""


class Database:
    """A connection pool, and transactions on it."""

    def __init__(self, engine: sqlalchemy.Engine, path: Path | None) -> None:
        self.engine = engine
        self.path = path
        # SQLite has one writer at a time. Threads that queue here go on at once; those that SQLite turns away sleep.
        self._turn: AbstractContextManager[Any] = threading.RLock() if path else nullcontext()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction: committed when the block ends, as if it had never been when it raises.

        Raises `RefusedError` when the database is full, locked for too long, or out of reach.
        """
        try:
            with self._turn, self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise _refusal(error) from None

    def check(self, *, whole: bool = True) -> list[str]:
        """What is wrong with the files, by the database's own check; nothing on Postgres, which checks by itself."""
        if self.path is None:
            return []
        try:
            with self.transaction() as connection:
                pragma = "integrity_check" if whole else "quick_check"
                found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA {pragma}(20)")]
                if whole:
                    rows = connection.exec_driver_sql("PRAGMA foreign_key_check")
                    found += [f"table {row[0]}: row {row[1]} belongs to nothing" for row in rows]
        except RefusedError as refused:
            return [refused.message]
        return [line for line in found if line != "ok"]

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_sqlite(path: Path) -> tuple[Database, bool]:
    """The database in a file, made when it is not there, and whether it was.

    Raises `MlinfraError` when the file is damaged. It is checked when it is small, or when whoever had it open last
    did not close it.
    """
    # One process at a time: two that make the file a write-ahead-log one at once turn each other away.
    with lock(path.with_suffix(".lock"), "opening the state"):
        unclean = path.with_name(f"{path.name}-wal").exists()
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        url = sqlalchemy.URL.create("sqlite", database=str(path))
        engine = sqlalchemy.create_engine(
            url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}, poolclass=QueuePool
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        database = Database(engine, path)
        new = False
        try:
            new = _make_tables(engine)
            problems = database.check(whole=False) if unclean or path.stat().st_size < _CHECK_AT_OPEN else []
        except (DatabaseError, InterfaceError, sqlite3.DatabaseError) as error:
            problems = [str(getattr(error, "orig", error))]
        if problems:
            database.close()
            raise _damaged(path, problems)
    return database, new


def open_postgres(url: str) -> tuple[Database, bool]:
    """A Postgres database (`postgresql://user:password@host/name`), its tables made when they are not there."""
    parsed = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
    try:
        engine = sqlalchemy.create_engine(parsed, pool_pre_ping=True)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MAKING})")
            new = not sqlalchemy.inspect(connection).has_table("stacks")
            METADATA.create_all(connection)
    except (SQLAlchemyError, ImportError) as error:
        cause = getattr(error, "orig", None) or error
        raise MlinfraError(
            Diagnostic(
                f"the state's database at {parsed.host} cannot be opened",
                detail=str(cause).strip(),
                remedy="Check its address, your access to it, and that mlinfra is installed with `postgres`.",
                code="state-open",
            )
        ) from None
    return Database(engine, None), new


def _make_tables(engine: sqlalchemy.Engine) -> bool:
    """Make the tables of a file that has none: a new one, or one whose making was cut off. Whether it had none."""
    with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
        if cursor.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall():
            return False
        cursor.execute("PRAGMA journal_mode=WAL")
    with engine.begin() as connection:
        METADATA.create_all(connection)
    return True


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver at the first change
    cursor = connection.cursor()
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"journal_size_limit={16 << 20}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # IMMEDIATE waits for its turn at the start: a transaction that turns writer half-way is refused, not queued.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refusal(error: DBAPIError) -> RefusedError:
    told = str(error.orig).strip()
    if "full" in told or "No space" in told:
        return RefusedError(507, f"the disk that the state is on is full ({told}): nothing of this step was written")
    return RefusedError(503, f"the state's database refuses: {told}")


def _damaged(path: Path, problems: list[str]) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"the state's database {path.name} is damaged",
            detail="\n".join(problems),
            remedy=f"Restore {path} from a backup; `sqlite3 {path.name} .recover` may save what is still there.",
            code="state-damaged",
        )
    )
