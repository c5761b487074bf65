"""The CloudWatch dashboard of a `Monitoring`: what CloudWatch knows of what is watched.

Sources: CloudWatch API reference, "Dashboard body structure and syntax"; CloudWatch user guide, "Amazon EKS and
Kubernetes Container Insights metrics"; RDS user guide, "Amazon CloudWatch metrics for Amazon RDS"; SQS developer guide,
"Available CloudWatch metrics for Amazon SQS"; S3 user guide, "Metrics and dimensions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlinfra.components import database_rds, queue
from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.prometheus import alert_name
from mlinfra.components.queue import Queue
from mlinfra.components.signals import INSIGHTS, Signal, Watched
from mlinfra.graph import Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

_WIDTH: Final = 24
_COLUMN: Final = 8
_HEIGHT: Final = 6
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Line:
    """A metric in a chart: namespace, name, dimensions, statistic, and what the legend calls it."""

    namespace: str
    metric: str
    dimensions: Mapping[str, Value]
    statistic: str = "Average"
    label: str = ""

    def form(self) -> list[Value]:
        """As an array of a widget's `metrics`."""
        pairs = [part for pair in self.dimensions.items() for part in pair]
        return [self.namespace, self.metric, *pairs, {"stat": self.statistic, "label": self.label or self.metric}]


@dataclass(frozen=True, slots=True)
class Chart:
    """Some metrics over time, with a line at `limit` where an alarm goes off."""

    title: str
    lines: tuple[Line, ...]
    limit: float | None = None
    seconds: int = 60


def widgets(monitoring: Monitoring, cluster: str, region: str) -> list[Value]:
    """The widgets of all that CloudWatch knows of; `cluster` is the one that Container Insights report on, if any."""
    groups = [(component.name, list(_charts(component, cluster))) for component in monitoring.watches]
    if cluster:
        groups.append((monitoring.cluster.name, list(_of_place(monitoring, cluster))))
    found: list[Value] = []
    top = 0
    for title, charts in groups:
        if charts:
            found.append(_heading(title, top))
            found += _laid_out(charts, top + 1, region)
            top += 1 + _HEIGHT * -(-len(charts) * _COLUMN // _WIDTH)
    return found


def _heading(title: str, top: int) -> dict[str, Value]:
    place = {"x": 0, "y": top, "width": _WIDTH, "height": 1}
    return {"type": "text", **place, "properties": {"markdown": f"## {title}"}}


def _laid_out(charts: Iterable[Chart], top: int, region: str) -> Iterator[dict[str, Value]]:
    for number, chart in enumerate(charts):
        left = number * _COLUMN
        place = {"x": left % _WIDTH, "y": top + left // _WIDTH * _HEIGHT, "width": _COLUMN, "height": _HEIGHT}
        properties: dict[str, Value] = {
            "title": chart.title,
            "view": "timeSeries",
            "region": region,
            "period": chart.seconds,
            "metrics": [line.form() for line in chart.lines],
            "yAxis": {"left": {"min": 0}},
        }
        if chart.limit is not None:
            properties["annotations"] = {"horizontal": [{"label": "alarm", "value": chart.limit}]}
        yield {"type": "metric", **place, "properties": properties}


def _charts(component: Watched, cluster: str) -> Iterator[Chart]:
    """What there is of a component: what its alarms look at, then what explains it."""
    for signal in component.signals():
        if signal.alarm is not None and (cluster or signal.alarm.namespace != INSIGHTS):
            yield _of_alarm(component, signal, cluster)
    match component:
        case Endpoint() if cluster and component.waits_for is None:
            yield from _of_endpoint(component, cluster)
        case Database() if component.on_aws:
            yield from _of_database(component)
        case Queue():
            yield from _of_queue(component)
        case Bucket() if component.by_iam:
            yield _of_bucket(component)


def _of_alarm(component: Watched, signal: Signal, cluster: str) -> Chart:
    alarm = signal.alarm
    assert alarm is not None
    dimensions = {"ClusterName": cluster, **alarm.dimensions} if alarm.namespace == INSIGHTS else alarm.dimensions
    line = Line(alarm.namespace, alarm.metric, dimensions, alarm.statistic)
    return Chart(alert_name(component, signal), (line,), alarm.above if alarm.below is None else alarm.below)


def _of_endpoint(endpoint: Endpoint, cluster: str) -> Iterator[Chart]:
    service = {"ClusterName": cluster, "Namespace": endpoint.cluster.namespace, "Service": endpoint.identity}
    uses = (("pod_cpu_utilization", "CPU"), ("pod_memory_utilization", "memory"))
    lines = tuple(Line(INSIGHTS, metric, service, label=what) for metric, what in uses)
    yield Chart("Use of a machine by a pod, %", lines)
    network = (("pod_network_rx_bytes", "in"), ("pod_network_tx_bytes", "out"))
    yield Chart("Network, bytes a second", tuple(Line(INSIGHTS, name, service, label=way) for name, way in network))


def _of_database(database: Database) -> Iterator[Chart]:
    instance = {"DBInstanceIdentifier": database.output("instance", "identifier")}
    for title, lines in (
        ("Connections", (("DatabaseConnections", "Maximum"),)),
        ("Latency, s", (("ReadLatency", "Average"), ("WriteLatency", "Average"))),
        ("Free memory, bytes", (("FreeableMemory", "Minimum"),)),
    ):
        found = (Line(database_rds.METRICS, metric, instance, statistic) for metric, statistic in lines)
        yield Chart(title, tuple(found))


def _of_queue(waiting: Queue) -> Iterator[Chart]:
    messages = {"QueueName": waiting.output("queue", "name")}
    flow = ("NumberOfMessagesSent", "NumberOfMessagesDeleted")
    yield Chart("Messages", tuple(Line(queue.METRICS, metric, messages, "Sum") for metric in flow))
    there = ("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible")
    yield Chart("Waiting, and taken", tuple(Line(queue.METRICS, metric, messages, "Maximum") for metric in there))


def _of_bucket(bucket: Bucket) -> Chart:
    """Its size and how many objects it has, which S3 counts once a day."""
    name = bucket.bucket_name
    return Chart(
        "Size and objects",
        (
            Line("AWS/S3", "BucketSizeBytes", {"BucketName": name, "StorageType": "StandardStorage"}),
            Line("AWS/S3", "NumberOfObjects", {"BucketName": name, "StorageType": "AllStorageTypes"}),
        ),
        seconds=_DAY,
    )


def _of_place(monitoring: Monitoring, cluster: str) -> Iterator[Chart]:
    place = {"ClusterName": cluster, "Namespace": monitoring.cluster.namespace}
    running = Line(INSIGHTS, "namespace_number_of_running_pods", place, "Maximum")
    yield Chart("Pods that run", (running,))
    machines = ("cluster_node_count", "cluster_failed_node_count")
    whole = {"ClusterName": cluster}
    yield Chart("Machines", tuple(Line(INSIGHTS, metric, whole, "Maximum") for metric in machines))
