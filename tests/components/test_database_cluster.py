"""What the StatefulSet of a `Database` gives the official image, given to a real PostgreSQL.

The image's entrypoint makes the data with `initdb` and `POSTGRES_INITDB_ARGS`, lets everybody in over the network by
the server's own kind of password, and runs `postgres` with the container's arguments (documentation of the official
image `postgres`; "docker-entrypoint.sh").
"""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from mlinfra.components.database import Database
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.training_cluster import TrainingCluster
from tests.components.postgres import Server, server

IMAGE = "registry.example.com/team/postgres@sha256:" + "0123456789abcdef" * 4
PASSWORD = "as it is generated"
SETTINGS = {"work_mem": "8MB", "max_connections": "37", "log_line_prefix": "%m [%p] it's ", "rds.force_ssl": "1"}


@dataclass
class Started:
    """A container, and the server that runs as it says."""

    container: dict[str, Any]
    env: dict[str, str]
    server: Server

    def sign_in(self, password: str) -> psycopg.Connection[Any]:
        return self.server.connect(
            self.env["POSTGRES_USER"], self.env["POSTGRES_DB"], host="127.0.0.1", password=password, connect_timeout=10
        )


@pytest.fixture
def started(expanded: Any) -> Iterator[Started]:
    def declare() -> Any:
        cluster = TrainingCluster("team")
        data = Database("feature-data", place="cluster", cluster=cluster, image=IMAGE, parameters=SETTINGS)
        return Endpoint("api", cluster=cluster, image=IMAGE, reads=[data])

    (container,) = expanded(declare, "kubeconfig").inputs("feature-data/instance")["spec"]["template"]["spec"][
        "containers"
    ]
    env = {item["name"]: item["value"] for item in container["env"]}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with server(
        env["POSTGRES_USER"],
        initdb=shlex.split(env["POSTGRES_INITDB_ARGS"]),
        arguments=container["args"],
        port=port,
        password=PASSWORD,
    ) as found:
        assert (
            found.run(
                "createdb",
                "-h",
                str(found.folder),
                "-p",
                str(port),
                "-U",
                env["POSTGRES_USER"],
                "-w",
                env["POSTGRES_DB"],
            ).returncode
            == 0
        )
        yield Started(container, env, found)


def test_it_starts_with_the_settings_of_the_blueprint(started: Started) -> None:
    with started.sign_in(PASSWORD) as connection:
        for name, value in SETTINGS.items():
            assert connection.execute(f"SHOW {name}").fetchone() == (value,)


def test_over_the_network_it_wants_the_password_of_the_secret(started: Started) -> None:
    with started.sign_in(PASSWORD) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT 1 AS one")
        assert connection.execute("SELECT one FROM numbers").fetchone() == (1,)
        assert connection.execute("SHOW data_checksums").fetchone() == ("on",)
        secret = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = CURRENT_USER").fetchone()
        assert secret is not None
        assert secret[0].startswith("SCRAM-SHA-256$")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        started.sign_in("another")


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probes_ask_over_the_network(started: Started, probe: str) -> None:
    program, *arguments = started.container[probe]["exec"]["command"]
    asked = started.server.run(program, *arguments, "-p", str(started.server.port))
    assert asked.returncode == 0
    assert arguments[arguments.index("-h") + 1] == "127.0.0.1"
