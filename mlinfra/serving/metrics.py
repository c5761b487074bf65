"""The metrics of a served model, by the names that mlinfra's alerts, dashboards and gates of rollouts go by."""

from __future__ import annotations

import os
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    start_http_server,
)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds in seconds: from a linear model's milliseconds to a language model's minute."""


class Metrics:
    """What a model server tells Prometheus. One in a registry: names exist once there."""

    def __init__(self, model_version: str, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._version = model_version
        self.requests = Counter("http_requests_total", "Requests, by status code.", ["status"], registry=registry)
        self.durations = Histogram(
            "http_request_duration_seconds", "Time to answer a request.", buckets=BUCKETS, registry=registry
        )
        self.latency = Histogram(
            "model_latency_seconds", "Time that the model took to predict.", buckets=BUCKETS, registry=registry
        )
        self.dropped = Counter(
            "request_log_dropped_total", "Records that the request log had no room for.", registry=registry
        )
        # Of several worker processes, the latest to have learned of labels speaks.
        self._accuracy = Gauge(
            "model_accuracy",
            "Share of right predictions among the latest that have a label.",
            ["model_version"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        info = Gauge(
            "model_info",
            "1 for the model that is served.",
            ["model_version"],
            registry=registry,
            multiprocess_mode="max",
        )
        info.labels(model_version).set(1)

    def answered(self, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(str(status)).inc()
        self.durations.observe(seconds)

    def accuracy(self, share: float) -> None:
        """Tell the accuracy. Before the first label there is none, rather than 0."""
        self._accuracy.labels(self._version).set(share)

    def text(self) -> bytes:
        """All metrics as Prometheus reads them, of every worker process where PROMETHEUS_MULTIPROC_DIR is set."""
        return generate_latest(self._of_all())

    def serve(self, port: int, address: str) -> int:
        """Serve the metrics over HTTP from a thread of its own; returns the port, which is a free one where it is 0."""
        server, _ = start_http_server(port, address, self._of_all())
        return server.server_port

    def _of_all(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry
