"""A run of the command that is struck at a moment of our choice: who is struck, when, and how it went on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.chaos.world import World
from tests.e2e.conftest import COMMAND
from tests.e2e.processes import ENGINE, PROVIDERS, started

_PROGRAM: Final = Path(__file__).with_name("cut_off.py")
CUT_OFF: Final = ["sh", "-c", "trap '' USR1 USR2; exec \"$@\"", "sh", sys.executable, str(_PROGRAM)]
"""Until the program listens to the signals they are ignored, rather than the end of it: so says sh(1) of `trap ''`."""

VICTIMS: Final = ("mlinfra", "engine", "providers", "connections", "service", "moto")
"""`mlinfra`: SIGKILL of the command, and with it of the state service and the language host, which live in it, and of
the providers' process, which ends with it. `engine`: SIGKILL of `pulumi`. `providers`: SIGKILL of the process that
serves them. `connections`: every connection between the engine and the state service is cut, once. `service`: the
engine finds no state service any more (see `cut_off`). `moto`: SIGKILL of the local AWS."""

_EARLY: Final = 0.15
"""How many of the strikes come at some time of the clock rather than after some step, so that some come before any."""


@dataclass(frozen=True)
class Moment:
    """When to strike: after so many lines about steps, or none, and so many seconds more."""

    steps: int
    seconds: float

    @staticmethod
    def choose(chance: random.Random, steps: int) -> Moment:
        """A moment of a run that tells about `steps` lines."""
        if chance.random() < _EARLY:
            return Moment(0, chance.uniform(0.3, 2.5))
        return Moment(chance.randrange(1, steps), chance.uniform(0.0, 0.03))


@dataclass
class Struck:
    """A run that was struck: whether in time, its exit code, and the lines that it printed."""

    in_time: bool
    code: int
    lines: list[dict[str, Any]]
    rest: str

    def codes(self) -> list[str]:
        """The codes of its diagnostics."""
        return [line.get("code", "") for line in self.lines if line["type"] == "diagnostic"]


def strike(world: World, victim: str, moment: Moment, *arguments: str) -> Struck:
    """Run a command, strike its victim at a moment, and let what is left of it come to its end."""
    command = CUT_OFF if victim in ("connections", "service") else COMMAND
    process = subprocess.Popen(
        [*command, *arguments, "--stack", world.stack, "--json"],
        cwd=world.lab.root,
        env=world.lab.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    told, enough = _Reader(process, moment.steps), time.monotonic() + 300
    while not told.reached.wait(0.002) and process.poll() is None:
        assert time.monotonic() < enough, "the run stands still"
    time.sleep(moment.seconds)
    in_time = _hit(world, victim, process) and not told.ended()
    code = process.wait(timeout=300)
    told.thread.join()
    return Struck(in_time, code, told.lines, told.rest)


def _hit(world: World, victim: str, process: subprocess.Popen[str]) -> bool:
    match victim:
        case "mlinfra":
            return _kill(process.pid, signal.SIGKILL)
        case "engine":
            killed = [_kill(pid, signal.SIGKILL) for pid in started(process, ENGINE)]
            return any(killed)
        case "providers":
            killed = [_kill(pid, signal.SIGKILL) for pid in started(process, PROVIDERS)]
            return any(killed)
        case "connections":
            return _kill(process.pid, signal.SIGUSR1)
        case "service":
            return _kill(process.pid, signal.SIGUSR2)
        case "moto":
            return kill_moto(world)
    raise AssertionError(victim)


def _kill(pid: int, number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def kill_moto(world: World) -> bool:
    """Kill the local AWS, by the record that it is found by; it is gone when this returns."""
    record = world.lab.root / ".mlinfra" / "local" / "moto" / "server.json"
    pid = json.loads(record.read_text())["pid"]
    killed = _kill(pid, signal.SIGKILL)
    while _is_running(pid):
        time.sleep(0.002)
    return killed


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class _Reader:
    """Reads what a command prints as it comes; `reached` is set after so many lines about steps."""

    def __init__(self, process: subprocess.Popen[str], steps: int) -> None:
        self.lines: list[dict[str, Any]] = []
        self.rest = ""
        self.reached = threading.Event()
        self._process, self._left = process, steps
        if not steps:
            self.reached.set()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def ended(self) -> bool:
        """Whether the command has said all that it had to say."""
        return any(line["type"] == "report" for line in self.lines)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                self.rest += text
                continue
            self.lines.append(line)
            if line["type"] == "step":
                self._left -= 1
                if self._left <= 0:
                    self.reached.set()
