"""What `Monitoring` watches an `Endpoint` for, and what it works out all the time.

The metrics are those of a served model (docs/decisions/0032-served-models.md), of kube-state-metrics ("Pod Metrics",
"Horizontal Pod Autoscaler Metrics") and of NVIDIA's DCGM exporter.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pydantic import Field

from mlinfra.components import slo
from mlinfra.components.endpoint_runtimes import CONTRACT
from mlinfra.components.quantities import counted
from mlinfra.components.rollout import besides
from mlinfra.components.signals import INSIGHTS, PROMETHEUS_LABEL, Alarm, Chart, Line, Record, Signal
from mlinfra.components.values import Structure

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

_OF_REQUESTS: Final = ("http_requests_total", "http_request_duration_seconds*")
SERVED: Final = (
    *_OF_REQUESTS,
    "model_accuracy",
    "model_latency_seconds*",
    "model_info",
    "request_log_dropped_total",
)
"""The metrics of a served model, as `mlinfra.serving` gives them."""

_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Thresholds(Structure):
    """What an endpoint's numbers have to stay within; what is left out is not watched."""

    accuracy: float | None = Field(default=None, gt=0, le=1)
    """The lowest `model_accuracy`, from 0 to 1, below which people are woken; it is known once labels arrive."""

    model_days: int | None = Field(default=None, ge=1, le=365)
    """Days after which a model is old: a warning when the same `model_version` has answered for so long."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    """The least traffic: a warning when fewer requests arrive for half an hour, as when callers have lost the way."""

    gpu_percent: float = Field(default=95.0, gt=0, le=100)
    """Use of its GPUs above which a warning goes out; for endpoints with GPUs."""


def records(endpoint: "Endpoint") -> tuple[Record, ...]:
    """Traffic, share of errors, percentiles of latency; and what the objectives want."""
    if endpoint.waits_for:
        return ()
    meters, me = endpoint.served_by.meters, f'component="{endpoint.identity}"'
    found: list[Record] = []
    if meters:
        every, failed = meters.requests_of(me), meters.failed_of(me)
        found += [
            Record("component:http_requests:rate5m", every),
            Record("component:http_errors:ratio_rate5m", f"({failed} or 0 * {every}) / {every}"),
        ]
        if meters is not CONTRACT:
            found.append(Record("component:http_request_duration_seconds:p95", meters.slow_of(me)))
    given = exports(endpoint)
    for histogram in ("http_request_duration_seconds", "model_latency_seconds"):
        if f"{histogram}*" not in given:
            continue
        buckets = f"sum by (le) (rate({histogram}_bucket{{{me}}}[5m]))"
        found += [
            Record(f"component:{histogram}:{name}", f"histogram_quantile({quantile}, {buckets})")
            for name, quantile in _QUANTILES.items()
        ]
    return (*found, *(slo.records(endpoint.slo, endpoint.identity, meters) if endpoint.slo else ()))


def signals(endpoint: "Endpoint") -> tuple[Signal, ...]:
    """Whether it answers, how well, with how much room; what its thresholds and objectives say."""
    if endpoint.waits_for:
        return ()
    budget = slo.signals(endpoint.slo, endpoint.identity, endpoint.name) if endpoint.slo else ()
    return (*_answers(endpoint), *_room(endpoint), *_model(endpoint), *budget)


def _answers(endpoint: "Endpoint") -> Iterator[Signal]:
    """No replica answers, too many errors, slow answers, too little traffic."""
    me, name, meters = f'component="{endpoint.identity}"', endpoint.name, endpoint.served_by.meters
    dimensions = {"Namespace": endpoint.cluster.namespace, "Service": endpoint.identity}
    alarm = Alarm("service_number_of_running_pods", dimensions, "Maximum", below=1, minutes=3)
    percent, seconds = endpoint.error_percent, endpoint.latency_seconds
    # Container Insights know nothing of hours in which it runs nothing.
    always = None if endpoint.hours else alarm
    yield Signal("Down", "critical", _down(endpoint, me), 2, f"No replica of endpoint {name} answers", always)
    if meters is None:
        return
    errors = f"{meters.failed_of(me)} / {meters.requests_of(me)}"
    much = f"Endpoint {name} answers more than {percent:g} % of requests with an error"
    yield Signal("Errors", "critical", f"{errors} > {percent / 100:g}", 5, much)
    late = f"The 95th percentile of endpoint {name}'s response times is above {seconds:g} s"
    yield Signal("Slow", "warning", f"{meters.slow_of(me)} > {seconds:g}", 10, late)
    if least := endpoint.thresholds.requests_per_minute:
        quiet = f"{meters.requests_of(me, '10m')} * 60 < {least:g}"
        yield Signal("Quiet", "warning", quiet, 30, f"Endpoint {name} gets fewer than {least:g} requests a minute")
    if endpoint.request_log and endpoint.runtime == "custom":
        lost = f"sum(increase(request_log_dropped_total{{{me}}}[15m])) > 0"
        yield Signal("LogIncomplete", "warning", lost, 5, f"Requests to endpoint {name} are missing from its log")


def _down(endpoint: "Endpoint", me: str) -> str:
    """No replica answers Prometheus; where it has no metrics, none is ready. In hours without replicas it is meant so.

    An autoscaler whose pods somebody has scaled to none wants none, too (kube-state-metrics, "Horizontal Pod Autoscaler
    Metrics").
    """
    if endpoint.scraped_at:
        down = f"sum(up{{{me}}}) == 0 or absent(up{{{me}}})"
    else:
        mine = f'on (namespace, pod) group_left () kube_pod_labels{{label_{PROMETHEUS_LABEL}="{endpoint.identity}"}}'
        ready = f'sum(kube_pod_status_ready{{condition="true"}} * {mine})'
        down = f"{ready} == 0 or absent({ready})"
    if endpoint.hours is None:
        return down
    wanted = "kube_horizontalpodautoscaler_status_desired_replicas"
    names = "|".join([endpoint.identity, *(f"{endpoint.identity}-{item.name}" for item in besides(endpoint))])
    return f'({down}) and on () sum({wanted}{{horizontalpodautoscaler=~"{names}"}}) > 0'


def exports(endpoint: "Endpoint") -> tuple[str, ...]:
    """The metrics of its own pods: those of a served model, or its runtime's."""
    meters = endpoint.served_by.meters
    if endpoint.waits_for or meters is None:
        return ()
    if endpoint.runtime == "custom":
        return SERVED
    return _OF_REQUESTS if meters is CONTRACT else meters.metrics


def limits(endpoint: "Endpoint") -> str:
    """What a runtime does not measure; an image of one's own is said to measure it all."""
    if endpoint.runtime == "custom":
        return ""
    given = "metrics of requests, and none of the model" if endpoint.served_by.meters else "no metrics"
    return f"{endpoint.name} is served by the runtime {endpoint.runtime}, which gives {given}."


def _room(endpoint: "Endpoint") -> Iterator[Signal]:
    """No room to grow, pods without a machine, containers that end again and again, GPUs at their limit."""
    identity, name = endpoint.identity, endpoint.name
    scaler = f'{{horizontalpodautoscaler="{identity}"}}'
    replicas = "kube_horizontalpodautoscaler_status_current_replicas"
    limits = "kube_horizontalpodautoscaler_spec"
    grown = f"{replicas}{scaler} >= {limits}_max_replicas{scaler} > {limits}_min_replicas{scaler}"
    yield Signal("AtMaximum", "warning", grown, 15, f"Endpoint {name} runs as many replicas as it may")
    mine = f'on (namespace, pod) group_left () kube_pod_labels{{label_{PROMETHEUS_LABEL}="{identity}"}}'
    waiting = f"sum(kube_pod_status_unschedulable * {mine}) > 0"
    yield Signal("NoMachine", "warning", waiting, 15, f"Replicas of endpoint {name} find no machine")
    ended = f"max(increase(kube_pod_container_status_restarts_total[15m]) * {mine}) > 2"
    yield Signal("Restarting", "warning", ended, 5, f"Containers of endpoint {name} end and start again and again")
    if endpoint.gpus:
        most = endpoint.thresholds.gpu_percent
        used = f"avg(DCGM_FI_DEV_GPU_UTIL * {mine}) > {most:g}"
        yield Signal("GpusFull", "warning", used, 15, f"Endpoint {name} uses more than {most:g} % of its GPUs")


def _model(endpoint: "Endpoint") -> Iterator[Signal]:
    """A model that is wrong too often, a model that is old."""
    me, name, thresholds = f'{{component="{endpoint.identity}"}}', endpoint.name, endpoint.thresholds
    if least := thresholds.accuracy:
        low = f"Endpoint {name} has a model whose accuracy is below {least:g}"
        yield Signal("Inaccurate", "critical", f"min(model_accuracy{me}) < {least:g}", 10, low)
    if days := thresholds.model_days:
        same = f"count by (model_version) (model_info{me})"
        old = f"count({same} and {same.removesuffix(')')} offset {days}d)) > 0"
        since = f"Endpoint {name} has served the same model for {counted(days, 'days')}"
        yield Signal("ModelOld", "warning", old, 60, since, lookback_days=days)


def charts(endpoint: "Endpoint", cluster: str) -> Iterator[Chart]:
    """What Container Insights tell of its pods (CloudWatch user guide, "Amazon EKS and Kubernetes Container Insights
    metrics")."""
    if not cluster or endpoint.waits_for:
        return
    service = {"ClusterName": cluster, "Namespace": endpoint.cluster.namespace, "Service": endpoint.identity}
    uses = (("pod_cpu_utilization", "CPU"), ("pod_memory_utilization", "memory"))
    lines = tuple(Line(INSIGHTS, metric, service, label=what) for metric, what in uses)
    yield Chart("Use of a machine by a pod, %", lines)
    network = (("pod_network_rx_bytes", "in"), ("pod_network_tx_bytes", "out"))
    yield Chart("Network, bytes a second", tuple(Line(INSIGHTS, name, service, label=way) for name, way in network))
