"""Running a process to its end: its output, its exit, and signals to us while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.process import Ended, run_pulumi
from mlinfra.engine.running import Noted
from mlinfra.processes import identity

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
COUNTING = """
n=0
trap 'n=$((n+1)); echo interrupt $n; {then}' INT
echo up > ready
while :; do sleep 0.02; done
"""


def run(folder: Path, script: str, told: Callable[[int], None] = lambda _: None, **options: Any) -> Ended:
    noted = Noted(folder / "running")
    return run_pulumi(Path("/bin/sh"), ["-c", script], folder, ENVIRONMENT, noted, told, **options)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """A test run under `nohup` ignores SIGHUP, and all that it starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@contextmanager
def interrupting(folder: Path, *signals: int) -> Iterator[Callable[[int], None]]:
    """Send us signals, one after the other, each once the last one was handled, from when the script is ready."""
    handled = threading.Semaphore(0)

    def send() -> None:
        deadline = time.monotonic() + 30
        while not (folder / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for number in signals:
            os.kill(os.getpid(), number)
            handled.acquire(timeout=30)
            time.sleep(0.3)  # the script's shell does one signal at a time; two at once would be one to it

    sender = threading.Thread(target=send)
    sender.start()
    yield lambda _: handled.release()
    sender.join()


@pytest.mark.parametrize("code", [0, 3])
def test_its_output_and_exit_code(tmp_path: Path, code: int) -> None:
    ended = run(tmp_path, f"echo out; echo err >&2; exit {code}")
    assert ended == Ended(code, "out\nerr\n")
    assert ended.succeeded == (code == 0)
    assert list((tmp_path / "running").iterdir()) == []


def test_it_is_fed_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "cat; echo end").output == "end\n"


def test_it_is_noted_before_it_runs(tmp_path: Path) -> None:
    ended = run(tmp_path, "cat running/$$.json")
    assert f'"mlinfra": [{os.getpid()}, "{identity(os.getpid())}"]' in ended.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_interrupt_is_passed_on_once(tmp_path: Path, number: int) -> None:
    with interrupting(tmp_path, number) as told:
        ended = run(tmp_path, COUNTING.format(then="exit 0"), told)
    assert ended == Ended(0, "interrupt 1\n", interrupted=True)
    assert not ended.succeeded, "after a signal the exit code proves nothing"


def test_the_second_is_passed_on_and_the_third_kills(tmp_path: Path) -> None:
    counts: list[int] = []
    with interrupting(tmp_path, *[signal.SIGINT] * 3) as told:

        def count(number: int) -> None:
            counts.append(number)
            told(number)

        ended = run(tmp_path, COUNTING.format(then=":"), count)
    assert counts == [1, 2, 3]
    assert ended == Ended(-signal.SIGKILL, "interrupt 1\ninterrupt 2\n", interrupted=True)


def test_no_interrupt_is_passed_on_to_what_is_over(tmp_path: Path) -> None:
    script = COUNTING.format(then=":").replace("while :", "for i in $(seq 50)")
    with interrupting(tmp_path, signal.SIGINT, signal.SIGINT) as told:
        ended = run(tmp_path, script, told, over=lambda: True)
    assert ended == Ended(0, "", interrupted=True)


def test_what_is_over_and_does_not_end_after_an_interrupt_is_killed(tmp_path: Path) -> None:
    over = threading.Event()

    def interrupted(count: int) -> None:
        told(count)
        over.set()  # they have crossed

    with interrupting(tmp_path, signal.SIGINT) as told:
        ended = run(tmp_path, COUNTING.format(then=":"), interrupted, over=over.is_set, patience=0.1)
    assert ended == Ended(-signal.SIGKILL, "interrupt 1\n", interrupted=True)


class BrokenError(Exception):
    """What goes wrong in us while the process runs."""


def test_it_ends_with_the_run_however_that_ends(tmp_path: Path) -> None:
    deaf = "trap '' INT; echo $$ > pid; echo up > ready; while :; do sleep 0.02; done"
    with interrupting(tmp_path, signal.SIGINT) as told:

        def broken(count: int) -> None:
            told(count)
            raise BrokenError

        with pytest.raises(BrokenError):
            run(tmp_path, deaf, broken)
    assert identity(int((tmp_path / "pid").read_text())) is None
    assert list((tmp_path / "running").iterdir()) == []


def test_who_ignores_a_closed_terminal_goes_on_doing_so(tmp_path: Path) -> None:
    """As `nohup mlinfra up` does."""
    script = "kill -HUP $PPID; echo up"
    program = (
        "import signal, sys; from pathlib import Path; from mlinfra.engine.process import run_pulumi;"
        "from mlinfra.engine.running import Noted; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        f"ended = run_pulumi(Path('/bin/sh'), ['-c', {script!r}], Path('.'), {ENVIRONMENT}, Noted(Path('running')));"
        "print(ended.succeeded, ended.output, end='')"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "True up\n"


def test_a_signal_handler_is_given_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    run(tmp_path, "true")
    assert signal.getsignal(signal.SIGINT) is before
