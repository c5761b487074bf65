"""The `mlinfra` command, its state kept in a way that stack files do not offer; what `state.py` runs.

    BENCH_DATABASE=URL python bench/kept_in.py files|unchecked|sqlite|postgres PEAK COMMAND …

`unchecked` is the engine's file backend with checkpoints skipped: nothing is kept until the end of a run. `postgres` is
the state service on the Postgres database at URL. The largest size of this process, in KB, is written to the file PEAK.
"""

from __future__ import annotations

import atexit
import functools
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from measure import UNCHECKED

from mlinfra.cli.main import main
from mlinfra.engine.session import Session
from mlinfra.state import service


def write_peak(path: Path) -> None:
    path.write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def skip_checkpoints() -> None:
    told = Session.environment

    def environment(session: Session, **how: bool) -> dict[str, str]:
        return {**told(session, **how), **UNCHECKED}

    Session.environment = environment  # type: ignore[method-assign]


def use_postgres(url: str) -> None:
    service.serve_state = functools.partial(service.serve_state, database=url)
    service.states_of = functools.partial(service.states_of, database=url)


def run(way: str, peak: Path, arguments: list[str], environment: Mapping[str, str]) -> None:
    atexit.register(write_peak, peak)
    if way == "unchecked":
        skip_checkpoints()
    if way == "postgres":
        use_postgres(environment["BENCH_DATABASE"])
    sys.argv = ["mlinfra", *arguments]
    main()


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), sys.argv[3:], os.environ)
