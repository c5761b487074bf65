"""Waiting for one object to become ready, or to be gone, with progress told and an end to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.base import text
from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import TIMEOUT, annotation, lookup, object_id
from mlinfra.providers.kubernetes.pods import trouble
from mlinfra.providers.kubernetes.readiness import NeverReadyError, missing
from mlinfra.providers.kubernetes.session import Session

DEFAULT_SECONDS: Final = 600.0
"""How long an object may take to become ready, or to be gone: the official provider's default."""


def deadline(inputs: Mapping[str, Any], timeout: float) -> float:
    """The moment, on the monotonic clock, at which waiting ends. `timeout` is the engine's, 0 for none."""
    wanted = annotation(inputs, TIMEOUT)
    seconds = timeout or (float(wanted) if wanted.replace(".", "", 1).isdigit() else 0.0) or DEFAULT_SECONDS
    return time.monotonic() + seconds


class _Readiness:
    """Judges one object as it changes. `latest` is the last version seen, `waits_for` what it lacks."""

    def __init__(self, session: Session, applied: Object) -> None:
        self.latest, self.waits_for = applied, ""
        self._watches = session.connected()[1]
        self._uid = applied["metadata"]["uid"]
        self._floor = int(applied["metadata"]["resourceVersion"])

    def __call__(self, item: Object | None) -> bool:
        # The watch may not have seen our own write yet. Versions of one object do grow, as Kubernetes now promises:
        # https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
        if item is None or item["metadata"]["uid"] != self._uid:
            return False
        if int(item["metadata"]["resourceVersion"]) < self._floor:
            return False
        self.latest = item
        self.waits_for = missing(item, self._watches) or ""
        return not self.waits_for


def settle(
    session: Session, urn: str, applied: Object, end: float, stopped: Callable[[], bool]
) -> tuple[Object, str | None]:
    """Wait until an object that was applied is ready: its latest version, and why it is not ready, if it is not."""
    cluster, watches = session.connected()
    judge, started = _Readiness(session, applied), time.monotonic()

    def tick() -> None:
        session.status(urn, _waiting(judge.waits_for, trouble(cluster, judge.latest)))

    try:
        if judge(applied):
            return judge.latest, None
        kind = (applied["apiVersion"], applied["kind"], applied["metadata"].get("namespace"))
        with watches.use(*kind) as watch:
            seconds = end - time.monotonic()
            halted = _halted(session, stopped)
            if watch.wait(applied["metadata"]["name"], judge, seconds=seconds, stopped=halted, tick=tick):
                return judge.latest, None
            why = "cancelled while waiting" if halted() else f"timed out after {time.monotonic() - started:.0f} s"
            why += f", waiting for {judge.waits_for}"
    except NeverReadyError as error:
        why = str(error)
    except MlinfraError as error:
        why = text(error)
    pods = trouble(cluster, judge.latest)
    name = f"{applied['kind']} {object_id(applied)}"
    return judge.latest, f"{name} was applied but is not ready: {why}" + (f"\n{pods}" if pods else "")


def gone(session: Session, urn: str, deleted: Object, end: float, stopped: Callable[[], bool]) -> str | None:
    """Wait until an object that is being deleted is gone: None then, else what keeps it."""
    _, watches = session.connected()
    uid, latest = deleted["metadata"]["uid"], [deleted]

    def test(item: Object | None) -> bool:
        if item is None or item["metadata"]["uid"] != uid:
            return True
        latest[0] = item
        return False

    def tick() -> None:
        session.status(urn, f"waiting for {kept_by(latest[0])}")

    kind = (deleted["apiVersion"], deleted["kind"], deleted["metadata"].get("namespace"))
    with watches.use(*kind) as watch:
        done = watch.wait(
            deleted["metadata"]["name"],
            test,
            seconds=end - time.monotonic(),
            stopped=_halted(session, stopped),
            tick=tick,
        )
    return None if done else kept_by(latest[0])


def kept_by(item: Object) -> str:
    """What keeps an object that is being deleted: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/."""
    names = lookup(item, "metadata", "finalizers") or lookup(item, "spec", "finalizers") or []
    reasons = [
        entry["message"]
        for entry in lookup(item, "status", "conditions") or []
        if entry.get("status") == "True" and entry.get("message")
    ]
    return f"finalizers: {', '.join(names) or 'none'}" + (f" ({'; '.join(reasons)})" if reasons else "")


def _halted(session: Session, stopped: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: session.cancelled.is_set() or stopped()


def _waiting(waits_for: str, pods: str) -> str:
    return f"waiting for {waits_for}" + (f"; {pods}" if pods else "")
