"""The power fails while an update of 300 resources runs: what is on the disk opens, and is the update's beginning.

A power cut is stood in for by copies of the database's files, taken while the process that writes them is stopped, so
that they are of one moment. What had not been synced by then may be lost: the log is cut at a byte of our choice, or
holds anything behind it. Not before what a checkpoint has put into the database already, though: SQLite syncs the log
first (sqlite.org/wal.html). Where that is, the index says: `nBackfill` in sqlite.org/walformat.html.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, text

from mlinfra.project import Project
from mlinfra.state.entries import Json, Kind
from mlinfra.state.service import states_of
from mlinfra.state.states import ServiceStates
from mlinfra.state.tables import ENTRIES, UPDATES
from mlinfra.tools.install import ensure
from tests.state.running import PROJECT_NAME

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

ROOT = Path(__file__).parents[2]
RESOURCES = 300
COPIES = 40
FILES = ("state.db", "state.db-wal", "state.db-shm", "service.key")
HEADER, FRAME_HEADER = 32, 24
_BACKFILLED = 96
"""Where in the index the number of frames is that are in the database already: the WAL-index header's `nBackfill`."""


@dataclass(frozen=True)
class Journal:
    """What a database holds of the update: its journal in the order that it was written in, and its state."""

    entries: list[Json]
    state: Json


def test_what_is_on_the_disk_is_a_prefix_of_the_update(tmp_path: Path) -> None:
    ensure(["pulumi"])
    chance = random.Random("power")
    project = tmp_path / "project"
    copies = list(taken(project, tmp_path, chance))
    whole = opened(project).entries
    assert len(whole) > RESOURCES, "the update had hardly begun"
    lengths = []
    for number, copy in enumerate(copies):
        lose(copy, chance, number)
        found = opened(copy)
        assert found.entries == whole[: len(found.entries)], copy.name
        assert names(found.state) == created(found.entries), copy.name
        lengths.append(len(found.entries))
    # Not all of the beginning, or of the end: copies of many moments were compared.
    assert len(set(lengths)) > COPIES // 2, lengths


def taken(project: Path, folder: Path, chance: random.Random) -> Iterator[Path]:
    """Copies of the state's files at moments of an update that is killed before its end."""
    command = [sys.executable, "-m", "tests.state.running", str(project), "service", "dev", str(RESOURCES), "up"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "it ended before it began"
        cloud = project / "cloud-dev"
        for number in range(COPIES):
            # A bit further each time; up to nine tenths, so that the update is still at work on the last.
            while len(list(cloud.iterdir())) < number * RESOURCES * 0.9 / COPIES:
                assert process.poll() is None, "the update ended first"
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.02))
            copy = folder / f"copy-{number}"
            with stopped(process.pid):
                target = copy / ".mlinfra" / "state"
                target.mkdir(parents=True)
                for name in FILES:
                    source = project / ".mlinfra" / "state" / name
                    if source.exists():
                        shutil.copyfile(source, target / name)
            yield copy
    finally:
        process.kill()
        process.communicate()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for the block, once no thread of it is in the middle of anything."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while any(state_of(task) != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state_of(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def lose(copy: Path, chance: random.Random, number: int) -> None:
    """Lose what the disk may not have had: nothing, the log's tail, or its tail for something else."""
    folder = copy / ".mlinfra" / "state"
    log, index = folder / "state.db-wal", folder / "state.db-shm"
    data = log.read_bytes()
    backfilled = int.from_bytes(index.read_bytes()[_BACKFILLED : _BACKFILLED + 4], sys.byteorder)
    page = int.from_bytes(data[8:12], "big")
    safe = HEADER + backfilled * (FRAME_HEADER + page)
    if number % 4:
        cut = chance.randrange(safe, len(data) + 1)
        rest = {1: b"", 2: bytes(len(data) - cut), 3: chance.randbytes(len(data) - cut)}[number % 4]
        log.write_bytes(data[:cut] + rest)
        index.unlink()  # it is memory that processes share: nothing of it outlives the machine


def opened(root: Path) -> Journal:
    """Open the database as the next run does, with all its checks, and fold what was cut off."""
    with states_of(Project(root)) as states:
        assert states.verify() == []
        entries = journal(states)
        states.settle(PROJECT_NAME, "dev")
        assert states.settle(PROJECT_NAME, "dev") == []
        assert states.verify() == []
        return Journal(entries, states.read(PROJECT_NAME, "dev"))


def journal(states: ServiceStates) -> list[Json]:
    found: list[Json] = []
    with states.store.transaction() as tx:
        query = select(ENTRIES).join(UPDATES, UPDATES.c.id == ENTRIES.c.update).where(~UPDATES.c.dry)
        for row in tx.all(query.order_by(text("entries.rowid"))):  # the order in which they were committed
            found += tx.unseal(row.sealed, f"entries/{row.update}/{row.first}")
    return found


def created(entries: list[Json]) -> list[str]:
    """The resources that a journal says were made, in its order."""
    in_order = sorted(entries, key=lambda entry: entry["sequenceID"])
    return [entry["state"]["urn"] for entry in in_order if entry["kind"] == Kind.SUCCESS and entry.get("state")]


def names(state: Json) -> list[str]:
    return [item["urn"] for item in state.get("resources") or []]
