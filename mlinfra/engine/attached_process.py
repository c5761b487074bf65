"""The process behind `mlinfra.engine.attached`: `python -m mlinfra.engine.attached_process`.

It reads three lines of JSON: the packages to load; where to log creates, which it answers with the ports of its
providers; which creations were cut off, which it answers with nothing.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra.engine.begun import Begun
from mlinfra.providers import aws, kubernetes
from mlinfra.wire.server import Server

_LOADS = {"aws": aws.prepare, "kubernetes": kubernetes.load}


def main() -> None:
    """Serve until standard input ends."""
    packages = _read()
    if not packages:
        return
    for package in packages:
        _LOADS[package]()
    gc.freeze()  # what is loaded now lives as long as the process: looking for garbage passes it over
    settings = _read()
    unfinished: dict[str, set[str]] = {}
    servers = {package: _serve(package, settings, unfinished) for package in packages}
    _answer({package: server.port for package, server in servers.items()})
    unfinished |= {urn: set(ids) for urn, ids in _read().items()}
    _answer({})
    sys.stdin.read()


def _serve(package: str, settings: Mapping[str, Any], unfinished: Mapping[str, set[str]]) -> Server:
    begun = Begun(Path(settings["begun"]))
    if package == "aws":
        return aws.serve(unfinished, begun)
    kubeconfig = settings["kubeconfig"]
    return kubernetes.serve(creates=begun, local=kubeconfig and Path(kubeconfig))


def _read() -> Any:
    """A line; the process is over where there is none any more."""
    line = sys.stdin.readline()
    return json.loads(line) if line else _end()


def _answer(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _end() -> None:
    # Whoever waits for a cluster or for AWS is not waited for: nobody is there to be answered.
    os._exit(0)


if __name__ == "__main__":
    main()
    _end()
