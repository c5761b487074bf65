"""The gauges that a comparison pushes."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import push_to_gateway

from mlinfra.serving.drift.comparison import Result
from mlinfra.serving.drift.problems import DriftError

_SECONDS = 30.0


def registry(result: Result) -> CollectorRegistry:
    """The gauges of a result. Where there were too few rows to say something, those that say it are not there."""
    made = CollectorRegistry()

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=made)

    gauge("data_age_seconds", "Age of the newest request when it was compared").set(result.age_seconds)
    gauge("data_rows", "Rows of requests that were compared").set(result.rows)
    gauge("data_malformed_lines", "Lines of the request log that are no records").set(result.counts.malformed)
    if result.enough:
        _features(result, gauge)
    fairness = gauge("fairness_difference", "Demographic parity difference between the groups of a feature", "group")
    for difference in result.fairness:
        if difference.value is not None:
            fairness.labels(difference.group).set(difference.value)
    return made


def _features(result: Result, gauge: Callable[..., Gauge]) -> None:
    drift = gauge("data_drift", "How far a feature is from training, by a test: psi or ks", "feature", "test")
    confidence = gauge("data_drift_confidence", "Probability that it is no accident", "feature", "test")
    missing = gauge("data_missing_ratio", "Share of rows without the feature", "feature")
    trained = gauge("data_missing_ratio_trained", "Share of rows without the feature in training", "feature")
    new = gauge("data_new_categories", "Categories that training did not have", "feature")
    for feature in result.features:
        missing.labels(feature.name).set(feature.missing)
        trained.labels(feature.name).set(feature.trained_missing)
        for test, distance in (feature.distances or {}).items():
            drift.labels(feature.name, test).set(distance.value)
            confidence.labels(feature.name, test).set(distance.confidence)
        if feature.kind == "category":
            new.labels(feature.name).set(feature.new_count)


def push(result: Result, address: str, monitor: str, component: str) -> None:
    """Put the gauges in the place of those of the last comparison. Raises `DriftError` where nobody takes them."""
    try:
        push_to_gateway(
            address, job=monitor, registry=registry(result), grouping_key={"component": component}, timeout=_SECONDS
        )
    except OSError as error:
        raise DriftError(f"the Pushgateway at {address} does not take the gauges: {error}") from None
