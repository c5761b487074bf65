"""Everyday commands on the reference blueprint, beside their budgets; the local target from nothing, and its memory.

.venv/bin/python bench/commands.py [--runs 5]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measure import Timing, cores, loop, median, table, timed

ROOT = Path(__file__).parents[1]
BUDGETS = {
    "--help": 0.3,
    "validate": 0.6,
    "preview": 2.5,
    "no-op up": 3.0,
    "local target from nothing": 8.0,
}


def mlinfra(folder: Path, *arguments: str) -> Timing:
    """One command, as a user runs it."""
    return timed([str(ROOT / ".venv" / "bin" / "mlinfra"), *arguments], folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    stack = ("--stack", "dev")
    found: dict[str, list[Timing]] = {name: [] for name in BUDGETS}
    loops: list[float] = []
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
        folder = Path(name)
        for part in ("blueprints", "stacks"):
            shutil.copytree(ROOT / part, folder / part)
        mlinfra(folder, "setup")
        for _ in range(options.runs):
            found["local target from nothing"].append(mlinfra(folder, "local", "up", *stack))
            mlinfra(folder, "local", "down")
            shutil.rmtree(folder / ".mlinfra")
        mlinfra(folder, "up", *stack, "--yes")
        for _ in range(options.runs):
            loops.append(loop())
            found["--help"].append(mlinfra(folder, "--help"))
            found["validate"].append(mlinfra(folder, "validate", *stack))
            found["preview"].append(mlinfra(folder, "preview", *stack))
            found["no-op up"].append(mlinfra(folder, "up", *stack, "--yes"))
        mlinfra(folder, "destroy", *stack, "--yes")
        mlinfra(folder, "local", "down")
    rows = [
        [
            name,
            median([timing.seconds for timing in timings]),
            f"{min(timing.seconds for timing in timings):.2f}–{max(timing.seconds for timing in timings):.2f}",
            f"{BUDGETS[name]:.1f}",
            f"{max(timing.megabytes for timing in timings):.0f}",
        ]
        for name, timings in found.items()
    ]
    print(f"{cores()}, Python {sys.version.split()[0]}, {options.runs} runs;")
    print(f"two million additions took {min(loops):.2f}–{max(loops):.2f} s\n")
    print(table(["command", "median s", "min–max s", "budget s", "largest process MB"], rows))


if __name__ == "__main__":
    main()
