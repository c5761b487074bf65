"""What the tests of the state share: stores on SQLite and on a Postgres of their own, a client, an engine to run."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from mlinfra.state.context import Context, NoSecrets
from mlinfra.state.http import Front
from mlinfra.state.requests import Caller, Callers
from mlinfra.state.service import Protocol
from mlinfra.state.states import ORGANIZATION, ServiceStates
from mlinfra.state.store import Store, open_store
from tests.components.postgres import installed, own_folder

TOKEN = "the-token-of-alice"
STRANGER = "the-token-of-bob"
STACK = f"/api/stacks/{ORGANIZATION}/demo/dev"
JSON = "application/json"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a Postgres server of our own, without a database's name."""
    binaries = installed()
    if binaries is None:
        pytest.skip("there is no Postgres server on this machine")
    folder, prefix = own_folder()
    data = folder / "data"
    initdb = [*prefix, binaries / "initdb", "-D", data, "-A", "trust", "-U", "tests", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
    command = [*prefix, binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"postgresql://tests@/{{name}}?host={folder}"
    finally:
        server.send_signal(signal.SIGQUIT)  # its immediate shutdown: nothing of this is needed again
        server.wait()
        shutil.rmtree(folder)


@pytest.fixture
def database(postgres: str) -> str:
    """The address of an empty database."""
    name = f"t{time.monotonic_ns()}"
    url = sqlalchemy.make_url(postgres.format(name="postgres")).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    for left in range(200, -1, -1):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            break
        except sqlalchemy.exc.OperationalError:  # the server is still starting
            if not left:
                raise
            time.sleep(0.1)
    engine.dispose()
    return postgres.format(name=name)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store, on each database."""
    url = request.getfixturevalue("database") if request.param == "postgres" else None
    opened = open_store(tmp_path / "state", url)
    yield opened
    opened.close()


@pytest.fixture
def states(store: Store) -> ServiceStates:
    """The same store from within the process."""
    return ServiceStates(Context(store, NoSecrets()))


@dataclass
class Answer:
    """A reply: its status, and its JSON."""

    status: int
    body: dict[str, Any]


@dataclass
class Client:
    """A connection to a service, as alice."""

    host: str
    port: int
    context: Context
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=60)

    def call(
        self, method: str, path: str, body: Any = None, *, token: str = f"token {TOKEN}", **headers: str
    ) -> Answer:
        """Send a request; `body` is sent as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"Authorization": token, "Content-Type": JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}
        self.connection.request(method, path, data, sent)
        reply = self.connection.getresponse()
        read = reply.read()
        return Answer(reply.status, json.loads(read) if read else {})

    def started(self, kind: str = "update", **options: Any) -> tuple[str, str]:
        """The path and the lease's credentials of an update that was started."""
        made = self.call("POST", f"{STACK}/{kind}", {"options": options}, User_Agent="pulumi-cli/1 (v3.222.0; linux)")
        path = f"{STACK}/update/{made.body['updateID']}"
        begun = self.call("POST", path, {"journalVersion": 1})
        assert begun.status == 200, begun.body
        return path, f"update-token {begun.body['token']}"


@pytest.fixture
def client(store: Store) -> Iterator[Client]:
    """A client of a service on each store, on which there is a stack `demo/dev`."""
    context = Context(store, NoSecrets())
    callers = {TOKEN: Caller("alice", frozenset({ORGANIZATION})), STRANGER: Caller("bob", frozenset({"elsewhere"}))}
    front = Front(Protocol(context, Callers(callers)))
    context.url = f"http://{front.host}:{front.port}"
    made = Client(front.host, front.port, context)
    assert made.call("POST", f"/api/stacks/{ORGANIZATION}/demo", {"stackName": "dev"}).status == 200
    yield made
    made.connection.close()
    front.close()


def resource(name: str, **fields: Any) -> dict[str, Any]:
    """A resource as the engine stores one."""
    token = fields.pop("type", "tests:index:Thing")
    urn = f"urn:pulumi:dev::demo::{token}::{name}"
    return {"urn": urn, "custom": True, "type": token, "id": name, **fields}


def steps(*names: str, first: int = 1) -> list[dict[str, Any]]:
    """A journal in which things are created one after another."""
    entries = []
    for offset, name in enumerate(names):
        operation = first + offset
        common = {"version": 1, "operationID": operation, "removeOld": None, "removeNew": None}
        begin = {"resource": resource(name, id=""), "type": "creating"}
        entries.append({**common, "kind": 0, "sequenceID": 2 * operation - 1, "operation": begin})
        entries.append({**common, "kind": 1, "sequenceID": 2 * operation, "state": resource(name)})
    return entries
