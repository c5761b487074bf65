"""Where the metrics of a `Monitoring` come from: each that a rule reads has to have a source in the graph.

A rule on a metric that nobody gives never fires, and nobody hears that it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlinfra.components import gpu_exporter, pushgateway
from mlinfra.components.prometheus import Subject, alert_name
from mlinfra.components.promql import is_among
from mlinfra.components.signals import Watched
from mlinfra.expansion import Scope

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

PROMETHEUS: Final = ("up", "scrape_*", "ALERTS", "ALERTS_FOR_STATE", "prometheus_*")
"""What Prometheus gives of itself and of what it scrapes (Prometheus, "Jobs and instances")."""

STATE_METRICS: Final = {
    "": {"pods": "kube_pod_*", "resourcequotas": "kube_resourcequota*"},
    "apps": {"deployments": "kube_deployment_*"},
    "autoscaling": {"horizontalpodautoscalers": "kube_horizontalpodautoscaler_*"},
    "batch": {"cronjobs": "kube_cronjob_*", "jobs": "kube_job_*"},
}
"""The metrics of kube-state-metrics, by what it looks at, by API group (kube-state-metrics, "Exposed Metrics")."""


@dataclass(frozen=True, slots=True)
class Source:
    """Somebody who gives metrics: names, or beginnings of names with `*` behind."""

    name: str
    metrics: tuple[str, ...]


def sources(monitoring: Monitoring, subjects: Iterable[Subject]) -> Iterator[Source]:
    """Everybody who gives metrics to this Prometheus."""
    yield Source("Prometheus", PROMETHEUS)
    yield Source("kube-state-metrics", tuple(metric for group in STATE_METRICS.values() for metric in group.values()))
    if not monitoring.alertmanager:
        yield Source("Alertmanager", ("alertmanager_*",))
    if pushgateway.is_wanted(monitoring):
        yield Source("Pushgateway", ("push_time_seconds", "push_failure_time_seconds", "pushgateway_*"))
    if gpu_exporter.pools(monitoring):
        yield Source("DCGM exporter", gpu_exporter.METRICS)
    for subject in subjects:
        yield Source(subject.component.name, subject.exports)
        yield Source(f"recording rules of {subject.component.name}", tuple(it.name for it in subject.records))
    yield Source("external_metrics", tuple(monitoring.external_metrics))


def unknown(metrics: Iterable[str], given: Iterable[Source]) -> list[str]:
    """Those metrics that nobody gives, in the order of their names."""
    patterns = tuple(pattern for source in given for pattern in source.metrics)
    return sorted(metric for metric in set(metrics) if not is_among(metric, patterns))


def check(monitoring: Monitoring, scope: Scope, subjects: Iterable[Subject]) -> None:
    """Note as errors rules that read what nobody gives."""
    subjects = tuple(subjects)
    given = tuple(sources(monitoring, subjects))
    for subject in subjects:
        limits = subject.component.limits() if isinstance(subject.component, Watched) else ""
        _tell_unmeasured(monitoring, scope, subject, limits)
        read = {alert_name(subject.component, signal): signal.metrics for signal in subject.signals}
        for rule, metrics in {**read, **{record.name: record.metrics for record in subject.records}}.items():
            if missing := unknown(metrics, given):
                what = " and ".join(missing)
                names = ", ".join(source.name for source in given if source.metrics)
                instead = f"Leave out of {subject.component.name} what asks for it. {_SERVE}\n" if limits else ""
                scope.problem(
                    f"rule {rule} of {monitoring.name} reads {what}, which nothing gives",
                    detail=f"The rule would never fire. Metrics come from {names}. {limits}".rstrip(),
                    remedy=f"{instead}Watch what exports it, or declare who else does: "
                    f'`external_metrics=[{missing[0]!r}]`, and with `scrapes=["host:port"]` where.',
                    code="metric-without-source",
                )


_SERVE: Final = "Or serve by an image of your own that gives it, by `mlinfra.serving`, without `runtime`."


def _tell_unmeasured(monitoring: Monitoring, scope: Scope, subject: Subject, limits: str) -> None:
    """Warn of what is watched and gives no metrics: of its pods alone something is known."""
    if limits and subject.signals and not subject.exports:
        scope.warning(
            f"{monitoring.name} sees of {subject.component.name} only whether its pods are there: no alert tells of "
            "errors or of slow answers",
            detail=limits,
            remedy="Serve by an image of your own with `mlinfra.serving`, without `runtime`; or by a runtime that "
            "gives metrics, such as triton.",
            code="watched-without-metrics",
        )
