"""One run at a time for each stack; a holder that dies, however it dies, holds nothing."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project
from mlinfra.workflow.lock import file_holder, file_lock, user_name

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from mlinfra.project import Project
from mlinfra.workflow.lock import file_lock
with file_lock(Project(Path(sys.argv[1])), "dev", "up"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def race(folder: Path, place: str, count: int, wait: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.workflow.racing", str(folder), place, str(count), wait]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("place", ["service", "files"])
def test_of_twenty_that_begin_together_one_works(tmp_path: Path, place: str) -> None:
    process = race(tmp_path, place, 20, "no")
    assert process.stdout is not None
    told = [json.loads(process.stdout.readline()) for _ in range(20)]
    rest, _ = process.communicate("end\n", timeout=60)
    [worker] = [item["process"] for item in told if item["what"] == "taken"]
    refused = [item for item in told if item["what"] == "refused"]
    assert len(refused) == 19, told
    for item in refused:
        assert (item["code"], item["summary"]) == ("locked", "stack dev is in use")
        assert f"up of {user_name()}, process {worker} on {socket.gethostname()}, since 2" in item["detail"]
        assert "--wait" in item["remedy"]
        assert "mlinfra cancel --stack dev" in item["remedy"]
    assert [json.loads(line)["what"] for line in rest.splitlines()] == ["given back"]


@pytest.mark.parametrize("place", ["service", "files"])
def test_those_that_wait_work_one_after_another(tmp_path: Path, place: str) -> None:
    process = race(tmp_path, place, 6, "wait")
    assert process.stdout is not None
    first = [json.loads(process.stdout.readline()) for _ in range(6)]
    assert sorted(item["what"] for item in first) == ["taken", *["waiting"] * 5]
    rest, _ = process.communicate("end\n", timeout=120)
    told = [*first, *(json.loads(line) for line in rest.splitlines())]
    worked = [item for item in told if item["what"] != "waiting"]
    assert [item["what"] for item in worked] == ["taken", "given back"] * 6
    assert [item["process"] for item in worked[::2]] == [item["process"] for item in worked[1::2]]
    assert len({item["process"] for item in worked}) == 6
    waiting = [item for item in told if item["what"] == "waiting"]
    assert {item["process"] for item in waiting} == {item["process"] for item in first if item["what"] == "waiting"}
    assert all((item["code"], item["severity"]) == ("waiting", "warning") for item in waiting)
    assert [item["detail"] for item in waiting if f"up of {user_name()}, process " not in item["detail"]] == []


def test_who_holds_a_stack_is_told(holder: Any, tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(MlinfraError, match="stack dev is in use") as caught, file_lock(project, "dev", "up"):
        raise AssertionError("two runs at a time")
    (told,) = caught.value.diagnostics
    assert told.code == "locked"
    assert f"up of {user_name()}, process {holder.pid} on {socket.gethostname()}, since " in told.detail
    assert file_holder(project, "staging") is None
    found = file_holder(project, "dev")
    assert found is not None
    assert (found.verb, found.process) == ("up", holder.pid)


def test_another_stack_is_free(holder: Any, tmp_path: Path) -> None:
    with file_lock(Project(tmp_path), "staging", "up"):
        pass


def test_a_holder_that_is_killed_holds_nothing(holder: Any, tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    assert file_holder(Project(tmp_path), "dev") is None
    with file_lock(Project(tmp_path), "dev", "destroy"):
        pass


def test_a_lock_is_given_back_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), file_lock(Project(tmp_path), "dev", "up"):
        raise ZeroDivisionError
    with file_lock(Project(tmp_path), "dev", "up"):
        pass


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert user_name() == str(os.getuid())
