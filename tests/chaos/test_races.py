"""A stack that twenty want at once: one has it, and nineteen are told who."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.world import World, expected
from tests.e2e.conftest import Ran

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

MANY = 20
ROUNDS = 10

RACER = """
import sys
from pathlib import Path
from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project
from mlinfra.state.service import states_of

with states_of(Project(Path(sys.argv[1]))) as states:
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            with states.hold("demo", "dev", f"round {line.strip()}"):
                print("works", flush=True)
                sys.stdin.readline()  # holds it until told
        except MlinfraError as error:
            [told] = error.diagnostics
            print(told.code, told.summary, told.detail.replace(chr(10), " "), flush=True)
            sys.stdin.readline()
        print("back", flush=True)
"""


@pytest.fixture
def racers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    made = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(MANY)
    ]
    yield made
    for racer in made:
        racer.kill()
        racer.communicate()


def test_of_twenty_that_take_a_hold_one_has_it_ten_times(racers: list[subprocess.Popen[str]]) -> None:
    assert [read(racer) for racer in racers] == ["ready"] * MANY
    for number in range(ROUNDS):
        for racer in racers:
            write(racer, str(number))
        said = [read(racer) for racer in racers]
        assert said.count("works") == 1, said
        holder = racers[said.index("works")].pid
        for text in said:
            assert text == "works" or re.search(
                rf"^locked .*round {number} of \S+, process {holder} on \S+, since [0-9-]+ [0-9:]+ UTC", text
            ), text
        for racer in racers:
            write(racer, "")
        assert [read(racer) for racer in racers] == ["back"] * MANY


def read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def write(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def test_of_twenty_commands_one_works_and_nineteen_say_who(world: World) -> None:
    """Real commands, started together. The one that has the stack is stopped until the others have ended: else it
    would be done before the slowest of them asks."""
    world.bring_to(0)
    lab = world.lab
    started = [lab.start("up", "--yes", "--json", "--stack", world.stack) for _ in range(MANY)]
    stopped: list[int] = []
    try:
        while sum(process.poll() is None for process in started) > 1:
            if not stopped:
                stopped = engines_that_update([process.pid for process in started])
                for pid in stopped:
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(0.01)
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        ended = [lab.end(process) for process in started]
    [winner] = [process.pid for process, ran in zip(started, ended, strict=True) if ran.code == 0]
    assert len(stopped) == 1
    told = [problem(ran) for ran in ended if ran.code]
    assert len(told) == MANY - 1
    for item in told:
        assert item["code"] == "locked", item
        assert f"process {winner}" in item["detail"], item
        assert "since" in item["detail"], item
    assert world.seen() == expected(1)
    world.generation, world.spoiled = 1, False


def problem(ran: Ran) -> dict[str, str]:
    """The one error that a command printed."""
    [found] = [line for line in map(json.loads, ran.out.splitlines()) if line.get("severity") == "error"]
    return found


def engines_that_update(parents: list[int]) -> list[int]:
    """The engines of these processes that are at work on an update, not on one of the calls before it."""
    rows = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    found = []
    for line in rows.stdout.splitlines():
        pid, parent, command = line.split(None, 2)
        if int(parent) in parents and re.match(r"\S*pulumi up ", command):
            found.append(int(pid))
    return found
