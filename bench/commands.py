"""Everyday commands on the reference blueprint, beside their budgets; the local target from nothing, and its memory.

.venv/bin/python bench/commands.py [--runs 5]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measure import ROOT, Quiet, Timing, cores, median, mlinfra, quick_option, table

BUDGETS = {
    "--help": 0.3,
    "validate": 0.6,
    "preview": 2.5,
    "no-op up": 3.0,
    "local target from nothing": 8.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    quick_option(parser)
    options = parser.parse_args()
    stack = ("--stack", "dev")
    found: dict[str, list[Timing]] = {name: [] for name in BUDGETS}
    quiet = Quiet(options.quick)

    def measure(folder: Path, name: str, *arguments: str) -> None:
        if timing := quiet.timed(lambda: mlinfra(folder, *arguments)):
            found[name].append(timing)

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
            measure(folder, "--help", "--help")
            measure(folder, "validate", "validate", *stack)
            measure(folder, "preview", "preview", *stack)
            measure(folder, "no-op up", "up", *stack, "--yes")
        mlinfra(folder, "destroy", *stack, "--yes")
        mlinfra(folder, "local", "down")
    rows = [
        [
            name,
            median([timing.seconds for timing in timings]),
            f"{min(timing.seconds for timing in timings):.2f}–{max(timing.seconds for timing in timings):.2f}",
            str(len(timings)),
            f"{BUDGETS[name]:.1f}",
            f"{max(timing.megabytes for timing in timings):.0f}",
        ]
        for name, timings in found.items()
        if timings
    ]
    print(f"{cores()}, Python {sys.version.split()[0]}, {options.runs} runs, {quiet.aside} set aside;")
    if quiet.loops:
        print(f"two million additions took {min(quiet.loops):.2f}–{max(quiet.loops):.2f} s\n")
    print(table(["command", "median s", "min–max s", "counted", "budget s", "largest process MB"], rows))


if __name__ == "__main__":
    main()
