from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from mlinfra.tools.process import CommandError, run


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    seen: list[str] = []
    output = run(["/bin/sh", "-c", "echo one; echo two >&2; pwd; echo three >&2"], os.environ, tmp_path, seen.append)
    assert seen == ["two", "three"]
    assert output == ["one", str(tmp_path)]


def test_a_failure_carries_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        run(["/bin/sh", "-c", "for i in $(seq 100); do echo line $i >&2; done; exit 3"], os.environ, tmp_path)
    assert str(caught.value).splitlines() == [f"line {number}" for number in range(81, 101)]


def test_a_failure_without_words_tells_its_code(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="ended with code 7"):
        run(["/bin/sh", "-c", "exit 7"], os.environ, tmp_path)


def test_what_ends_the_work_ends_the_whole_group(tmp_path: Path) -> None:
    """Ctrl-C while a child has a child of its own: neither is left."""
    child = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '60']);"
        "print(p.pid, file=sys.stderr, flush=True); p.wait()"
    )
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", child], os.environ, tmp_path, interrupt)
    [pid] = pids
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Whether a process that is no child of this one has its number still: whoever inherits it collects it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
