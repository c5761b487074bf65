"""How long a program takes to register N buckets with the engine: mlinfra's language host and the SDK's classes.

    .venv/bin/python bench/registration.py 100 300 1000 3000

What is timed is the engine's call `LanguageRuntime.Run` in a preview of N new buckets, from within each side's own
process: no start of a command, no state, the same engine and the same embedded providers.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import cores, median, table
from scale import mlinfra_steps

SIDES = ("mlinfra", "sdk")


def run_side(side: str, folder: Path, count: int) -> None:
    """Preview N buckets in this process, and print how long the call took."""
    if side == "mlinfra":
        from mlinfra.cli.main import main
        from mlinfra.engine.host import LanguageHost as Host

        sys.argv = ["mlinfra", "preview", "--stack", "bench", "--json"]
    else:
        from pulumi.automation._server import LanguageServer as Host
        from sdk_program import main

        sys.argv = ["sdk_program.py", str(folder), "buckets", str(count), "preview"]
    Host.Run = _timed(Host.Run)
    main()


def _timed(run: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        begun = time.perf_counter()
        try:
            return run(*arguments)
        finally:
            print(f"registered in {time.perf_counter() - begun}", file=sys.stderr, flush=True)

    return timed


def registered(side: str, project: Path, count: int) -> float:
    """Seconds of one run of a side."""
    folder = project / "sdk"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), str(count)]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("registered in ")]
    return float(line.rpartition(" ")[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[100, 300, 1000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sdk-most", type=int, default=1000, help="largest N for the SDK's side")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run_side(options.side, options.folder, options.counts[0])
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
        for count in options.counts:
            project = Path(name) / str(count)
            mlinfra_steps(project, f"buckets: {count}")
            found: dict[str, list[float]] = {side: [] for side in SIDES}
            for _ in range(options.runs):
                for side in SIDES if count <= options.sdk_most else SIDES[:1]:
                    found[side].append(registered(side, project, count))
            subprocess.run([sys.executable, "-m", "mlinfra", "local", "down"], cwd=project, check=True)
            ours, theirs = median(found["mlinfra"]), median(found["sdk"]) if found["sdk"] else ""
            rows.append([str(count), ours, theirs, f"{float(theirs) / float(ours):.1f}" if theirs else ""])
            print(rows[-1], file=sys.stderr, flush=True)
    print(f"Seconds, median of {options.runs}; {cores()}\n")
    print(table(["buckets", "mlinfra", "SDK classes", "times"], rows))


if __name__ == "__main__":
    main()
