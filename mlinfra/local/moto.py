"""The project's moto server: started where it is not running, one for all stacks, its memory one world an account."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.local import ports, records
from mlinfra.processes import identity, kill
from mlinfra.tools.lock import lock

CONTROL: Final = "/mlinfra/"
"""Paths of the server that are ours; no AWS service has them."""
TOKEN_HEADER: Final = "X-Mlinfra-Token"  # noqa: S105 — the name of a header
RECORD: Final = "server.json"
_START_SECONDS: Final = 60.0
_ANSWER_SECONDS: Final = 5.0
_SCAN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. Whoever has the token may wipe accounts."""

    pid: int
    port: int
    instance: str
    token: str

    @property
    def endpoint(self) -> str:
        """The URL for every AWS service."""
        return f"http://127.0.0.1:{self.port}"


class Moto:
    """The moto server of one project; `folder` has its record and its log.

    `tell` is called with what is being done, when it takes a while.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] | None = None) -> None:
        self._folder = folder
        self._tell = tell

    @property
    def log(self) -> Path:
        """What the server wrote since it was last started."""
        return self._folder / "moto.log"

    def running(self) -> Server | None:
        """The server, if it runs; its process is known by its number and the moment of its start."""
        record = records.read(self._folder / RECORD)
        try:
            server = Server(record["pid"], record["port"], record["instance"], record["token"])
        except KeyError:
            return None
        return server if identity(server.pid) == record.get("identity") else None

    def ensure(self) -> Server:
        """The server, started if it does not run, replaced if it runs and does not answer."""
        if (server := self.running()) and _answers(server):
            return server
        with lock(self._folder / "moto.lock", "starting moto", self._tell):
            server = self.running()
            if server and _answers(server):
                return server
            if server:
                kill([server.pid])
            return self._start()

    def world(self, server: Server, account: str) -> str:
        """A name for the memory that an account has: another name means that what it held is lost."""
        return str(_control(server, "GET", f"world/{account}")["world"])

    def tell_eks(self, server: Server, account: str, record: Mapping[str, Any]) -> None:
        """Say which API server stands for the EKS clusters of an account: `stack`, `blueprint`, `server`, `authority`.

        `looks` makes what EKS does there take as many looks more, as it takes its time on AWS.
        """
        _control(server, "PUT", f"eks/{account}", record)

    def held(self, server: Server, *, watch: bool = False) -> list[dict[str, Any]]:
        """What all accounts hold beside what was there when first it was called with `watch` (`leaks_moto`)."""
        found: list[dict[str, Any]] = _control(server, "POST" if watch else "GET", "held", seconds=_SCAN_SECONDS)[
            "held"
        ]
        return found

    def wipe(self, account: str) -> None:
        """Forget everything in an account; nothing to do where no server runs."""
        if server := self.running():
            _control(server, "DELETE", f"world/{account}")

    def stop(self) -> bool:
        """Stop the server, with all it remembers; whether there was one."""
        with lock(self._folder / "moto.lock", "stopping moto", self._tell):
            server = self.running()
            if server:
                kill([server.pid], gently=True)
        return server is not None

    def _start(self) -> Server:
        if self._tell:
            self._tell("starting moto")
        port = records.read(self._folder / RECORD).get("port") or ports.choose(1)[0]
        receiver, sender = os.pipe()
        command = [sys.executable, "-m", "mlinfra.local.moto_server", str(self._folder), str(port), str(sender)]
        # A daemon: a session of its own, so that Ctrl-C here does not reach it.
        with self.log.open("wb") as log, os.fdopen(receiver) as told:
            process = subprocess.Popen(  # noqa: S603 — our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[sender],
                start_new_session=True,
                cwd=self._folder,
                env=_environment(os.environ),
            )
            os.close(sender)
            ready, _, _ = select.select([told], [], [], _START_SECONDS)
            said = told.readline() if ready else ""
        server = self.running() if said else None
        if server is None:
            kill([process.pid])
            raise self._did_not_start()
        process.returncode = 0  # it goes on without us: Popen is not to warn that nobody waited for it
        return server

    def _did_not_start(self) -> MlinfraError:
        with contextlib.suppress(OSError):
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return MlinfraError(
            Diagnostic(
                "the local AWS (moto) did not start",
                detail=tail or "It wrote nothing.",
                remedy=f"Its log is {self.log}. Try again; `mlinfra doctor` checks what it needs.",
                code="local-aws-not-started",
            )
        )


def _answers(server: Server) -> bool:
    try:
        return bool(_control(server, "GET", "world/")["instance"] == server.instance)
    except MlinfraError:
        return False


def _control(
    server: Server,
    method: str,
    path: str,
    record: Mapping[str, Any] | None = None,
    *,
    seconds: float = _ANSWER_SECONDS,
) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=seconds)
    try:
        body = json.dumps(dict(record)) if record else None
        connection.request(method, f"{CONTROL}{path}", body, {TOKEN_HEADER: server.token})
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise MlinfraError(
            Diagnostic(
                f"the local AWS (moto) at {server.endpoint} does not answer",
                detail=str(error),
                remedy="Run the command again: it is started anew where it does not run.",
                code="local-aws-unreachable",
            )
        ) from None
    finally:
        connection.close()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: without the user's AWS settings, so that nothing of a real account reaches it."""
    kept = {key: value for key, value in environment.items() if not key.startswith(("AWS_", "MOTO_", "COVERAGE_"))}
    return kept | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # 0.5 s a region, and no blueprint of ours asks for an AMI by name
    }
