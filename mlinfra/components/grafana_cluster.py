"""The page of the place: pods, what they ask for, GPUs, what waits.

Metrics are kube-state-metrics' ("Pod Metrics", "Job Metrics"), the DCGM exporter's, and where the graph says that they
are there, Kueue's ("Prometheus Metrics").
"""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.components.grafana_panels import Page, Panel, Query, Row, limit
from mlinfra.components.place import Place
from mlinfra.components.quantities import GPU

_RUNNING = '* on (namespace, pod) group_left () (kube_pod_status_phase{phase="Running"} == 1)'
_GIB = 1 << 30


def page(place: Place) -> Page:
    """The pods of a namespace, and the machines' GPUs."""
    most = {**place.offered, **place.quota.model_dump(exclude_none=True)}
    return Page("cluster", f"Cluster: {place.name}", (_pods(), _requests(most), _gpus(most), _queue()))


def _pods() -> Row:
    restarts = "increase(kube_pod_container_status_restarts_total[1h])"
    return Row(
        "Pods",
        (
            Panel("Pods", (Query("sum by (phase) (kube_pod_status_phase)", "{{phase}}"),), stacked=True),
            Panel(
                "Pods that no machine has room for",
                (Query("sum(kube_pod_status_unschedulable) or vector(0)", "waiting"),),
            ),
            Panel(
                "Restarts within an hour",
                (Query(f"sum by (pod, container) ({restarts}) > 0", "{{pod}} {{container}}"),),
                says="Containers that ended and were started again.",
            ),
        ),
    )


def _requests(most: Mapping[str, float]) -> Row:
    """What running pods ask for, and the most that they may, where that is known."""
    return Row(
        "What pods ask for",
        (
            Panel("Cores", (_asked("cpu"), *_limit(most, "cpu"))),
            Panel("Memory", (_asked("memory"), *_limit(most, "memory", _GIB)), "bytes"),
            Panel("GPUs", (_asked(GPU.replace(".", "_").replace("/", "_")), *_limit(most, "gpus"))),
        ),
    )


def _asked(resource: str) -> Query:
    requests = f'kube_pod_container_resource_requests{{resource="{resource}"}}'
    return Query(f"sum({requests} {_RUNNING}) or vector(0)", "asked for")


def _limit(most: Mapping[str, float], what: str, unit: int = 1) -> tuple[Query, ...]:
    return (limit(most[what] * unit, "quota"),) if what in most else ()


def _gpus(most: Mapping[str, float]) -> Row:
    if not most.get("gpus"):
        return Row("GPUs", ())
    which = "{{Hostname}} {{gpu}}"
    memory = "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)"
    return Row(
        "GPUs",
        (
            Panel("Use", (Query("DCGM_FI_DEV_GPU_UTIL / 100", which),), "percentunit", most=1),
            Panel("Memory", (Query(memory, which),), "percentunit", most=1),
            Panel("Temperature", (Query("DCGM_FI_DEV_GPU_TEMP", which),), "celsius"),
        ),
    )


def _queue() -> Row:
    waiting = "kube_job_created unless on (namespace, job_name) kube_job_status_start_time"
    return Row(
        "Queue",
        (
            Panel(
                "Runs",
                (
                    Query(f"count({waiting}) or vector(0)", "waiting"),
                    Query("count(kube_job_status_active > 0) or vector(0)", "running"),
                ),
                width=12,
                says="Runs that a queue has not let begin, and those that go on.",
            ),
            Panel(
                "Kueue",
                (
                    Query(
                        "sum by (cluster_queue, status) (kueue_pending_workloads)",
                        "{{cluster_queue}} waiting, {{status}}",
                    ),
                    Query("sum by (cluster_queue) (kueue_admitted_active_workloads)", "{{cluster_queue}} admitted"),
                ),
                width=12,
            ),
        ),
    )
