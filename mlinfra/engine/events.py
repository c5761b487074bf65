"""The engine's events, read from its event log and told as our own.

The log is a named pipe: events are handled as they come, and nothing that the engine might put in one is written to
disk. Its form is `apitype.EngineEvent` (sdk/go/common/apitype/events.go of pulumi/pulumi), one JSON object a line.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mlinfra.emit import Emit
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.verb import Verb
from mlinfra.graph import Graph
from mlinfra.naming import component_of, name_of
from mlinfra.report import Operation, PropertyChange, State, Step, Working
from mlinfra.wire.values import parse_property_path

_OPERATIONS = {
    "same": Operation.SAME,
    "create": Operation.CREATE,
    "update": Operation.UPDATE,
    "delete": Operation.DELETE,
    "create-replacement": Operation.REPLACE,
    "read": Operation.READ,
    "read-replacement": Operation.READ,
    "refresh": Operation.REFRESH,
    "discard": Operation.FORGET,
    "discard-replaced": Operation.FORGET,
    "import": Operation.IMPORT,
    "import-replacement": Operation.IMPORT,
}
"""The engine's operations. Of the three parts of a replacement the making of the new one stands for the whole."""

_PARTS = ("replace", "delete-replaced", "remove-pending-replace")
_REMOVING = ("delete", "replace", "delete-replaced", "read-replacement", "import-replacement")
_COLOR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")
_BEGINS = re.compile(rb'\{"sequence":\d+,(?:"timestamp":\d+,)?"resourcePreEvent":\{"metadata":\{"op":"([a-z-]+)"')
"""How the engine writes that a step begins: half of all events, known by their first bytes."""
_UNKNOWN = re.compile(r"04da6b54-80e4-46f7-96ec-b56ff0331ba9|output<[^>]*>")


@dataclass
class Told:
    """What the events of one run said."""

    steps: list[Step] = field(default_factory=list)
    counts: Counter[Operation] = field(default_factory=Counter)
    messages: list[tuple[str, str, str]] = field(default_factory=list)
    """Severity, node name ("" for none) and text of each diagnostic of the engine."""
    gone: dict[str, Step] = field(default_factory=dict)
    """What is deleted, or replaced by another, by the URN that it has in the state."""


class EventReader:
    """Reads the events of one engine process from a named pipe in a thread of its own.

    A preview only plans: its steps are for the report, nothing is happening. A refresh only reads: what the engine
    calls an update or a deletion was done by somebody else.
    """

    def __init__(self, pipe: Path, graph: Graph, emit: Emit, redactor: Redactor, verb: Verb) -> None:
        self.told = Told()
        self._verb, self._plans, self._reads = verb, verb is Verb.PREVIEW, verb is Verb.REFRESH
        self._pipe, self._graph, self._emit, self._redactor = pipe, graph, emit, redactor
        self._started: dict[tuple[str, str], float] = {}
        self._trouble: BaseException | None = None
        self._over = threading.Event()
        self._handlers: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "resourcePreEvent": self._begun,
            "resOutputsEvent": self._done,
            "resOpFailedEvent": self._failed,
            "diagnosticEvent": self._message,
            "summaryEvent": self._end,
            "cancelEvent": self._end,
        }
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe, 0o600)
        # Opened for both, so that neither opening nor the end of a writer ever blocks or ends the reading.
        self._handle = os.open(pipe, os.O_RDWR)
        self._thread = threading.Thread(target=self._read, name="engine-events", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether the engine has told that nothing more is made or changed: by its summary, or the last event."""
        return self._over.is_set()

    def close(self) -> Told:
        """Read what is left after the engine has gone, and say what was told; raises what `emit` failed with."""
        os.write(self._handle, b"\n\x00\n")
        self._thread.join()
        os.close(self._handle)
        self._pipe.unlink(missing_ok=True)
        if self._trouble is not None:
            raise self._trouble
        return self.told

    def _read(self) -> None:
        self._tell(self._emit, Working(self._verb))  # views load what they show with while the engine starts
        rest = b""
        while True:
            *lines, rest = (rest + os.read(self._handle, 1 << 20)).split(b"\n")
            for line in lines:
                if line == b"\x00":
                    return
                if line:
                    self._event(line)

    def _event(self, line: bytes) -> None:
        if (begins := _BEGINS.match(line)) and not self._is_begun(begins[1].decode()):
            return  # before it is parsed, which costs more than all else
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            return  # the torn last line of an engine that was killed
        for kind, handle in self._handlers.items():
            if kind in event:
                self._tell(handle, event[kind])

    def _tell(self, handle: Callable[[Any], None], what: Any) -> None:
        try:
            handle(what)
        except BaseException as error:  # a pipe that nobody reads any more would stop the engine for good
            self._trouble = self._trouble or error

    # ------------------------------------------------------------------------------------ steps

    def _is_begun(self, operation: str) -> bool:
        """Whether anything begins: not in a plan, and not where a resource stays as it is."""
        return not self._plans and operation != "same"

    def _begun(self, event: Mapping[str, Any]) -> None:
        metadata = event["metadata"]
        if not self._is_begun(metadata["op"]):
            return
        self._started[metadata["urn"], metadata["op"]] = time.monotonic()
        if step := self._step(metadata, State.STARTED):
            self._emit(step)

    def _done(self, event: Mapping[str, Any]) -> None:
        metadata = event["metadata"]
        step = self._step(metadata, State.DONE)
        if step is None:
            return
        self._lose(metadata, step)
        if metadata.get("op") in _PARTS:
            return
        if step.operation is Operation.REFRESH and not step.changes:
            return  # read, and found as it was; the engine tells it once more as the same
        self.told.counts[step.operation] += 1
        if step.operation not in (Operation.SAME, Operation.READ):
            self.told.steps.append(step)
        if not self._plans:
            self._emit(step)

    def _lose(self, metadata: Mapping[str, Any], step: Step) -> None:
        """Note what goes. Of the parts of a replacement, one that says what forces it says more than the others."""
        if metadata["op"] in _REMOVING:
            urn = (metadata.get("old") or {}).get("urn") or metadata["urn"]
            known = self.told.gone.get(urn)
            if known is None or (step.replaces and not known.replaces):
                self.told.gone[urn] = step

    def _failed(self, event: Mapping[str, Any]) -> None:
        if step := self._step(event["metadata"], State.FAILED):
            self._emit(step)

    def _step(self, metadata: Mapping[str, Any], state: State) -> Step | None:
        """The step, or None for what is no resource: the stack itself, components, provider instances."""
        urn, kind = metadata["urn"], metadata["type"]
        either = metadata.get("new") or metadata.get("old") or {}
        if kind.startswith("pulumi:") or not either.get("custom", False):
            return None
        name = name_of(urn)
        node = self._graph.nodes.get(name)
        component = node.component if node else component_of(name)
        operation = _OPERATIONS.get(metadata["op"], Operation.REPLACE)
        if self._reads and operation in (Operation.UPDATE, Operation.DELETE):
            operation = Operation.REFRESH
        begun = self._started.get((urn, metadata["op"]))
        quiet = operation in (Operation.SAME, Operation.READ)
        return Step(
            node=name,
            type=kind,
            component=component,
            operation=operation,
            state=state,
            changes=() if quiet else self._changes(metadata, node.options.ignore_changes if node else ()),
            replaces=tuple(metadata.get("keys") or ()),
            seconds=time.monotonic() - begun if begun and state is not State.STARTED else 0.0,
        )

    def _changes(self, metadata: Mapping[str, Any], ignored: Sequence[str]) -> tuple[PropertyChange, ...]:
        """What differs. What is somebody else's to change is no change that a refresh has found."""
        detailed = metadata.get("detailedDiff") or {}
        old, new = metadata.get("old") or {}, metadata.get("new") or {}
        read = metadata["op"] == "refresh" or self._reads
        changes = []
        for path, difference in sorted(detailed.items()):
            if read and any(_is_within(path, other) for other in ignored):
                continue
            side = "inputs" if difference.get("inputDiff") else "outputs"
            before = _at(old.get(side) or {}, path)
            after = _at(new.get("inputs") or {}, path)
            if read:
                before, after = _at(old.get("outputs") or {}, path), _at(new.get("outputs") or {}, path)
            kind = str(difference.get("diffKind", "update")).removesuffix("-replace")
            changes.append(PropertyChange(path, kind, self._shown(before), self._shown(after)))
        if read and old and not new:  # somebody has deleted it
            changes.append(PropertyChange("id", "delete", self._shown(old.get("id")), None))
        return tuple(changes)

    def _shown(self, value: Any) -> Any:
        value = self._redactor.data(value)
        if isinstance(value, str) and _UNKNOWN.fullmatch(value):
            return "(known after apply)"
        return value

    def _end(self, _: Mapping[str, Any]) -> None:
        self._over.set()

    # ------------------------------------------------------------------------------------ messages

    def _message(self, event: Mapping[str, Any]) -> None:
        if event.get("ephemeral") or event.get("severity") == "debug":
            return
        text = self._redactor.text(_COLOR.sub("", event.get("message") or "")).strip()
        if text:
            node = name_of(event.get("urn") or "")
            self.told.messages.append((event.get("severity") or "info", node, text))


def _is_within(path: str, other: str) -> bool:
    """Whether a property path leads to what another one leads to, or further in; `*` stands for any name or index."""
    parts, wanted = parse_property_path(path), parse_property_path(other)
    return len(parts) >= len(wanted) and all(b in ("*", a) for a, b in zip(parts, wanted, strict=False))


def _at(value: Any, path: str) -> Any:
    """The value at a property path in the engine's notation, None where there is none."""
    for part in parse_property_path(path):
        if isinstance(value, Mapping):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value
