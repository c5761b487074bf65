"""The page of jobs: runs, failures, how long they take, GPU use.

Metrics are kube-state-metrics' ("Job Metrics") and those of the DCGM exporter (`dcp-metrics-included.csv` in its
repository), which names the pod that has a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.grafana_panels import Page, Panel, Query, Row, limit
from mlinfra.components.job_signals import runs_of
from mlinfra.components.place import Place
from mlinfra.components.signals import PROMETHEUS_LABEL, Watched
from mlinfra.components.training_job import TrainingJob

_LABEL = f"label_{PROMETHEUS_LABEL}"
_OPEN = 3
_JOBS = "kube_job_"


def page(watched: Sequence[Watched]) -> Page | None:
    """What runs as Jobs, which its signals tell."""
    jobs = [item for item in watched if not isinstance(item, Endpoint | Place) and _runs_as_jobs(item)]
    if not jobs:
        return None
    closed = len(jobs) > _OPEN
    return Page("jobs", "Jobs", tuple(_one(job, collapsed=closed) for job in jobs), hours=48)


def _runs_as_jobs(item: Watched) -> bool:
    return any(metric.startswith(_JOBS) for signal in item.signals() for metric in signal.metrics)


def _one(job: Watched, *, collapsed: bool) -> Row:
    runs = _runs(job)
    running = "and on (namespace, job_name) kube_job_status_active > 0"
    going = [Query(f"((time() - kube_job_status_start_time) {running}) {runs}", "{{job_name}}")]
    if isinstance(job, TrainingJob):
        going.append(limit(job.deadline_seconds, "deadline"))
    waiting = f"kube_job_created {runs} unless on (namespace, job_name) kube_job_status_start_time"
    return Row(
        job.name,
        (
            Panel(
                "Runs",
                (
                    Query(f"count(kube_job_status_active {runs} > 0)", "running"),
                    Query(f"count({waiting})", "waiting"),
                    Query(f'count(kube_job_complete{{condition="true"}} {runs} == 1)', "succeeded"),
                    Query(f'count(kube_job_failed{{condition="true"}} {runs} == 1)', "failed"),
                ),
                says="Runs that are still in the cluster: those that ended are removed after a while.",
            ),
            Panel("Going on for", tuple(going), "s", says="How long each run has been going on, and when it is ended."),
            Panel(
                "Took",
                (
                    Query(
                        f"(kube_job_status_completion_time - kube_job_status_start_time) {runs}",
                        "{{job_name}}",
                    ),
                ),
                "s",
                says="How long runs took that have succeeded.",
            ),
            *_gpus(job),
        ),
        collapsed,
    )


def _runs(job: Watched) -> str:
    """What picks the runs of a job out of a metric of Jobs."""
    if isinstance(job, TrainingJob):
        return runs_of(job)
    return f'* on (namespace, job_name) group_left () kube_job_labels{{{_LABEL}="{job.identity}"}}'


def _gpus(job: Watched) -> tuple[Panel, ...]:
    if not getattr(job, "gpus", 0):
        return ()
    mine = f'* on (namespace, pod) group_left () kube_pod_labels{{{_LABEL}="{job.identity}"}}'
    return (
        Panel(
            "GPU use",
            (Query(f"avg by (pod) (DCGM_FI_DEV_GPU_UTIL {mine}) / 100", "{{pod}}"),),
            "percentunit",
            width=12,
            most=1,
        ),
        Panel(
            "GPU memory",
            (Query(f"sum by (pod) (DCGM_FI_DEV_FB_USED {mine}) * 1048576", "{{pod}}"),),
            "bytes",
            width=12,
        ),
    )
