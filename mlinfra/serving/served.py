"""`Served`: what a model server says of itself, in metrics and in its request log."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import REGISTRY, CollectorRegistry

from mlinfra.serving import web
from mlinfra.serving.accuracy import Accuracy, Right, same
from mlinfra.serving.metrics import Metrics
from mlinfra.serving.plain import line, plain, without
from mlinfra.serving.profiles import Profiled
from mlinfra.serving.request_log import RequestLog
from mlinfra.serving.sinks import sink_of

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_logger: Final = logging.getLogger("mlinfra.serving")
_OF_REQUEST: Final = object()

Redact = Callable[[dict[str, Any]], Mapping[str, Any] | None]
"""Gets a record (`inputs`, `prediction` and the rest) and gives what may be logged of it; None: nothing."""


@dataclass
class Seen:
    """A prediction under way: the server sets `prediction`, and gives `request_id` to whoever will know the truth."""

    request_id: str
    prediction: Any = None


@dataclass
class _Exchange:
    """A request over HTTP. What was predicted for it is logged when its status is known."""

    request_id: str
    began: float
    answered: Callable[[int, float], None]
    logged: Callable[[datetime, dict[str, Any]], None]
    predictions: int = 0
    records: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    over: bool = False

    def next_id(self) -> str:
        """The id of the next prediction: the request's own for the first."""
        self.predictions += 1
        return self.request_id if self.predictions == 1 else f"{self.request_id}-{self.predictions}"

    def end(self, status: int) -> None:
        """The request was answered."""
        self.over = True
        self.answered(status, time.perf_counter() - self.began)
        records, self.records = self.records, []
        for at, record in records:
            self.logged(at, {**record, "status": status})
        _current.set(None)


_current: Final[ContextVar[_Exchange | None]] = ContextVar("mlinfra_exchange", default=None)


class Served:
    """A model that is served.

    `log` is where requests are logged to; None: they are not. Inputs may hold personal data: features in `unlogged` are
    left out of the log, and `redact` has the last word on each record; a record that it fails on is dropped, never
    logged as it was. `window` is how many labelled predictions the accuracy is of, `kept` how many wait for their
    label, and `right` says whether a prediction was right (the default: whether it is the same as the truth).

    What goes wrong in logging is told as a warning and counted, and never becomes a failed request.
    """

    def __init__(
        self,
        model_version: str = "",
        *,
        log: RequestLog | None = None,
        profile: Callable[[], str | None] = lambda: None,
        metrics: Metrics | None = None,
        redact: Redact | None = None,
        unlogged: Collection[str] = (),
        window: int = 1000,
        kept: int = 10_000,
        right: Right = same,
    ) -> None:
        self.metrics = metrics or Metrics(model_version)
        self._model_version = model_version
        self._request_log = log
        self._profile = profile
        self._redact = redact
        self._unlogged = frozenset(unlogged)
        self._accuracy = Accuracy(window, kept, right)

    @classmethod
    def from_environment(
        cls,
        *,
        redact: Redact | None = None,
        unlogged: Collection[str] = (),
        window: int = 1000,
        kept: int = 10_000,
        right: Right = same,
        flush_seconds: float = 60.0,
        registry: CollectorRegistry = REGISTRY,
    ) -> Served:
        """As an `Endpoint` tells its pods: by `MODEL_URI`, `MODEL_VERSION`, `REQUEST_LOG_URI` and `MLINFRA_COMPONENT`.

        Without `REQUEST_LOG_URI` nothing is logged. What the log still holds is written when the process ends, also by
        SIGTERM where nothing else handles that. Raises `ValueError` for a place that is none, `ModuleNotFoundError`
        where it is in S3 and boto3 is missing.
        """
        env = os.environ
        version, model = env.get("MODEL_VERSION", ""), env.get("MODEL_URI", "")
        metrics = Metrics(version, registry)
        log = None
        if place := env.get("REQUEST_LOG_URI"):
            pod = env.get("HOSTNAME") or socket.gethostname()
            name = env.get("MLINFRA_COMPONENT") or "model"
            log = RequestLog(sink_of(place), name, pod, flush_seconds=flush_seconds, dropped=metrics.dropped.inc)
        served = cls(
            version,
            log=log,
            profile=Profiled(model).digest if _is_place(model) else lambda: None,
            metrics=metrics,
            redact=redact,
            unlogged=unlogged,
            window=window,
            kept=kept,
            right=right,
        )
        if log is not None:
            _write_at_the_end(served.close)
        return served

    # ---------------------------------------------------------------------------------------- predictions

    @contextmanager
    def request(self, inputs: Any, *, request_id: str = "") -> Iterator[Seen]:
        """Around a prediction: times it, and logs its inputs and what `seen.prediction` is set to.

        `inputs` are the features by name, `{"age": 41}`, or a list or DataFrame of such rows. Under `wsgi` or `asgi`
        the request is counted there; elsewhere (gRPC, a queue) each prediction counts as a request, with status 200, or
        500 when it raises.
        """
        exchange = _current.get()
        if exchange is not None and exchange.over:
            exchange = None
        seen = Seen(request_id or (exchange.next_id() if exchange else uuid.uuid4().hex))
        logged = self._loggable(inputs)  # as they came, whatever becomes of them
        at, began, status = datetime.now(UTC), time.perf_counter(), 500
        try:
            yield seen
            status = 200
        finally:
            seconds = time.perf_counter() - began
            if status == 200:
                self.metrics.latency.observe(seconds)
                self._accuracy.predicted(seen.request_id, seen.prediction)
            record = {
                "request_id": seen.request_id,
                "inputs": logged,
                "prediction": plain(seen.prediction),
                "seconds": round(seconds, 6),
            }
            if exchange is not None:
                exchange.records.append((at, record))
            else:
                self.metrics.answered(status, seconds)
                self._log(at, {**record, "status": status})

    def labelled(self, request_id: str, truth: Any, *, prediction: Any = _OF_REQUEST) -> bool:
        """The truth of an earlier prediction is known: it counts for `model_accuracy`. Safe between threads.

        A label finds its prediction in the process that made it, for as long as `kept` others have not come since; give
        `prediction` along where there are several replicas. Returns whether there was one.
        """
        known, made = self._accuracy.taken(request_id)
        if prediction is not _OF_REQUEST:
            known, made = True, prediction
        if known:
            self.accuracy(made, truth)
        return known

    def accuracy(self, prediction: Any, truth: Any) -> float:
        """Count a prediction whose truth is known, and return the accuracy over the window."""
        share = self._accuracy.add(prediction, truth)
        self.metrics.accuracy(share)
        return share

    # --------------------------------------------------------------------------------------------- servers

    def wsgi(
        self, app: WSGIApplication, *, metrics_path: str | None = "/metrics", probes: Collection[str] = web.PROBES
    ) -> WSGIApplication:
        """A WSGI application (Flask, Django) with metrics: requests are counted and timed, `metrics_path` is answered.

        Requests for `probes` are not counted. The answer's header `X-Request-Id` is the id to send a label with.
        """
        return web.wsgi(app, self, metrics_path, probes)

    def asgi(
        self, app: web.AsgiApplication, *, metrics_path: str | None = "/metrics", probes: Collection[str] = web.PROBES
    ) -> web.AsgiApplication:
        """An ASGI application (FastAPI, Starlette) with metrics; see `wsgi`."""
        return web.asgi(app, self, metrics_path, probes)

    def serve_metrics(self, port: int, address: str = "0.0.0.0") -> int:  # noqa: S104 — Prometheus is on another machine
        """Serve the metrics at a port of their own, from a thread, for servers that are neither; returns the port."""
        return self.metrics.serve(port, address)

    def begin(self, request_id: str) -> web.Exchange:
        """A request over HTTP begins; for `wsgi` and `asgi`."""
        exchange = _Exchange(request_id, time.perf_counter(), self.metrics.answered, self._log)
        _current.set(exchange)
        return exchange

    def text(self) -> bytes:
        """The metrics, as Prometheus reads them."""
        return self.metrics.text()

    def close(self, timeout: float = 10.0) -> None:
        """Write what the log still holds; after `timeout` seconds the rest is dropped and counted."""
        if self._request_log is not None:
            self._request_log.close(timeout)

    # ------------------------------------------------------------------------------------------------- log

    def _loggable(self, inputs: Any) -> Any:
        """Inputs as plain values, without the features that are not to be logged."""
        return without(plain(inputs), self._unlogged) if self._request_log is not None else None

    def _log(self, at: datetime, record: dict[str, Any]) -> None:
        if self._request_log is None:
            return
        record = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "request_id": record.pop("request_id"),
            "model_version": self._model_version,
            "profile": self._profile(),
            **record,
        }
        try:
            kept = plain(self._redact(record)) if self._redact else record
            if kept is not None:
                self._request_log.put(line(kept), at)
        except Exception as error:  # an author's `redact` may raise anything
            _logger.warning("A record was not logged: %s: %s", type(error).__name__, error)
            self.metrics.dropped.inc()


def _is_place(uri: str) -> bool:
    """Whether a model is somewhere that a profile can lie beside it, rather than in a registry."""
    return uri.startswith(("s3://", "file://")) or bool(uri and "://" not in uri and Path(uri).is_dir())


_closing: Final[list[Callable[[], None]]] = []
"""What writes the logs of this process."""


def _write_at_the_end(close: Callable[[], None]) -> None:
    """Call `close` when the process ends, also by SIGTERM where nothing handles that."""
    _closing.append(close)
    atexit.register(close)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: object) -> None:
    """Write the logs, then end.

    In a thread, as this came in the middle of whatever the main one was doing, which may hold a log's lock. And not by
    an exception, as servers catch those: wsgiref would answer one with a 500 and go on.
    """
    threading.Thread(target=_end, name="terminate").start()


def _end() -> None:
    try:
        for close in _closing:
            close()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
                stream.flush()
    finally:
        # Not by SIGTERM again: the first process of a container ignores what it does not handle.
        os._exit(128 + signal.SIGTERM)
