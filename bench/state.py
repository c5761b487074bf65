"""N buckets on each way to keep a state: what journalling, durability and the database cost, through the command.

    .venv/bin/python bench/state.py [300 1000 3000 10000] [--limit 900] [--ways files unchecked sqlite postgres]

Each way has a project of its own for each N: a moto, a local cluster, an empty state. `files` is the engine's file
backend, `unchecked` the same with checkpoints skipped (nothing is kept until the end of a run), `sqlite` the state
service as it is by default, `postgres` the service on a server that is started for it, where one is installed. A
command that takes longer than the limit is ended, its way goes no further, and is not tried with a larger N.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from measure import STEPS, cores, table
from postgres import create_database, postgres
from scale import project

HERE = Path(__file__).parent
WAYS = {
    "files": "files",
    "unchecked": "files, checkpoints skipped",
    "sqlite": "service on SQLite",
    "postgres": "service on Postgres",
}


@dataclass
class Measured:
    """The steps of one way with one N: seconds, None beyond the limit; and the `mlinfra` process's largest size."""

    count: int
    way: str
    seconds: dict[str, float | None] = field(default_factory=dict)
    megabytes: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether every step came to its end."""
        return len(self.seconds) == len(STEPS) and None not in self.seconds.values()

    def shown(self, limit: float) -> list[str]:
        """A row of the table."""
        cells = [_shown(self.seconds.get(step, 0.0), limit) for step in STEPS]
        return [str(self.count), WAYS[self.way], *cells, f"{self.megabytes:.0f}"]


def measure(root: Path, count: int, way: str, limit: float, database: str | None) -> Measured:
    """Every step, until one does not end in time."""
    found = Measured(count, way)
    backend = "service" if way in ("sqlite", "postgres") else "files"
    project(root, f"buckets: {count}", f"state: {{backend: {backend}}}\n")
    mlinfra = [sys.executable, "-m", "mlinfra"]
    subprocess.run([*mlinfra, "local", "up", "--stack", "bench"], cwd=root, check=True, capture_output=True)
    try:
        for step, arguments in STEPS.items():
            seconds, kilobytes = run(root, way, [*arguments, "--stack", "bench"], limit, database)
            found.seconds[step] = seconds
            found.megabytes = max(found.megabytes, kilobytes / 1024)
            if seconds is None:
                break
    finally:
        subprocess.run([*mlinfra, "local", "down"], cwd=root, check=True, capture_output=True)
    return found


def run(root: Path, way: str, arguments: list[str], limit: float, database: str | None) -> tuple[float | None, int]:
    """One command: its seconds, None when the limit ended it, and the peak of its process in KB."""
    peak, output = root / "peak", root / "output"
    variables = {**os.environ, **({"BENCH_DATABASE": database} if database else {})}
    begun = time.perf_counter()
    with output.open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "kept_in.py"), way, str(peak), *arguments],
            cwd=root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            _end(process)
            return None, _kilobytes(peak)
    if process.returncode:
        raise RuntimeError(f"{way}, {' '.join(arguments)}: {output.read_text()[-4000:]}")
    return time.perf_counter() - begun, _kilobytes(peak)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt as often as it takes: at the third the command kills its engine."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue


def _kilobytes(peak: Path) -> int:
    return int(peak.read_text()) if peak.exists() else 0


def growth(measured: list[Measured]) -> list[list[str]]:
    """How often longer each step takes from one N to the next."""
    rows = []
    for way, title in WAYS.items():
        mine = [item for item in measured if item.way == way]
        for small, large in pairwise(mine):
            cells = []
            for step in STEPS:
                before, after = small.seconds.get(step), large.seconds.get(step)
                cells.append(f"{after / before:.1f}" if before and after else "–")
            memory = f"{large.megabytes / small.megabytes:.1f}" if large.ended and small.megabytes else "–"
            rows.append([f"{small.count} → {large.count} (×{large.count / small.count:.1f})", title, *cells, memory])
    return rows


def _shown(seconds: float | None, limit: float) -> str:
    if seconds is None:
        return f">{limit:.0f}"
    return f"{seconds:.1f}" if seconds else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[300, 1000, 3000, 10000])
    parser.add_argument("--limit", type=float, default=900, help="seconds that a command may take")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    options = parser.parse_args()
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name, postgres() as server:
        ways = [way for way in options.ways if way != "postgres" or server]
        for count in sorted(options.counts):
            for way in list(ways):
                database = create_database(server, f"n{count}") if server and way == "postgres" else None
                found = measure(Path(name) / f"{way}-{count}", count, way, options.limit, database)
                print(" ".join(found.shown(options.limit)), file=sys.stderr, flush=True)
                measured.append(found)
                if not found.ended:
                    ways.remove(way)
    print(f"Seconds of the whole command, {cores()}, Python {sys.version.split()[0]}.\n")
    print(table(["N", "state", *STEPS, "peak MB"], [item.shown(options.limit) for item in measured]))
    print("\nHow often longer, from one N to the next.\n")
    print(table(["N", "state", *STEPS, "peak MB"], growth(measured)))


if __name__ == "__main__":
    main()
