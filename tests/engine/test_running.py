"""Engines that outlive their mlinfra: real processes, noted, left over, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlinfra.engine.running import Noted
from mlinfra.processes import identity, kill

POLITE = "trap 'echo interrupted >> {log}; exit 0' INT; echo up >> {log}; while :; do sleep 0.05; done"
DEAF = "trap '' INT TERM; sleep 300 & echo $! > {log}; wait; while :; do sleep 1; done"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def started() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(script: str) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen(["sh", "-c", script], start_new_session=True))
        return running[-1]

    yield start
    kill([process.pid for process in running])


def note(folder: Path, engine: int, owner: int, owner_mark: str | None = None) -> Path:
    """What a run that is not there any more has left."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{engine}.json"
    known = {"engine": [engine, identity(engine)], "mlinfra": [owner, owner_mark or identity(owner)]}
    path.write_text(json.dumps(known))
    return path


def test_a_process_is_noted_while_it_runs(tmp_path: Path) -> None:
    noted = Noted(tmp_path / "running")
    with noted.process(os.getpid()):
        [path] = noted.folder.iterdir()
        assert json.loads(path.read_text())["engine"] == [os.getpid(), identity(os.getpid())]
        assert noted.end_left_over() == [], "its mlinfra is alive"
        noted.forget_left_over()
        assert path.exists()
    assert list(noted.folder.iterdir()) == []


def test_one_that_is_left_over_may_finish_what_it_is_at(
    tmp_path: Path, started: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    log = tmp_path / "log"
    engine = started(POLITE.format(log=log))
    until(log.exists)
    path = note(tmp_path / "running", engine.pid, os.getpid(), "of another start")
    [told] = Noted(tmp_path / "running").end_left_over()
    assert (told.code, str(engine.pid) in told.summary) == ("repaired", True)
    assert log.read_text().splitlines() == ["up", "interrupted"]
    assert identity(engine.pid) is None
    assert path.exists(), "what follows from it is not yet noted"
    Noted(tmp_path / "running").forget_left_over()
    assert not path.exists()


def test_one_that_does_not_listen_is_killed_with_all_it_started(
    tmp_path: Path, started: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    log = tmp_path / "log"
    engine = started(DEAF.format(log=log))
    until(lambda: log.exists() and bool(log.read_text().strip()))
    child = int(log.read_text())
    note(tmp_path / "running", engine.pid, os.getpid(), "of another start")
    assert len(Noted(tmp_path / "running").end_left_over(patience=0.2)) == 1
    assert identity(engine.pid) is None
    until(lambda: identity(child) is None)


def test_a_process_that_only_has_its_number_is_left_alone(
    tmp_path: Path, started: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    other = started("sleep 60")
    path = note(tmp_path / "running", other.pid, os.getpid(), "of another start")
    path.write_text(path.read_text().replace(str(identity(other.pid)), "of another start"))
    assert Noted(tmp_path / "running").end_left_over() == []
    assert identity(other.pid)
    assert Noted(tmp_path / "running").left_over() == [path]


@pytest.mark.parametrize("torn", ["", '{"engine": [12', "[]", '{"engine": [], "mlinfra": []}'])
def test_a_note_that_was_not_finished_is_of_an_engine_that_never_began(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "12.json"
    path.write_text(torn)
    assert Noted(tmp_path).end_left_over() == []
    Noted(tmp_path).forget_left_over()
    assert not path.exists()


MLINFRA = """
    import sys
    from pathlib import Path
    from mlinfra.engine.process import run_pulumi
    from mlinfra.engine.running import Noted
    run_pulumi(Path("/bin/sh"), ["-c", sys.argv[2]], Path(sys.argv[1]), {"PATH": "/usr/bin:/bin"}, Noted(Path(sys.argv[1]) / "running"))
"""  # noqa: E501


def test_an_engine_whose_mlinfra_was_killed_is_found_and_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    mlinfra = subprocess.Popen([sys.executable, "-c", textwrap.dedent(MLINFRA), str(tmp_path), POLITE.format(log=log)])
    until(log.exists)
    [path] = (tmp_path / "running").iterdir()
    pid, mark = json.loads(path.read_text())["engine"]
    assert identity(pid) == mark, "becoming the engine, the process keeps its number and its start"
    mlinfra.send_signal(signal.SIGKILL)
    mlinfra.wait()
    assert identity(pid) == mark, "it lives on"
    assert len(Noted(tmp_path / "running").end_left_over()) == 1
    assert identity(pid) is None
