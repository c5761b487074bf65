"""The CloudWatch dashboard of a `Monitoring`: what CloudWatch knows of what is watched.

Components say what there is to see of them, by `charts`; here it is laid out. Sources: CloudWatch API reference,
"Dashboard body structure and syntax"; CloudWatch user guide, "Amazon EKS and Kubernetes Container Insights metrics".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from mlinfra.components.prometheus import alert_name
from mlinfra.components.signals import INSIGHTS, Chart, Line, Signal, Watched
from mlinfra.graph import Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

_WIDTH: Final = 24
_COLUMN: Final = 8
_HEIGHT: Final = 6


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
    yield from component.charts(cluster)


def _of_alarm(component: Watched, signal: Signal, cluster: str) -> Chart:
    alarm = signal.alarm
    assert alarm is not None
    dimensions = {"ClusterName": cluster, **alarm.dimensions} if alarm.namespace == INSIGHTS else alarm.dimensions
    line = Line(alarm.namespace, alarm.metric, dimensions, alarm.statistic)
    return Chart(alert_name(component, signal), (line,), alarm.above if alarm.below is None else alarm.below)


def _of_place(monitoring: Monitoring, cluster: str) -> Iterator[Chart]:
    place = {"ClusterName": cluster, "Namespace": monitoring.cluster.namespace}
    running = Line(INSIGHTS, "namespace_number_of_running_pods", place, "Maximum")
    yield Chart("Pods that run", (running,))
    machines = ("cluster_node_count", "cluster_failed_node_count")
    whole = {"ClusterName": cluster}
    yield Chart("Machines", tuple(Line(INSIGHTS, metric, whole, "Maximum") for metric in machines))
