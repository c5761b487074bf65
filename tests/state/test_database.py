"""Transactions are whole or absent; a full disk and a damaged file are told."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import event, insert, select

from mlinfra.diagnostics import MlinfraError
from mlinfra.state.database import Database, open_postgres, open_sqlite
from mlinfra.state.refused import RefusedError
from mlinfra.state.store import Store
from mlinfra.state.tables import FACTS


def names(database: Database) -> list[str]:
    with database.transaction() as connection:
        return sorted(connection.execute(select(FACTS.c.name)).scalars())


def test_a_transaction_that_raises_never_was(store: Store) -> None:
    before = names(store.database)

    def half() -> None:
        with store.database.transaction() as connection:
            connection.execute(insert(FACTS).values(name="half", sealed=b""))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert names(store.database) == before


def test_writers_take_turns(store: Store) -> None:
    def write(number: int) -> None:
        for count in range(10):
            with store.database.transaction() as connection:
                connection.execute(insert(FACTS).values(name=f"{number}-{count}", sealed=b"x"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(store.database)) == 81


def test_sqlite_is_durable_and_private(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    database, new = open_sqlite(tmp_path / "state" / "state.db")
    assert new
    with database.transaction() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    assert (mode, synchronous) == ("wal", 2)  # 2 is FULL
    for path in (tmp_path / "state").glob("state.db*"):
        assert path.stat().st_mode & 0o077 == 0, path
    database.close()
    assert open_sqlite(tmp_path / "state" / "state.db")[1] is False


def test_a_full_disk_refuses_cleanly(tmp_path: Path) -> None:
    database, _ = open_sqlite(tmp_path / "state.db")
    with database.transaction() as connection:
        connection.execute(insert(FACTS).values(name="kept", sealed=b"x"))
    with database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.rollback()

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 2}")

    database.engine.dispose()
    event.listen(database.engine, "connect", limit)

    def fill() -> None:
        with database.transaction() as connection:
            connection.execute(insert(FACTS).values(name="small", sealed=b"x"))
            connection.execute(insert(FACTS).values(name="large", sealed=b"x" * 1_000_000))

    with pytest.raises(RefusedError) as refused:
        fill()
    assert refused.value.status == 507
    assert "full" in refused.value.message
    assert names(database) == ["kept"]
    assert database.check() == []
    database.close()


KILLED = """
import os, sys
from pathlib import Path
from sqlalchemy import insert
from mlinfra.state.database import open_sqlite
from mlinfra.state.tables import FACTS
database, _ = open_sqlite(Path(sys.argv[1]))
with database.transaction() as connection:
    connection.execute(insert(FACTS).values(name="committed", sealed=b"x"))
with database.transaction() as connection:
    connection.execute(insert(FACTS).values(name="cut off", sealed=b"x" * 10_000_000))
    os.kill(os.getpid(), 9)
"""


def test_a_commit_that_was_cut_off_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert ended.returncode == -9
    database, _ = open_sqlite(path)
    assert names(database) == ["committed"]
    assert database.check() == []
    database.close()


def test_a_file_whose_making_was_cut_off_is_made_whole(tmp_path: Path) -> None:
    """The power failed after the file was there, before its tables were."""
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    assert path.stat().st_size > 0
    database, new = open_sqlite(path)
    assert new
    assert names(database) == []
    database.close()


def test_copies_taken_in_the_midst_of_writing_are_whole_up_to_some_commit(tmp_path: Path) -> None:
    """What a power cut leaves, stood in for by copies: each is what had been committed at some moment."""
    path, stop = tmp_path / "state.db", threading.Event()
    database, _ = open_sqlite(path)

    def write() -> None:
        for number in range(2000):
            if stop.is_set():
                return
            with database.transaction() as connection:
                connection.execute(insert(FACTS).values(name=f"{number:05}", sealed=b"x" * 3000))

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    for number in range(12):
        copy = tmp_path / f"copy-{number}"
        copy.mkdir()
        # The log after the file: a checkpoint between the two would else leave out what it moved.
        for name in ("state.db-wal", "state.db", "state.db-wal"):
            if (tmp_path / name).exists():
                shutil.copyfile(tmp_path / name, copy / name)
        if not _is_torn(copy / "state.db"):
            found, _ = open_sqlite(copy / "state.db")
            seen.append(names(found))
            found.close()
    stop.set()
    writer.join()
    database.close()
    assert seen, "every copy was torn"
    for committed in seen:
        assert committed == [f"{number:05}" for number in range(len(committed))]


def _is_torn(path: Path) -> bool:
    """Whether the copying itself, which a power cut does not do, mixed two states of the file: SQLite notices."""
    try:
        with sqlite3.connect(path) as connection:
            return connection.execute("PRAGMA quick_check").fetchone() != ("ok",)
    except sqlite3.DatabaseError:
        return True


@pytest.mark.parametrize("place", [0, 4096])
def test_a_damaged_file_is_told(tmp_path: Path, place: int) -> None:
    path = tmp_path / "state.db"
    open_sqlite(path)[0].close()
    data = bytearray(path.read_bytes())
    data[place : place + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(MlinfraError) as raised:
        open_sqlite(path)
    assert raised.value.diagnostics[0].code == "state-damaged"


def test_a_database_out_of_reach_is_told(tmp_path: Path) -> None:
    with pytest.raises(MlinfraError) as raised:
        open_postgres(f"postgresql://tests@/nothing?host={tmp_path}")
    assert raised.value.diagnostics[0].code == "state-open"
    assert "@" not in raised.value.diagnostics[0].summary
