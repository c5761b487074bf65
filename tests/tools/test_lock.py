from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.tools.lock import lock

HOLDER = """
import sys
from pathlib import Path
from mlinfra.tools.lock import lock
with lock(Path(sys.argv[1]), "building pulumi"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_another_process_waits_and_is_told_for_what(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        told: list[str] = []

        def waiting(reason: str) -> None:
            told.append(reason)
            holder.stdin.write("\n")
            holder.stdin.flush()

        with lock(path, "waiting here", waiting):
            assert told == [f"waiting for process {holder.pid}, which is building pulumi"]


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        holder.kill()
        holder.wait()
        with lock(path, "here", timeout=10):
            assert path.read_text().endswith("which is here")


def test_patience_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with lock(path, "one thing"), pytest.raises(MlinfraError) as caught, lock(path, "another", timeout=0.2):
        pass
    assert "which is one thing" in caught.value.diagnostics[0].summary


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with lock(tmp_path / "a.lock", "work"):
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.02)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
