from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from mlinfra.processes import command_line, identity, kill, started_from


def sleeper(*more: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(["sleep", "60", *more])
    while not command_line(process.pid):  # for a moment after the program has taken over it has none
        time.sleep(0.01)
    return process


def test_a_process_is_known_by_more_than_its_number() -> None:
    first, second = sleeper(), sleeper()
    try:
        assert identity(first.pid)
        assert identity(first.pid) == identity(first.pid)
        assert identity(os.getpid()) not in (None, identity(first.pid))
        assert command_line(first.pid).split() == ["sleep", "60"]
    finally:
        kill([first.pid, second.pid])


def test_one_that_has_ended_is_none_though_nobody_collected_it() -> None:
    process = sleeper()
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity(process.pid) is None


def test_numbers_that_nobody_has() -> None:
    assert identity(2**22 + 1) is None
    assert command_line(2**22 + 1) == ""
    kill([2**22 + 1])


def test_killing_waits_until_they_have_ended() -> None:
    processes = [sleeper() for _ in range(3)]
    kill([process.pid for process in processes], gently=True)
    assert [identity(process.pid) for process in processes] == [None] * 3


def test_finding_processes_by_where_their_program_is(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "etcd").symlink_to(shutil.which("sleep") or "/bin/sleep")
    process, other = subprocess.Popen([tmp_path / "bin" / "etcd", "60"]), sleeper()
    try:
        assert started_from(tmp_path / "bin") == [process.pid]
        assert started_from(tmp_path / "bi") == []
    finally:
        kill([process.pid, other.pid])


def test_one_that_does_not_want_to_end_is_killed() -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    kill([process.pid], gently=True, patience=0.2)
    assert identity(process.pid) is None
    process.stdout.close()
