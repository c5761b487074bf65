"""What `Monitoring` watches a `TrainingJob`'s runs for.

The metrics are kube-state-metrics' ("Job Metrics", "Pod Metrics"). Runs are known by the label that the template gives
them. What KubeRay makes of a RayJob bears the run's name, and its pods the label.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mlinfra.components.quantities import counted
from mlinfra.components.signals import PROMETHEUS_LABEL, Signal

if TYPE_CHECKING:
    from mlinfra.components.training_job import TrainingJob

_DAY: Final = 86_400
_IDLE_PERCENT: Final = 5
_LABEL: Final = f"label_{PROMETHEUS_LABEL}"


def signals(job: TrainingJob, what: str = "training job") -> tuple[Signal, ...]:
    """A run that failed within the last hour, a run that is about to meet its deadline; `what` is said of the job."""
    failed = 'kube_job_failed{condition="true"}'
    before = f"on (namespace, job_name) ({failed} offset 1h == 1)"
    return (
        Signal(
            "Failed",
            "warning",
            f"count(({failed} == 1) {runs_of(job)} unless {before}) > 0",
            1,
            f"A run of {what} {job.name} failed",
        ),
        Signal(
            "NearDeadline",
            "warning",
            f"max({_seconds(job)}) > {job.deadline_seconds * 9 // 10}",
            5,
            f"A run of {what} {job.name} has used nine tenths of its {counted(job.deadline_hours, 'hours')}",
        ),
    )


def upkeep(job: TrainingJob) -> Iterator[Signal]:
    """No run that ended well for too long; GPUs that are held and hardly used.

    A Job that has ended is there for `keep_days`, which `fresh_days` has to be below.
    """
    if job.fresh_days is not None:
        fresh = f"(time() - kube_job_status_completion_time < {job.fresh_days * _DAY}) {runs_of(job)}"
        text = f"No run of training job {job.name} has ended well within {counted(job.fresh_days, 'days')}"
        yield Signal("Stale", "warning", f"absent({fresh})", 60, text)
    if job.gpus:
        mine = f'on (namespace, pod) group_left () kube_pod_labels{{{_LABEL}="{job.identity}"}}'
        text = f"A run of training job {job.name} holds GPUs and hardly uses them"
        yield Signal("GpusIdle", "warning", f"avg(DCGM_FI_DEV_GPU_UTIL * {mine}) < {_IDLE_PERCENT}", 60, text)


def runs_of(job: TrainingJob) -> str:
    """Runs of this job: by the label, or by the name that runs have."""
    if job.ray:
        runs = f'kube_job_info{{job_name=~"{job.identity}-[0-9a-f]{{10}}.*"}}'
    else:
        runs = f'kube_job_labels{{{_LABEL}="{job.identity}"}}'
    return f"* on (namespace, job_name) group_left () {runs}"


def _seconds(job: TrainingJob) -> str:
    """For how long runs have been going on that still have pods."""
    if not job.ray:
        going = "and on (namespace, job_name) kube_job_status_active > 0"
        return f"((time() - kube_job_status_start_time) {going}) {runs_of(job)}"
    mine = f'on (namespace, pod) group_left () kube_pod_labels{{{_LABEL}="{job.identity}"}}'
    running = 'kube_pod_status_phase{phase="Running"}'
    return f"(time() - kube_pod_start_time) * on (namespace, pod) {running} * {mine}"
