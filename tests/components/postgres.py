"""PostgreSQL servers for the length of a test, as this machine has them installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest


@dataclass
class Server:
    """A server that runs: its programs, and the folder with its socket and its data."""

    programs: Path
    folder: Path
    port: int
    prefix: Sequence[str] = ()

    def connect(self, user: str, database: str, **more: Any) -> psycopg.Connection[Any]:
        """A connection over the socket, each statement of which is a transaction."""
        given = {"host": str(self.folder), "port": self.port, **more}
        return psycopg.connect(user=user, dbname=database, autocommit=True, **given)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the programs, as the server's own user."""
        command = [*self.prefix, str(self.programs / program), *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


@contextmanager
def server(
    superuser: str,
    *,
    initdb: Sequence[str] = ("--auth=trust",),
    arguments: Sequence[str] = (),
    port: int = 5432,
    password: str = "",
    rules: str = "",
) -> Iterator[Server]:
    """A server whose first user is `superuser`; `rules` are its pg_hba.conf, where they are not what `initdb` writes.

    Skips the test where this machine has no PostgreSQL.
    """
    programs = installed()
    if programs is None:
        pytest.skip("there is no PostgreSQL server on this machine")
    folder, prefix = own_folder()
    made = Server(programs, folder, port, prefix)
    first = folder / "first-password"
    first.write_text(password or "none")
    first.chmod(0o644)
    data = folder / "data"
    ran = made.run("initdb", f"--username={superuser}", f"--pwfile={first}", f"--pgdata={data}", "--no-sync", *initdb)
    assert ran.returncode == 0, ran.stderr
    if rules:
        (data / "pg_hba.conf").write_text(rules)
    command = [*prefix, programs / "postgres", "-D", data, "-k", folder, "-p", str(port), "-c", "fsync=off", *arguments]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(300):
            if made.run("pg_isready", "-q", "-h", str(folder), "-p", str(port)).returncode == 0:
                break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield made
    finally:
        log.close()
        process.send_signal(signal.SIGQUIT)  # its immediate shutdown: nothing of this is needed again
        process.wait()
        shutil.rmtree(folder)


def own_folder() -> tuple[Path, Sequence[str]]:
    """A folder for a server, and what stands before its programs' commands.

    PostgreSQL refuses to run as root, so its own user runs it then: by `setpriv`, since `subprocess` would have to fork
    for it, which the threads of gRPC in this process do not always bear.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # its socket's path must be short
    if os.getuid() != 0:
        return folder, ()
    shutil.chown(folder, "postgres", "postgres")
    return folder, ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--")


def installed() -> Path | None:
    """Where the programs are; None where there are none."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    named = shutil.which("initdb")
    return next((home for home in homes if (home / "initdb").exists()), Path(named).parent if named else None)
