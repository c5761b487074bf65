"""One run at a time for each stack; a holder that dies, however it dies, holds nothing."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project
from mlinfra.workflow.lock import stack_lock, user_name

HOLDER = """
import sys
from pathlib import Path
from mlinfra.project import Project
from mlinfra.workflow.lock import stack_lock
with stack_lock(Project(Path(sys.argv[1])), "dev", "up"):
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


def test_who_holds_a_stack_is_told(holder: Any, tmp_path: Path) -> None:
    with pytest.raises(MlinfraError, match="stack dev is in use") as caught, stack_lock(Project(tmp_path), "dev", "up"):
        raise AssertionError("two runs at a time")
    (told,) = caught.value.diagnostics
    assert told.code == "locked"
    assert f"`mlinfra up` of {user_name()}, process {holder.pid}" in told.detail


def test_another_stack_is_free(holder: Any, tmp_path: Path) -> None:
    with stack_lock(Project(tmp_path), "staging", "up"):
        pass


def test_a_holder_that_is_killed_holds_nothing(holder: Any, tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    with stack_lock(Project(tmp_path), "dev", "destroy"):
        pass


def test_a_lock_is_given_back_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), stack_lock(Project(tmp_path), "dev", "up"):
        raise ZeroDivisionError
    with stack_lock(Project(tmp_path), "dev", "up"):
        pass


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert user_name() == str(os.getuid())
