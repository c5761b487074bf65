"""A Postgres server for the length of a measurement, as durable as it comes: every commit is synced to the disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of a server of our own, `{name}` in the place of a database's name; None where none is installed."""
    binaries = _binaries()
    if binaries is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # its socket's path must be short
    how: dict[str, Any] = {}
    if os.getuid() == 0:  # Postgres refuses to run as root
        shutil.chown(folder, "postgres")
        how = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data = folder / "data"
    initdb = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "bench"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **how)
    command = [binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
    try:
        _wait(binaries, folder)
        yield f"postgresql://bench@/{{name}}?host={folder}"
    finally:
        server.send_signal(signal.SIGQUIT)  # its immediate shutdown: nothing of this is needed again
        server.wait()
        shutil.rmtree(folder)


def create_database(url: str, name: str) -> str:
    """An empty database on the server; its URL."""
    host = url.partition("host=")[2]
    binaries = _binaries()
    assert binaries is not None
    subprocess.run([binaries / "createdb", "-h", host, "-U", "bench", name], check=True, capture_output=True)
    return url.format(name=name)


def _binaries() -> Path | None:
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    named = shutil.which("initdb")
    return next((home for home in homes if (home / "initdb").exists()), Path(named).parent if named else None)


def _wait(binaries: Path, folder: Path) -> None:
    for _ in range(300):
        if subprocess.run([binaries / "pg_isready", "-h", folder], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError("Postgres did not start")
