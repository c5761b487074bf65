"""What a machine does when it starts, and the script that stops it: run here, on files that stand for a machine's."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components.training_vm_boot import COMMAND, IDLE, PROFILE, user_data
from mlinfra.functions import resolve
from mlinfra.graph import Ref

pytestmark = pytest.mark.slow

CORES = 4


@dataclass
class Machine:
    """A machine as the script sees it. Times are in seconds since it started, work in seconds of a core."""

    folder: Path
    minutes: int = 60
    at: float = 120.0
    work: float = 10.0
    waited: float = 0.0
    gpus: list[int] = field(default_factory=list)
    broken_gpu: bool = False

    def __post_init__(self) -> None:
        for name in ("proc", "terminals", "bin"):
            (self.folder / name).mkdir()
        (self.folder / "terminals" / "ptmx").touch()

    def run(self) -> str:
        """One run of the script; what it says."""
        self._write()
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "IDLE_PROC": str(self.folder / "proc"),
            "IDLE_STATE": str(self.folder / "state"),
            "IDLE_TERMINALS": str(self.folder / "terminals"),
            "IDLE_STOP": "echo powering off",
        }
        command = ["sh", str(IDLE), str(self.minutes)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def pass_minutes(self, minutes: int, each: Callable[[], None] = lambda: None) -> str:
        """Run it every minute, as the timer does; what it said in all."""
        said = ""
        for _ in range(minutes):
            self.at += 60
            each()
            said += self.run()
        return said

    def works(self, cores: float) -> Callable[[], None]:
        """What a minute at work on so many cores does."""

        def minute() -> None:
            self.work += cores * 60

        return minute

    def type(self, seconds_ago: float = 1.0) -> None:
        """Somebody typed in a terminal."""
        terminal = self.folder / "terminals" / "0"
        terminal.touch()
        moment = time.time() - seconds_ago
        os.utime(terminal, (moment, moment))

    def _write(self) -> None:
        ticks = [round(value * 100) for value in (self.work, 0, 0, self.at * CORES - self.work - self.waited)]
        total = [*ticks, round(self.waited * 100), 0, 0, 12345, 0, 0]
        lines = ["cpu  " + " ".join(map(str, total))]
        lines += [f"cpu{core} " + " ".join(str(value // CORES) for value in total) for core in range(CORES)]
        (self.folder / "proc" / "stat").write_text("\n".join([*lines, "intr 1 2 3", "btime 1"]) + "\n")
        (self.folder / "proc" / "uptime").write_text(f"{self.at:.2f} {self.at * CORES:.2f}\n")
        tool = self.folder / "bin" / "nvidia-smi"
        if self.broken_gpu:
            tool.write_text("#!/bin/sh\necho 'Unable to determine the device handle: GPU is lost' >&2\nexit 15\n")
        else:
            tool.write_text("#!/bin/sh\n" + "".join(f"echo {use}\n" for use in self.gpus))
        tool.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


STOPS = "not in use for 60 minutes: stopping\npowering off\n"


def test_an_idle_machine_stops_after_its_minutes_and_not_before(machine: Machine) -> None:
    assert machine.run() == ""
    assert machine.pass_minutes(59, machine.works(0.05)) == ""
    assert machine.pass_minutes(1) == STOPS


def test_it_counts_from_its_start(machine: Machine) -> None:
    machine.at = 86_400.0
    assert machine.run() == "", "however long it ran before the timer first looked"


def test_the_last_use_counts(machine: Machine) -> None:
    machine.run()
    machine.pass_minutes(50)
    machine.pass_minutes(1, machine.works(1.0))
    assert machine.pass_minutes(59) == ""
    assert machine.pass_minutes(1) == STOPS


@pytest.mark.parametrize(("cores", "stops"), [(0.2, True), (0.3, False), (1.0, False), (4.0, False)])
def test_a_quarter_of_a_core_is_use(machine: Machine, cores: float, stops: bool) -> None:
    machine.run()
    assert bool(machine.pass_minutes(60, machine.works(cores))) is stops


def test_waiting_for_a_disk_is_use(machine: Machine) -> None:
    def waits() -> None:
        machine.waited += 30

    machine.run()
    assert machine.pass_minutes(60, waits) == ""


@pytest.mark.parametrize(("gpus", "stops"), [([0, 0], True), ([4, 0], True), ([0, 97], False), ([5], False)])
def test_a_gpu_at_work_is_use(machine: Machine, gpus: list[int], stops: bool) -> None:
    machine.run()
    machine.gpus = gpus
    assert bool(machine.pass_minutes(60)) is stops


def test_a_gpu_that_cannot_be_read_is_not_at_work(machine: Machine) -> None:
    machine.run()
    machine.broken_gpu = True
    assert machine.pass_minutes(60) == STOPS


def test_somebody_who_types_is_use(machine: Machine) -> None:
    machine.run()
    assert machine.pass_minutes(60, machine.type) == ""
    assert machine.pass_minutes(60, lambda: machine.type(seconds_ago=600)) == STOPS, "an open terminal alone is not"


def test_the_minutes_are_an_argument(machine: Machine) -> None:
    machine.minutes = 5
    machine.run()
    assert machine.pass_minutes(4) == ""
    assert "not in use for 5 minutes" in machine.pass_minutes(1)


# ------------------------------------------------------------------------------------------------ user data


def boot(folder: Path, variables: dict[str, Any], idle_minutes: int | None) -> str:
    """Run the user data with the root of the file system in `folder`; gives the calls of systemctl."""
    text = resolve(user_data(variables, idle_minutes), {"data/bucket": {"id": "the-data"}})
    for name in ("/etc/profile.d", "/usr/local/sbin", "/etc/systemd/system"):
        (folder / name[1:]).mkdir(parents=True, exist_ok=True)
        text = text.replace(f"{name}/mlinfra", f"{folder}{name}/mlinfra")
    tools, calls = folder / "bin", folder / "calls"
    tools.mkdir(exist_ok=True)
    (tools / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{calls}\n')
    (tools / "systemctl").chmod(0o755)
    calls.write_text("")
    script = folder / "script"
    script.write_text(text)
    subprocess.run(["sh", str(script)], env={"PATH": f"{tools}:{os.environ['PATH']}"}, check=True)
    return calls.read_text()


def test_starting(tmp_path: Path) -> None:
    variables = {"AWS_REGION": "eu-west-1", "DATA_URI": Ref("data/bucket")}
    calls = boot(tmp_path, variables, 90)
    assert calls == "daemon-reload\nstart --no-block mlinfra-idle.timer\n"
    assert (tmp_path / PROFILE[1:]).read_text() == "export AWS_REGION='eu-west-1'\nexport DATA_URI='the-data'\n"
    command = tmp_path / COMMAND[1:]
    assert command.read_text() == IDLE.read_text(encoding="utf-8")
    assert os.access(command, os.X_OK)
    service = (tmp_path / "etc/systemd/system/mlinfra-idle.service").read_text()
    assert re.search(rf"ExecStart=.*{re.escape(COMMAND)} 90$", service, re.MULTILINE)
    assert "OnUnitActiveSec=1min" in (tmp_path / "etc/systemd/system/mlinfra-idle.timer").read_text()


def test_starting_once_it_is_never_to_stop(tmp_path: Path) -> None:
    boot(tmp_path, {}, 90)
    assert boot(tmp_path, {}, None) == ""
    assert not (tmp_path / COMMAND[1:]).exists()
    assert list((tmp_path / "etc/systemd/system").iterdir()) == []


def test_cloud_init_knows_what_it_is() -> None:
    text = resolve(user_data({}, 60), {})
    assert text.startswith("#cloud-boothook\n#!/bin/sh\n"), "which runs at every start, and not at the first alone"
