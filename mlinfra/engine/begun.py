"""Which creates the embedded providers have begun in this run, noted before AWS or the cluster is asked for anything.

The engine notes in its state, too, what it is in the middle of. But an engine whose mlinfra was killed takes the loss
of its providers for a refusal: with its own backends it strikes the create out of the state as one that never was.
This log is what is left then. It is gone when a run ends in good order, whatever came of it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Begun:
    """The log of one stack; safe for threads.

    A line for each thing that happens, handed to the system at once: it outlives this process. A power cut would take
    the engine, too, and then the engine's own notes are what they should be.
    """

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def begin(self, urn: str) -> None:
        """A create is about to be asked for."""
        self._add(urn, None)

    def end(self, urn: str, resource_id: str) -> None:
        """It has made a resource; an empty id: it was refused, and nothing was made."""
        self._add(urn, resource_id)

    def clear(self) -> None:
        """The run ended in good order."""
        self.path.unlink(missing_ok=True)

    def unfinished(self, known: Mapping[str, Set[str]]) -> set[str]:
        """The URNs of creates that may have made something that the state does not know; `known` are the ids it has."""
        if not self.path.exists():
            return set()
        last: dict[str, str | None] = {}
        for line in self.path.read_bytes().split(b"\n")[:-1]:  # a line without its end was cut off
            urn, resource_id = json.loads(line)
            last[urn] = resource_id
        return {urn for urn, found in last.items() if found is None or (found and found not in known.get(urn, ()))}

    def _add(self, urn: str, resource_id: str | None) -> None:
        line = json.dumps([urn, resource_id]).encode() + b"\n"
        with self._lock:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)
