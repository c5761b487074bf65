"""Output whose reader goes: nothing breaks by it, and a command that only shows something ends."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from mlinfra.cli.streams import Stream
from mlinfra.emit import ReaderGoneError, steady
from mlinfra.report import Event, Working

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "mlinfra"]


def unread() -> TextIO:
    """A pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def test_that_results_are_not_read_is_told_once() -> None:
    stream = Stream(unread(), tells=True)
    stream.write("one\n")  # held back
    with pytest.raises(ReaderGoneError):
        stream.flush()
    stream.writelines(["two\n", "three\n"])
    stream.flush()
    stream.close()


def test_progress_that_is_not_read_is_dropped() -> None:
    stream = Stream(unread(), tells=False)
    assert stream.write("x" * 100_000) == 100_000
    stream.flush()
    stream.close()


def test_a_terminal_that_was_closed_reads_nothing() -> None:
    ours, theirs = pty.openpty()
    stream = Stream(os.fdopen(theirs, "w"), tells=True)
    stream.write("one\n")
    stream.flush()
    os.close(ours)
    with pytest.raises(ReaderGoneError):
        stream.write("two\n")
    stream.write("three\n")
    stream.close()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_disk_that_is_full_is_said(options: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = _run("stacks", *options, stdout=full)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == "error: standard output is not whole: No space left on device"
    assert len(ran.stderr.splitlines()) == 2


def test_progress_on_a_disk_that_is_full_is_dropped() -> None:
    with Path("/dev/full").open("w") as full:
        stream = Stream(full, tells=False)
        stream.write("x")
        stream.flush()
        assert stream.trouble


def test_what_changes_things_goes_on() -> None:
    told: list[Event] = []

    def gone(event: Event) -> None:
        told.append(event)
        raise ReaderGoneError

    emit = steady(gone)
    emit(Working("up"))
    emit(Working("up"))
    assert len(told) == 2


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_command_that_shows_something_ends_without_a_word(options: tuple[str, ...]) -> None:
    with unread() as out:
        ran = _run("graph", "--stack", "dev", *options, stdout=out)
    assert (ran.returncode, ran.stderr) == (1, "")


def test_problems_that_nobody_reads_change_nothing() -> None:
    with unread() as err:
        ran = _run("graph", "--stack", "none", stdout=subprocess.PIPE, stderr=err)
    assert (ran.returncode, ran.stdout) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_were_closed_from_the_start(closed: str) -> None:
    call = f'"$@" {closed}'
    ran = subprocess.run(
        ["sh", "-c", call, "sh", *COMMAND, "stacks", "--json"], cwd=ROOT, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def _run(
    *arguments: str, stdout: TextIO | int, stderr: TextIO | int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, stdout=stdout, stderr=stderr, text=True, check=False)
