"""The request log: JSON lines, compressed, an object for each flush, in a bucket or a folder.

`<component>/date=YYYY-MM-DD/<hour>-<pod>-<n>.jsonl.gz`. A request only ever adds a line to a list in memory. A thread
of its own writes; while it cannot, lines are kept up to a bound, and what goes beyond it is dropped and counted.
"""

from __future__ import annotations

import gzip
import itertools
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mlinfra.serving.sinks import Sink

_logger: Final = logging.getLogger("mlinfra.serving")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds until a write that failed is tried again; each pause is twice the one before, up to the longest."""
_CLOSING_PAUSE: Final = 0.2
"""The longest pause once the process is about to end."""


def _ignored(count: int) -> None:
    """For a log that nobody counts for."""


@dataclass(slots=True)
class _Batch:
    """Lines of one hour on their way out. A batch that failed is tried again, under the same name."""

    name: str
    lines: int
    size: int
    body: bytes
    compressed: bool = False


class RequestLog:
    """Lines that are gathered, and written a batch at a time.

    A batch is written when `flush_bytes` have come together (before compression), or `flush_seconds` after its first
    line. `most_bytes` bounds what is kept in memory: a line beyond it is dropped, and `dropped` is called with how
    many. Nothing here waits for the sink, or raises, in a request.
    """

    def __init__(
        self,
        sink: Sink,
        component: str,
        pod: str,
        *,
        flush_seconds: float = 60.0,
        flush_bytes: int = 1 << 20,
        most_bytes: int = 16 << 20,
        dropped: Callable[[int], None] = _ignored,
    ) -> None:
        if flush_seconds <= 0 or not 0 < flush_bytes <= most_bytes:
            raise ValueError("a log wants flush_seconds above 0, and flush_bytes above 0 and at most most_bytes")
        self._sink = sink
        self._component = component
        self._pod = re.sub(r"[^A-Za-z0-9.]+", "-", pod) or "pod"
        self._flush_seconds = flush_seconds
        self._flush_bytes = flush_bytes
        self._most_bytes = most_bytes
        self._dropped = dropped
        self._begin()
        # A server that forks its workers (gunicorn's preload) takes the log with it, but not its thread.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._wake = threading.Condition()
        self._hours: dict[str, list[bytes]] = {}
        self._batches: list[_Batch] = []
        self._gathered = 0  # bytes of lines that are in no batch yet
        self._held = 0  # bytes of all lines
        self._oldest = 0.0
        self._asked = False
        self._ends: float | None = None
        self._thread: threading.Thread | None = None
        # Another one in every process: a container that starts again has the pod's name again.
        self._first = f"{time.time_ns() // 1_000_000}{os.getpid():07d}"
        self._number = itertools.count()

    def put(self, line: bytes, at: datetime) -> None:
        """Add the line of a request that came `at` this time; where there is no room, or after `close`, drop it."""
        with self._wake:
            fits = self._ends is None and self._held + len(line) <= self._most_bytes
            if fits:
                self._add(line, at)
        if not fits:
            self._dropped(1)

    def _add(self, line: bytes, at: datetime) -> None:
        first = not self._gathered
        if first:
            self._oldest = time.monotonic()
        self._hours.setdefault(at.astimezone(UTC).strftime("date=%Y-%m-%d/%H"), []).append(line)
        self._gathered += len(line)
        self._held += len(line)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
            self._thread.start()
        elif first or self._gathered >= self._flush_bytes:
            self._wake.notify_all()

    def flush(self, timeout: float = 10.0) -> bool:
        """Write what there is now; False when that was not done within `timeout` seconds: it is tried again later."""
        with self._wake:
            self._asked = bool(self._held)
            self._wake.notify_all()
            return self._wake.wait_for(lambda: not self._held, timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Write what there is, and drop and count what is not written after `timeout` seconds. Twice does no harm."""
        with self._wake:
            if self._ends is None:
                self._ends = time.monotonic() + timeout
            self._asked = True
            self._wake.notify_all()
            self._wake.wait_for(lambda: not self._held, max(0.0, self._ends - time.monotonic()))
            left = sum(map(len, self._hours.values())) + sum(batch.lines for batch in self._batches)
            self._hours, self._batches, self._gathered, self._held = {}, [], 0, 0
        if left:
            self._dropped(left)

    # ------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        pause = 0.0
        while self._wait(pause):
            self._take()
            pause = 0.0 if self._write() else min(_LONGEST_PAUSE, max(_FIRST_PAUSE, pause * 2))

    def _wait(self, pause: float) -> bool:
        """Wait until there is something to write, and for `pause` seconds unless asked; False when the log is over."""
        began = time.monotonic()
        with self._wake:
            while True:
                now, closing = time.monotonic(), self._ends is not None
                if self._ends is not None and (not self._held or now >= self._ends):
                    return False
                at = began + (0.0 if self._asked else min(pause, _CLOSING_PAUSE) if closing else pause)
                if not self._batches and not self._asked and not closing and self._gathered < self._flush_bytes:
                    at = max(at, self._oldest + self._flush_seconds)
                if self._held and now >= at:
                    self._asked = False
                    return True
                self._wake.wait(at - now if self._held else None)

    def _take(self) -> None:
        """Make batches of what was gathered, one for each hour."""
        with self._wake:
            hours, self._hours, self._gathered = self._hours, {}, 0
            for hour, lines in hours.items():
                name = f"{self._component}/{hour}-{self._pod}-{self._first}{next(self._number):06d}.jsonl.gz"
                body = b"".join(lines)
                self._batches.append(_Batch(name, len(lines), len(body), body))

    def _write(self) -> bool:
        """Write the batches, oldest first; False at the first that fails, which stays."""
        for batch in list(self._batches):
            try:
                if not batch.compressed:
                    batch.body, batch.compressed = gzip.compress(batch.body, mtime=0), True
                self._sink.write(batch.name, batch.body)
            except Exception as error:  # whatever a sink may raise: the log goes on
                _logger.warning("The request log was not written, %s is tried again: %s", batch.name, error)
                return False
            with self._wake:
                if batch in self._batches:  # else it was given up on in the meantime
                    self._batches.remove(batch)
                    self._held -= batch.size
                self._wake.notify_all()
        return True
