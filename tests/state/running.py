"""The real engine on a state backend, with a provider whose cloud is a folder. Also a program: one run in a process.

python -m tests.state.running PROJECT BACKEND STACK COUNT VERB
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from mlinfra.emit import Emit, silent
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.registration import Program
from mlinfra.engine.repair import repair
from mlinfra.engine.run import Outcome, run_engine
from mlinfra.engine.session import Session
from mlinfra.engine.verb import Verb
from mlinfra.graph import Graph, Kind, Node, Options, Ref, Secret
from mlinfra.project import Project
from mlinfra.providers.base import serve
from mlinfra.state.backend import Backend, using_backend
from mlinfra.tools.install import ensure
from mlinfra.wire.protocol import plugin_pb2, provider_pb2
from mlinfra.wire.values import decode, encode

SECRET = "correct-horse-battery-staple"
OTHER_SECRET = "tr0ub4dor-and-three"
PROJECT_NAME = "demo"


class FolderProvider:
    """Makes a file for each resource; `fail` in its inputs fails it, its secret in the message."""

    def __init__(self, cloud: Path, seconds: float, compared: list[str]) -> None:
        self.cloud, self.seconds, self.compared = cloud, seconds, compared

    def Attach(self, request: Any, context: Any) -> Any:
        return Empty()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptOutputs=True)

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        self.compared.append(request.urn.rpartition("::")[2])
        before, after = decode(request.old_inputs), decode(request.news)
        changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        changes = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changes, diffs=changed)

    def Create(self, request: Any, context: Any) -> Any:
        name = request.urn.rpartition("::")[2].replace("/", "-")
        inputs = decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=request.properties)
        if inputs.get("fail"):
            context.abort(grpc.StatusCode.UNKNOWN, f"the password {SECRET} is too long")
        time.sleep(self.seconds)
        (self.cloud / name).write_text("")
        return provider_pb2.CreateResponse(id=name, properties=encode({**inputs, "made": True}))

    def Update(self, request: Any, context: Any) -> Any:
        return provider_pb2.UpdateResponse(properties=encode({**decode(request.news), "made": True}))

    def Read(self, request: Any, context: Any) -> Any:
        if not (self.cloud / request.id).exists():
            return provider_pb2.ReadResponse()
        if not request.properties.fields:  # an import: what is there has another password than the program wants
            found = encode({"password": Secret(OTHER_SECRET), "number": 0})
            return provider_pb2.ReadResponse(id=request.id, properties=found, inputs=found)
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: Any, context: Any) -> Any:
        time.sleep(self.seconds)
        (self.cloud / request.id).unlink(missing_ok=True)
        return Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return Empty()


def graph(count: int, *, failing: bool = False, importing: str = "", value: str = "1") -> Graph:
    """`count` things in a component, each with a secret; and, if asked for, one that fails, and one to be imported."""
    options = Options(provider="@tests")
    nodes = {
        "@tests": Node("@tests", "pulumi:providers:tests", {"token": Secret(SECRET)}, Kind.PROVIDER),
        "data": Node("data", "mlinfra:component:Things", {}, Kind.COMPONENT),
    }
    for number in range(count):
        inputs: dict[str, Any] = {"number": number, "value": value, "password": Secret(SECRET)}
        if number:
            inputs["after"] = Ref("data/t0", ("number",))
        nodes[f"data/t{number}"] = Node(f"data/t{number}", "tests:index:Thing", inputs, Kind.RESOURCE, "data", options)
    if failing:
        inputs = {"fail": True, "password": Secret(SECRET)}
        nodes["data/bad"] = Node("data/bad", "tests:index:Thing", inputs, Kind.RESOURCE, "data", options)
    if importing:
        there = replace(options, import_id=importing)
        inputs = {"number": 0, "password": Secret(SECRET)}
        nodes["data/there"] = Node("data/there", "tests:index:Thing", inputs, Kind.RESOURCE, "data", there)
    return Graph(PROJECT_NAME, "1.0.0", "dev", nodes, {"password": Ref("data/t0", ("password",))})


@dataclass
class Stack:
    """A stack on a backend that is open, with the provider serving.

    `compared` are the resources that the engine has asked the provider to compare.
    """

    session: Session
    backend: Backend
    cloud: Path
    compared: list[str]

    def run(
        self,
        verb: Verb,
        count: int = 3,
        *,
        emit: Emit = silent,
        refresh: bool = False,
        expects_changes: bool = True,
        **options: Any,
    ) -> Outcome:
        program = Program(graph(count, **options))
        return run_engine(
            self.session,
            program,
            verb,
            emit,
            refresh=refresh,
            redactor=Redactor(),
            expects_changes=expects_changes,
        )

    def pulumi(self, *arguments: str, code: int = 0) -> str:
        ended = self.session.run(*arguments)
        assert ended.code == code, ended.output
        return ended.output

    def names(self) -> list[str]:
        return sorted(item["urn"].rpartition("::")[2].replace("/", "-") for item in self.session.resources())

    def made(self) -> list[str]:
        return sorted(path.name for path in self.cloud.iterdir())


@contextmanager
def opened(root: Path, url: str = "service", stack: str = "dev", seconds: float = 0.0) -> Iterator[Stack]:
    """A project's stack, opened and repaired as the workflow does."""
    project = Project(root)
    cloud = root / f"cloud-{stack}"
    cloud.mkdir(parents=True, exist_ok=True)
    compared: list[str] = []
    provider = serve(lambda: FolderProvider(cloud, seconds, compared), threads=24)
    with provider as server, using_backend(project, url, "passphrase") as backend:
        session = Session(project, PROJECT_NAME, stack, backend, ensure(["pulumi"])["pulumi"], {"tests": server.port})
        session.open()
        repair(session)
        yield Stack(session, backend, cloud, compared)


def main() -> None:
    root, url, name, count, verb = sys.argv[1:]
    with opened(Path(root), url, name, seconds=0.02) as stack:
        print(json.dumps({"opened": os.getpid()}), flush=True)
        outcome = stack.run(Verb(verb), int(count))
        told = [item.as_json() for item in outcome.diagnostics]
        print(json.dumps({"succeeded": outcome.succeeded, "diagnostics": told}), flush=True)


if __name__ == "__main__":
    main()
