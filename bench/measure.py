"""Whole commands timed from outside: wall seconds and peak memory, medians over runs made in turn."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = {"preview": ["preview"], "up": ["up", "--yes"], "no-op up": ["up", "--yes"], "destroy": ["destroy", "--yes"]}
"""The life of a stack, command by command: each needs what the one before has left."""

UNCHECKED = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
"""What lets the engine's file backend keep nothing until the end of a run."""


@dataclass(frozen=True)
class Timing:
    """One finished command."""

    seconds: float
    megabytes: float


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Timing:
    """Run a command to its end; raises with its output when it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output.decode()[-4000:]}")
    return Timing(seconds, usage.ru_maxrss / 1024)


def mlinfra(folder: Path, *arguments: str) -> Timing:
    """One command, as a user runs it."""
    return timed([str(ROOT / ".venv" / "bin" / "mlinfra"), *arguments], folder)


def in_turn(runs: int, bodies: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Run each body in turn, `runs` times: what drifts, drifts for all."""
    found: dict[str, list[float]] = {name: [] for name in bodies}
    for _ in range(runs):
        for name, body in bodies.items():
            found[name].append(body())
    return found


def loop() -> float:
    """Seconds for two million additions: how fast the machine is just now, as shared machines vary by half."""
    begun = time.perf_counter()
    total = 0
    for number in range(2_000_000):
        total += number
    return time.perf_counter() - begun


def slowest() -> float:
    """`loop` on the core that is slowest just now: what shares the machine's cores slows each by itself."""
    cores = os.sched_getaffinity(0)
    try:
        found = []
        for core in cores:
            os.sched_setaffinity(0, {core})
            found.append(loop())
    finally:
        os.sched_setaffinity(0, cores)
    return max(found)


def quick_option(parser: argparse.ArgumentParser) -> None:
    """Add `--quick`, the bound of `Quiet`."""
    parser.add_argument(
        "--quick",
        type=float,
        metavar="SECONDS",
        help="count only what was measured while two million additions took at most this on every core",
    )


@dataclass
class Quiet:
    """Measures again what was measured while the machine was slow.

    `bound` is the most that `slowest` may take before and after; what else was measured is set aside and measured anew,
    up to `tries` times. Without a bound everything counts.
    """

    bound: float | None
    tries: int = 12
    aside: int = 0
    loops: list[float] = field(default_factory=list)

    def timed(self, body: Callable[[], Timing]) -> Timing | None:
        """One timing that counts; None where the machine was never quick enough."""
        for _ in range(self.tries):
            before, timing, after = slowest(), body(), slowest()
            if self.bound is None or max(before, after) <= self.bound:
                self.loops += [before, after]
                return timing
            self.aside += 1
        return None


def median(values: Sequence[float]) -> str:
    """The median, to two digits."""
    return f"{statistics.median(values):.2f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def cores() -> str:
    """What the figures were measured on."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return f"{len(os.sched_getaffinity(0))} cores" + ("" if limit < 0 else f", {limit >> 20} MB")
