"""`runs`: the runs that a stack's jobs have in the cluster: shown, followed, cancelled, deleted."""

from __future__ import annotations

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.runs import JobRun, Phase
from mlinfra.workflow.run_job import note_done, who
from mlinfra.workflow.run_job_template import config_maps
from mlinfra.workflow.runs_access import Job, Stage
from mlinfra.workflow.runs_look import kind_of, look
from mlinfra.workflow.runs_state import CANCELLED_BY

_SOON = 1  # seconds: the shortest deadline there is


def cancel(stage: Stage, job: Job, run: JobRun) -> bool:
    """Stop a run: whether there is anything left of it. Its pods get the time to end that the job gives them.

    Kubernetes has no word for it. A run is given a deadline that is over, and a mark that says who wanted that: it
    ends as one that took too long, is kept as long as any other, and is told as cancelled. One that waits in a queue
    has done nothing yet, and is taken out of it: deleted. Raises `MlinfraError` for one that has ended.
    """
    if run.phase.ended:
        raise MlinfraError(
            Diagnostic(
                f"run {run.name} has ended already: {run.phase}",
                remedy=f"To take it away: {stage.request.command(f'runs delete {run.name}')}",
                code="run-ended",
            )
        )
    cluster = stage.cluster(job)
    queued = run.phase is Phase.QUEUED
    if queued:
        _delete(cluster, job, run)
    else:
        path = cluster.path(*kind_of(job), job.namespace, run.name)
        patch = {
            "metadata": {"annotations": {CANCELLED_BY: who()}},
            "spec": {"activeDeadlineSeconds": _SOON},
        }
        cluster.merge(path, patch)
    note_done(stage, "runs cancel", run)
    return not queued


def delete(stage: Stage, job: Job, run: JobRun) -> None:
    """Take a run away, with its pods, its logs and its config; what it wrote to buckets stays."""
    _delete(stage.cluster(job), job, run)
    note_done(stage, "runs delete", run)


def seen(stage: Stage, job: Job, run: JobRun) -> JobRun:
    """A run with all that is known of it just now."""
    return look(stage.cluster(job), job, run.name) or run


def _delete(cluster: Cluster, job: Job, run: JobRun) -> None:
    """Delete a run, and not one that was made anew in this moment.

    Its ConfigMaps go with it, but for those that a command which was cut off did not give to it.
    """
    live = cluster.get(*kind_of(job), run.name, job.namespace)
    if live is None:
        return
    cluster.delete(*kind_of(job), run.name, job.namespace, uid=live["metadata"]["uid"])
    for name in set(config_maps(live)):
        if name.startswith(f"{run.name}-"):
            cluster.delete("v1", "ConfigMap", name, job.namespace)
