"""A thousand resources, every step durable, beside their budgets: preview, up, no-op up, destroy.

    .venv/bin/python bench/thousand.py [--rounds 5] [--quick SECONDS] [--what buckets config_maps]

A round is the four commands in turn, since each needs what the one before has left. With `--quick`, what was measured
while the machine was slow is set aside: rounds go on until each command was measured once, or as many rounds are over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measure import STEPS, Quiet, Timing, cores, median, mlinfra, quick_option, table
from scale import project

COUNT = 1_000
BUDGETS = {
    "buckets": {"preview": 2.5, "up": 10.0, "no-op up": 2.5, "destroy": 9.0},
    "config_maps": {"preview": 4.0, "up": 7.0, "no-op up": 2.5, "destroy": 4.0},
}


def rounds(folder: Path, what: str, count: int, bound: float | None) -> tuple[dict[str, list[Timing]], Quiet]:
    """What was measured of each step, in up to `count` rounds."""
    found: dict[str, list[Timing]] = {step: [] for step in STEPS}
    quiet = Quiet(bound, tries=1)
    project(folder, f"{what}: {COUNT}")
    mlinfra(folder, "local", "up", "--stack", "bench")
    try:
        for number in range(count):
            for step, arguments in STEPS.items():
                if timing := quiet.timed(lambda given=arguments: mlinfra(folder, *given, "--stack", "bench")):
                    found[step].append(timing)
                print(what, number, step, len(found[step]), file=sys.stderr, flush=True)
            if bound is not None and all(found.values()):
                break
    finally:
        mlinfra(folder, "local", "down")
    return found, quiet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    quick_option(parser)
    parser.add_argument("--what", nargs="*", choices=list(BUDGETS), default=list(BUDGETS))
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
        for what in options.what:
            found, quiet = rounds(Path(name) / what, what, options.rounds, options.quick)
            for step, timings in found.items():
                seconds = [timing.seconds for timing in timings]
                shown = [median(seconds), f"{min(seconds):.2f}–{max(seconds):.2f}"] if seconds else ["–", "–"]
                peak = f"{max((timing.megabytes for timing in timings), default=0):.0f}"
                rows.append([what, step, *shown, str(len(timings)), f"{BUDGETS[what][step]:.1f}", peak])
            if quiet.loops:
                told = f"two million additions took {min(quiet.loops):.2f}–{max(quiet.loops):.2f} s"
                print(f"{what}: {quiet.aside} set aside; {told}")
    print(f"{cores()}, Python {sys.version.split()[0]}\n")
    print(table(["what", "command", "median s", "min–max s", "counted", "budget s", "largest process MB"], rows))


if __name__ == "__main__":
    main()
