"""What the engine itself takes for N resources: the least program that can be written for it, beside mlinfra.

    .venv/bin/python bench/least.py [--count 1000] [--rounds 3]

The least program is a host that registers all resources at once and a provider that makes nothing and says yes, each in
a process of its own as in mlinfra, with the engine's settings that mlinfra found fastest. It reads no blueprint, checks
nothing, asks no cloud, shows nothing, and keeps its state in a file that is written when all is over. What mlinfra
takes beyond it is what mlinfra does; what it takes itself no program in Python gets below.
"""

# ruff: noqa: ARG002 — the protocols give methods their arguments

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty
from measure import STEPS, UNCHECKED, cores, loop, median, mlinfra, table, timed
from scale import project

from mlinfra.engine.run import FLAGS, PARALLEL
from mlinfra.engine.session import STACK_TYPE, Session
from mlinfra.engine.verb import Verb
from mlinfra.project import Project
from mlinfra.providers.base import run_plugin, serve
from mlinfra.state.backend import FILES, open_backend
from mlinfra.tools.install import ensure
from mlinfra.wire.protocol import (
    language_pb2,
    language_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)
from mlinfra.wire.server import Server, channel
from mlinfra.wire.values import UNKNOWN_TEXT, encode

THREADS = 64
NAME = "least"
VERBS = {"preview": Verb.PREVIEW, "up": Verb.UP, "no-op up": Verb.UP, "destroy": Verb.DESTROY}


class Nothing(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]  # generated without types
    """A provider that makes nothing: what was asked for is what there is."""

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Create(self, request: Any, context: Any) -> Any:
        return provider_pb2.CreateResponse(id="" if request.preview else "x", properties=request.properties)

    def Delete(self, request: Any, context: Any) -> Any:
        return Empty()


class Host(language_pb2_grpc.LanguageRuntimeServicer):  # type: ignore[misc]  # generated without types
    """A program of N resources, all registered at once."""

    def __init__(self, count: int) -> None:
        self.count = count

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPackagesResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def Run(self, request: Any, context: Any) -> Any:
        with channel(request.monitor_address) as engine:
            monitor = resource_pb2_grpc.ResourceMonitorStub(engine)
            root = monitor.RegisterResource(asked(type=STACK_TYPE, name=NAME, custom=False)).urn
            made = monitor.RegisterResource(asked(type=f"pulumi:providers:{NAME}", name="p", parent=root))
            kind, provider = f"{NAME}:index:Thing", f"{made.urn}::{made.id or UNKNOWN_TEXT}"
            wanted = (
                asked(type=kind, name=f"b{i}", parent=root, provider=provider, object=encode({"bucket": f"b{i}"}))
                for i in range(self.count)
            )
            for answer in [monitor.RegisterResource.future(item) for item in wanted]:
                answer.result()
        return language_pb2.RunResponse()


def asked(*, custom: bool = True, **fields: Any) -> Any:
    return resource_pb2.RegisterResourceRequest(custom=custom, acceptSecrets=True, supportsPartialValues=True, **fields)


def least(step: str, folder: Path, count: int) -> None:
    """One command of the least program."""
    provider = subprocess.Popen([sys.executable, __file__, "--provide"], stdout=subprocess.PIPE, text=True)
    assert provider.stdout
    kept = open_backend(Project(folder), FILES, "passphrase")
    backend = replace(kept, environment={**kept.environment, **UNCHECKED})
    ports = {NAME: int(provider.stdout.readline())}
    session = Session(Project(folder), NAME, "bench", backend, ensure(["pulumi"])["pulumi"], ports)
    session.open()
    verb = VERBS[step]
    with Server(language_pb2_grpc.add_LanguageRuntimeServicer_to_server, Host(count), threads=4) as server:
        arguments = [str(verb), "--stack", "bench", *FLAGS[verb], "--parallel", str(PARALLEL), "--suppress-progress"]
        ended = session.run(*arguments, "--color=never", f"--client={server.address}", "--exec-kind=auto.inline")
    provider.kill()
    provider.communicate()
    sys.exit(0 if ended.succeeded else ended.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--provide", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--step", choices=list(VERBS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.provide:
        run_plugin(serve(Nothing, THREADS))
        return
    if options.step:
        least(options.step, options.folder, options.count)
    found: dict[str, dict[str, list[float]]] = {step: {"least": [], "mlinfra": []} for step in STEPS}
    loops = [loop()]
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
        root = Path(name)
        bare, ours = root / "least", root / "mlinfra"
        bare.mkdir()
        project(ours, f"buckets: {options.count}")
        mlinfra(ours, "local", "up", "--stack", "bench")
        try:
            for number in range(options.rounds):
                for step in STEPS:
                    for side, body in sides(step, bare, ours, options.count).items():
                        found[step][side].append(body())
                    loops.append(loop())
                    print(number, step, {side: times[-1] for side, times in found[step].items()}, file=sys.stderr)
        finally:
            mlinfra(ours, "local", "down")
    rows = [
        [step, *(cell for times in found[step].values() for cell in (median(times), f"{min(times):.2f}"))]
        for step in STEPS
    ]
    print(f"{options.count} resources, {options.rounds} rounds in turn; {cores()}; ", end="")
    print(f"two million additions took {min(loops):.2f}–{max(loops):.2f} s\n")
    print(table(["command", "least: median s", "least: best s", "mlinfra: median s", "mlinfra: best s"], rows))


def sides(step: str, bare: Path, ours: Path, count: int) -> dict[str, Callable[[], float]]:
    """One command of each side."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(bare), "--count", str(count)]
    return {
        "least": lambda: timed(command, bare).seconds,
        "mlinfra": lambda: mlinfra(ours, *STEPS[step], "--stack", "bench").seconds,
    }


if __name__ == "__main__":
    main()
