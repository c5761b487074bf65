"""Waiting for objects: one list and one watch for each kind and namespace, however many wait.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError

_LOOK_AGAIN: Final = (
    1.0  # seconds after which a waiter tests anew though its object is the same: tests look elsewhere too
)
_FIRST_TICK: Final = 3.0
_NEXT_TICK: Final = 10.0
_RETRY: Final = 0.5
_SYNC_SECONDS: Final = 10.0

_Key: TypeAlias = tuple[str, str, str | None]
Test: TypeAlias = Callable[[Object | None], bool]
"""Whether what is waited for is so, given the object, or None where it is not there."""


class Watch:
    """The objects of one kind in one namespace, kept up to date by a thread of its own for as long as anybody waits."""

    def __init__(self, cluster: Cluster, key: _Key, unused: Callable[[Watch], bool]) -> None:
        self.key = key
        self.users = 0
        self._cluster, self._unused = cluster, unused
        self._collection = cluster.path(*key)
        self._lock = threading.Lock()
        self._objects: dict[str, Object] = {}
        self._waiters: dict[str, set[threading.Event]] = {}
        self._synced = threading.Event()
        self._refusal: ApiError | None = None
        threading.Thread(target=self._follow, name=f"watch {self._collection}", daemon=True).start()

    def objects(self) -> list[Object]:
        """All objects as they are now. Raises `ApiError` where they may not be listed."""
        self._synced.wait(_SYNC_SECONDS)
        self._raise_refusal()
        with self._lock:
            return list(self._objects.values())

    def wait(
        self, name: str, test: Test, *, seconds: float, stopped: Callable[[], bool], tick: Callable[[], None]
    ) -> bool:
        """Wait until `test` is true: True then, False after `seconds` or once `stopped` says so.

        `tick` is called from time to time, to tell somebody what is waited for.
        """
        changed = threading.Event()
        with self._lock:
            self._waiters.setdefault(name, set()).add(changed)
        try:
            return self._wait(name, test, changed, time.monotonic() + seconds, stopped, tick)
        finally:
            with self._lock:
                self._waiters[name].discard(changed)
                if not self._waiters[name]:
                    del self._waiters[name]

    def _wait(
        self,
        name: str,
        test: Test,
        changed: threading.Event,
        end: float,
        stopped: Callable[[], bool],
        tick: Callable[[], None],
    ) -> bool:
        tell = time.monotonic() + _FIRST_TICK
        while True:
            self._raise_refusal()
            if self._synced.is_set():
                changed.clear()
                with self._lock:
                    current = self._objects.get(name)
                if test(current):
                    return True
            now = time.monotonic()
            if now >= end or stopped():
                return False
            if now >= tell:
                tell = now + _NEXT_TICK
                tick()
            changed.wait(min(_LOOK_AGAIN, end - now))

    def _raise_refusal(self) -> None:
        if self._refusal:
            raise self._refusal

    def _follow(self) -> None:
        while not self._unused(self):
            try:
                version = self._list()
                while not self._unused(self):
                    version = self._stream(version)
            except ApiError as error:
                if error.status in (401, 403):
                    self._refusal = error
                    self._tell(*self._waiters)
                time.sleep(_RETRY)
            except MlinfraError:  # the connection was lost: list anew; nothing is missed, it is only seen later
                time.sleep(_RETRY)

    def _list(self) -> str:
        answer = self._cluster.request("GET", self._collection)
        api_version, kind, _ = self.key
        fresh = {
            item["metadata"]["name"]: {**item, "apiVersion": api_version, "kind": kind} for item in answer["items"]
        }
        with self._lock:
            self._objects = fresh
        self._refusal = None
        self._synced.set()
        self._tell(*self._waiters)
        return str(answer["metadata"]["resourceVersion"])

    def _stream(self, version: str) -> str:
        """Follow the events until the server ends the watch: the version to go on from."""
        for event, item in self._cluster.events(self._collection, version):
            if event == "ERROR":  # mostly 410: the version is too old to go on from
                raise ApiError("GET", self._collection, item.get("code", 410), item)
            version = item["metadata"]["resourceVersion"]
            if event == "BOOKMARK":
                continue
            name = item["metadata"]["name"]
            with self._lock:
                if event == "DELETED":
                    self._objects.pop(name, None)
                else:
                    self._objects[name] = item
            self._tell(name)
        return version

    def _tell(self, *names: str) -> None:
        with self._lock:
            for name in names:
                for waiter in self._waiters.get(name, ()):
                    waiter.set()


class Watches:
    """The watches of one cluster, each started when it is first asked for and ended when nobody needs it any more."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._lock = threading.Lock()
        self._running: dict[_Key, Watch] = {}
        self._closed = False

    @contextmanager
    def use(self, api_version: str, kind: str, namespace: str | None) -> Iterator[Watch]:
        """The watch over a kind in a namespace, running for as long as the `with` block and a little longer."""
        key = (api_version, kind, namespace)
        with self._lock:
            watch = self._running.get(key)
            if watch is None:
                watch = self._running[key] = Watch(self.cluster, key, self._unused)
            watch.users += 1
        try:
            yield watch
        finally:
            with self._lock:
                watch.users -= 1

    def objects(self, api_version: str, kind: str, namespace: str | None) -> list[Object]:
        """The objects of a kind in a namespace, without a request once they are watched."""
        with self.use(api_version, kind, namespace) as watch:
            return watch.objects()

    def close(self) -> None:
        """Let the threads end."""
        self._closed = True

    def _unused(self, watch: Watch) -> bool:
        """Asked by a watch between two requests, that is every 20 s: whether it is to end."""
        with self._lock:
            idle = watch.users == 0 or self._closed
            if idle:
                self._running.pop(watch.key, None)
            return idle
