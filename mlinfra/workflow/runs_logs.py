"""What the pods of a run write: each is followed by a thread of its own, and all come as one stream of lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from queue import Empty, Full, Queue
from typing import Final

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError, UnreachableError
from mlinfra.runs import JobPod, JobRun, LogLine, Phase
from mlinfra.workflow.runs_state import pod_of

AT_ONCE: Final = 32
"""How many pods are followed at the same time: each takes a connection. Others follow as these end."""
_HELD: Final = 10_000  # lines that wait to be shown: a terminal is slower than a cluster
_PAUSE: Final = 1.0
_REST_SECONDS: Final = 10.0
_NOT_STARTED: Final = "waiting to start"  # the API server's words, with status 400


class Logs:
    """The logs of one run's pods. `tail` is how many of the last lines of each pod to begin with, 0 for all."""

    def __init__(self, cluster: Cluster, run: JobRun, *, tail: int = 0) -> None:
        self.trouble: MlinfraError | None = None
        """Why the log of a pod cannot be read: the first that could not."""
        self.left_out = False
        """Whether there were more pods than are followed at the same time."""
        self._cluster, self._run, self._tail = cluster, run, tail
        self._queue: Queue[LogLine] = Queue(_HELD)
        self._threads: dict[str, threading.Thread] = {}
        self._stopped = threading.Event()

    def follow(self, pod: JobPod) -> None:
        """Read what a pod writes, if nobody does so yet; one whose container has not started is left for later."""
        if pod.phase in (Phase.WAITING, Phase.STARTING) or pod.name in self._threads:
            return
        if self._alive() >= AT_ONCE:
            self.left_out = True
            return
        thread = threading.Thread(target=self._read, args=(pod,), name=f"log of {pod.name}", daemon=True)
        self._threads[pod.name] = thread
        thread.start()

    def lines(self, seconds: float) -> Iterator[LogLine]:
        """The lines that come within a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                yield self._queue.get(timeout=left)
            except Empty:
                return

    def rest(self) -> Iterator[LogLine]:
        """What pods that have ended wrote last: until all of it has come, or it takes too long."""
        end = time.monotonic() + _REST_SECONDS
        while self._alive() and time.monotonic() < end:
            yield from self.lines(0.05)
        while not self._queue.empty():
            yield self._queue.get()

    def stop(self) -> None:
        """Read no further. Threads end with their next line, or with the process."""
        self._stopped.set()

    def _alive(self) -> int:
        """How many pods are read just now; a pod's thread may take itself away in this moment."""
        return sum(thread.is_alive() for thread in list(self._threads.values()))

    # ------------------------------------------------------------------------------------ in a pod's thread

    def _read(self, pod: JobPod) -> None:
        seen, follow = _Seen(), not pod.phase.ended
        while not self._stopped.is_set():
            try:
                for moment, text in self._cluster.logs(
                    self._run.namespace,
                    pod.name,
                    container=pod.container,
                    follow=follow,
                    since=seen.moment,
                    tail=0 if seen.moment else self._tail,
                ):
                    line = LogLine(self._run.name, pod.name, pod.part, text, moment, pod.rank)
                    if seen.is_new(moment) and not self._put(line):
                        return
                if not follow or not self._writes_on(pod):
                    return
            except UnreachableError:  # the connection was lost, or nothing came on it for long
                with suppress(MlinfraError):
                    follow = self._writes_on(pod)
            except MlinfraError as error:
                if isinstance(error, ApiError) and error.status == 400 and _NOT_STARTED in error.message:
                    self._threads.pop(pod.name, None)
                else:
                    self.trouble = self.trouble or error
                return
            seen.again()
            self._stopped.wait(_PAUSE)

    def _put(self, line: LogLine) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(line, timeout=_PAUSE)
            except Full:
                continue
            return True
        return False

    def _writes_on(self, pod: JobPod) -> bool:
        """Whether the container still runs, so that its log ended because something between here and it has."""
        live = self._cluster.get("v1", "Pod", pod.name, self._run.namespace)
        return live is not None and pod_of(live).phase is Phase.RUNNING


class _Seen:
    """Which lines were read already, for a log that is asked for again from the time of the last of them."""

    def __init__(self) -> None:
        self.moment = ""
        self._count = self._skip = 0  # how many lines had that time, and how many of them are to come again

    def is_new(self, moment: str) -> bool:
        """Whether a line is new; the server takes the time that it is asked for as a whole second."""
        if moment < self.moment:
            return False
        if moment > self.moment:
            self.moment, self._count, self._skip = moment, 1, 0
            return True
        if self._skip:
            self._skip -= 1
            return False
        self._count += 1
        return True

    def again(self) -> None:
        """The log begins anew."""
        self._skip = self._count


def single(run: JobRun, line: LogLine) -> LogLine:
    """A line of a run with a single pod, which needs no mark."""
    return replace(line, part="") if run.wanted == 1 and run.kind == "Job" else line
