"""The engine's own replayer, built from main.go beside this file and run as a process that answers line by line."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlinfra.project import cache_folder
from mlinfra.tools.go import find_go
from mlinfra.tools.lock import lock
from mlinfra.tools.process import run

HERE = Path(__file__).parent
VERSION = "v3.222.0"


class EngineError(Exception):
    """The engine's replayer has returned an error, or panicked."""


def build() -> Path:
    """The program, from the cache or built by the machine's Go, else by the one that tools are built with."""
    sources = [HERE / name for name in ("go.mod", "go.sum", "main.go")]
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    program = cache_folder() / "tests" / f"replayer-{digest}"
    with lock(program.with_suffix(".lock"), "building the engine's replayer"):
        if not program.exists():
            go = find_go(lambda detail: None)
            draft = program.with_suffix(".draft")
            run([go.path, "build", "-o", draft, "."], go.environment, HERE)
            draft.replace(program)
    return program


class Replayer:
    """A running replayer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def replay(self, base: dict[str, Any] | None, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """`version`, `features` and `deployment`; raises `EngineError`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"base": base, "entries": entries, "version": VERSION}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer


@contextmanager
def running() -> Iterator[Replayer]:
    """A replayer for the length of a `with` block."""
    process = subprocess.Popen(
        [build()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ.get("PATH", "")}
    )
    try:
        yield Replayer(process)
    finally:
        process.communicate()
        assert process.returncode == 0
