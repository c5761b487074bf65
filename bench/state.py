"""N buckets on each way to keep a state: what journalling, durability and the database cost.

    .venv/bin/python bench/state.py 300 1000 [--rounds 3] [--postgres postgresql://user@/name?host=/folder]

The real engine on moto through the embedded provider, in this process; the ways take turns in each round, so that what
drifts, drifts for all. `file, unchecked` is the file backend with checkpoints skipped: nothing is kept until the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import cores, median, table

from mlinfra.engine.registration import Program
from mlinfra.engine.run import Verb, run_engine
from mlinfra.engine.session import Session
from mlinfra.graph import Graph, Kind, Node, Options
from mlinfra.local.moto import Moto
from mlinfra.project import Project
from mlinfra.providers.aws.configuration import local_inputs
from mlinfra.providers.aws.provider import serve
from mlinfra.report import silent
from mlinfra.state.backend import Backend, open_backend
from mlinfra.state.service import serve_state
from mlinfra.tools.install import ensure

STEPS = (("preview", Verb.PREVIEW), ("up", Verb.UP), ("no-op preview", Verb.PREVIEW), ("no-op up", Verb.UP))
STEPS_ALL = (*STEPS, ("refresh", Verb.REFRESH), ("destroy", Verb.DESTROY))
UNCHECKED = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}


def program(count: int, endpoint: str) -> Program:
    """`count` buckets."""
    nodes = {"@aws": Node("@aws", "pulumi:providers:aws", {"region": "us-east-1"}, Kind.PROVIDER)}
    for number in range(count):
        name = f"b{number}"
        inputs = {"bucket": f"mlinfra-bench-{number}"}
        nodes[name] = Node(name, "aws:s3/bucket:Bucket", inputs, Kind.RESOURCE, None, Options(provider="@aws"))
    return Program(Graph("bench", "1.0.0", "bench", nodes, {}), {"@aws": local_inputs(endpoint, "us-east-1")})


@contextmanager
def backend(way: str, project: Project, postgres: str | None) -> Iterator[Backend]:
    """One way to keep the state."""
    if way.startswith("file"):
        opened = open_backend(project, "local", "passphrase")
        extra = UNCHECKED if way == "file, unchecked" else {}
        yield dataclasses.replace(opened, environment={**opened.environment, **extra})
        return
    with serve_state(project, database=postgres if way == "service, Postgres" else None) as service:
        environment = service.environment()
        yield Backend(service.url, "default", local=True, environment=environment, states=service.states)


def measure(way: str, count: int, root: Path, endpoint: str, postgres: str | None) -> dict[str, float]:
    """Seconds of each step, the engine's start included."""
    project = Project(root)
    found: dict[str, float] = {}
    with serve() as provider, backend(way, project, postgres) as kept:
        session = Session(project, "bench", f"n{count}", kept, ensure(["pulumi"])["pulumi"], {"aws": provider.port})
        session.open()
        made = program(count, endpoint)
        for name, verb in STEPS_ALL:
            outcome = run_engine(session, made, verb, silent)
            if not outcome.succeeded:
                raise RuntimeError(f"{way}, {count}, {name}: {outcome.diagnostics}\n{outcome.debug[-2000:]}")
            found[name] = outcome.seconds
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[300, 1000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--postgres", help="URL of an empty Postgres database")
    parser.add_argument("--file-most", type=int, default=1000, help="largest N for the file backend: it is quadratic")
    options = parser.parse_args()
    ways = ["file", "file, unchecked", "service, SQLite", *(["service, Postgres"] if options.postgres else [])]
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as folder:
        moto = Moto(Path(folder))
        try:
            endpoint = moto.ensure().endpoint
            for count in options.counts:
                taken = [way for way in ways if way != "file" or count <= options.file_most]
                found: dict[str, list[dict[str, Any]]] = {way: [] for way in taken}
                for number in range(options.rounds):
                    for way in taken:
                        # Postgres keeps one database, and so one key, through all of it.
                        postgres = way == "service, Postgres"
                        root = Path(folder) / ("postgres" if postgres else f"{way}-{count}-{number}".replace(", ", "-"))
                        found[way].append(measure(way, count, root, endpoint, options.postgres))
                        print(way, count, found[way][-1], file=sys.stderr, flush=True)
                for way in taken:
                    steps = [median([item[name] for item in found[way]]) for name, _ in STEPS_ALL]
                    rows.append([str(count), way, *steps])
        finally:
            moto.stop()
    print(f"Seconds, medians of {options.rounds}, on {cores()}.\n")
    print(table(["N", "state", *(name for name, _ in STEPS_ALL)], rows))


if __name__ == "__main__":
    main()
