"""Looking for runs in the cluster: one of them with all that is known of it, or those of a stack."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import lookup
from mlinfra.providers.kubernetes.waitfor import condition
from mlinfra.runs import JobRun, Phase
from mlinfra.workflow import runs_ray, runs_state
from mlinfra.workflow.run_job_template import QUEUE
from mlinfra.workflow.runs_access import COMPONENT, Job, Stage

JOB_NAME: Final = "batch.kubernetes.io/job-name"
"""The label of a pod that a `Job` made: https://kubernetes.io/docs/reference/labels-annotations-taints/"""
_WORKLOADS: Final = ("kueue.x-k8s.io/v1beta1", "Workload")
_NOT_FOUND: Final = 404
_SHORTEST: Final = 4  # characters of a digest that will do for a name


def kind_of(job: Job) -> tuple[str, str]:
    """What the runs of a job are in the cluster."""
    return (runs_ray.API_VERSION, runs_ray.KIND) if job.ray else ("batch/v1", "Job")


def look(cluster: Cluster, job: Job, name: str) -> JobRun | None:
    """A run as it is now, with its pods; None where it is not there."""
    live = cluster.get(*kind_of(job), name, job.namespace)
    if live is None:
        return None
    pods = _pods_of_ray(cluster, live) if job.ray else _pods(cluster, job.namespace, f"{JOB_NAME}={name}")
    run = judged(job, live, pods)
    if run.phase is Phase.WAITING and not run.pods and (why := _refused(cluster, live)):
        return replace(run, reason=why)
    if run.phase is Phase.QUEUED and (why := _queued(cluster, live)):
        return replace(run, reason=f"{run.reason}: {why}")
    return run


def judged(job: Job, live: Object, pods: list[Object]) -> JobRun:
    """A run of a job, from its object and its pods."""
    judge = runs_ray.judge if job.ray else runs_state.judge
    return judge(job.name, live, pods, datetime.now(UTC))


def runs_of(stage: Stage, *jobs: Job, labels: str = "") -> list[tuple[Job, JobRun]]:
    """The runs of some jobs, newest first. `labels` is a further label selector.

    However many jobs there are, each namespace is asked twice: for its runs, and for their pods.
    """
    groups: dict[tuple[int, str, bool], list[Job]] = {}
    for job in jobs:
        groups.setdefault((id(stage.cluster(job)), job.namespace, job.ray), []).append(job)
    found = [pair for group in groups.values() for pair in _runs_within(stage.cluster(group[0]), group, labels)]
    return sorted(found, key=lambda pair: (pair[1].created, pair[1].name), reverse=True)


def all_runs(stage: Stage, job: str | None = None) -> list[tuple[Job, JobRun]]:
    """The runs of a stack, or of one of its jobs, newest first."""
    return runs_of(stage, *([stage.job(job)] if job else stage.jobs.values()))


def _runs_within(cluster: Cluster, jobs: Sequence[Job], labels: str) -> Iterator[tuple[Job, JobRun]]:
    """The runs of jobs of one kind that are in one namespace."""
    first, by_identity = jobs[0], {job.identity: job for job in jobs}
    whose = f"{COMPONENT}={first.identity}" if len(jobs) == 1 else COMPONENT
    try:
        found = cluster.list(*kind_of(first), first.namespace, labels=f"{whose},{labels}" if labels else whose)
    except ApiError as error:
        if error.status == _NOT_FOUND:  # the cluster has no such kind
            return
        raise
    found = [live for live in found if live["metadata"]["labels"][COMPONENT] in by_identity]
    pods = _grouped(_pods(cluster, first.namespace, f"{JOB_NAME},{whose}")) if found and not first.ray else {}
    for live in found:
        job = by_identity[live["metadata"]["labels"][COMPONENT]]
        own = _pods_of_ray(cluster, live) if job.ray else pods.get(live["metadata"]["name"], [])
        yield job, judged(job, live, own)


def find(stage: Stage, text: str) -> tuple[Job, JobRun]:
    """The run that a text names: its name, its title, the beginning of its digest; or a job's, for its newest run.

    Raises `MlinfraError` where there is none, or more than one.
    """
    runs = all_runs(stage)
    for test in _tests(text):
        matching = [(job, run) for job, run in runs if test(run)]
        if len(matching) == 1 or (matching and _same(text, [run for _, run in matching])):
            return matching[0]
        if matching:
            several = ", ".join(run.name for _, run in matching)
            raise MlinfraError(
                Diagnostic(
                    f"{text!r} may be one of several runs: {several}",
                    remedy="Give its whole name.",
                    code="run-ambiguous",
                )
            )
    names = [run.name for _, run in runs] + [run.title for _, run in runs if run.title]
    close = difflib.get_close_matches(text, names, n=1)
    raise MlinfraError(
        Diagnostic(
            f"stack {stage.request.state_name} has no run {text!r}",
            detail=f"Its newest runs are {', '.join(run.name for _, run in runs[:5])}." if runs else "It has none.",
            remedy=f"Did you mean {close[0]}?" if close else f"See them all: {stage.request.command('runs list')}",
            code="run-unknown",
        )
    )


def _same(text: str, runs: Sequence[JobRun]) -> bool:
    """Whether the newest of several runs is meant: those of a job, or those of one title and the same inputs."""
    one = len({(run.job, run.digest) for run in runs}) == 1
    return all(run.job == text for run in runs) or (one and all(run.title == text for run in runs))


def _tests(text: str) -> Iterator[Any]:
    yield lambda run: run.name == text
    yield lambda run: run.title == text
    yield lambda run: run.job == text
    if len(text) >= _SHORTEST:
        yield lambda run: run.digest.startswith(text)


# ------------------------------------------------------------------------------------------------ pods, and why none


def _pods(cluster: Cluster, namespace: str, labels: str) -> list[Object]:
    return cluster.list("v1", "Pod", namespace, labels=labels)


def _grouped(pods: list[Object]) -> Mapping[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for pod in pods:
        found.setdefault(pod["metadata"]["labels"][JOB_NAME], []).append(pod)
    return found


def _pods_of_ray(cluster: Cluster, live: Object) -> list[Object]:
    """The pods of the Ray cluster that KubeRay made, and the one that hands the job in."""
    namespace = live["metadata"]["namespace"]
    name = lookup(live, "status", "rayClusterName")
    members = _pods(cluster, namespace, f"{runs_ray.CLUSTER}={name}") if name else []
    return [*members, *_pods(cluster, namespace, f"{JOB_NAME}={live['metadata']['name']}")]


def _refused(cluster: Cluster, live: Object) -> str:
    """Why there are no pods: what the API server said to whoever wanted to make them, such as of a quota."""
    fields = f"involvedObject.uid={live['metadata']['uid']},type=Warning"
    path = cluster.path("v1", "Event", live["metadata"]["namespace"])
    with suppress(ApiError):  # an addition to a message; whoever may see jobs may not see events
        items = cluster.request("GET", f"{path}?{urlencode({'fieldSelector': fields})}")["items"]
        events = sorted(items, key=lambda item: str(item.get("lastTimestamp") or ""))
        return str(events[-1].get("message") or "") if events else ""
    return ""


def _queued(cluster: Cluster, live: Object) -> str:
    """Why Kueue has not let a run in: https://kueue.sigs.k8s.io/docs/concepts/workload/."""
    if QUEUE not in (live["metadata"].get("labels") or {}):
        return ""
    with suppress(ApiError):
        label = f"kueue.x-k8s.io/job-uid={live['metadata']['uid']}"
        for workload in cluster.list(*_WORKLOADS, live["metadata"]["namespace"], labels=label):
            return str(condition(workload, "QuotaReserved").get("message") or "")
    return ""
