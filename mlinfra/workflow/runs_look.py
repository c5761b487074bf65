"""Looking for runs in the cluster: one of them with all that is known of it, or those of a stack."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Final
from urllib.parse import urlencode

from mlinfra.components import job_queue, job_ray
from mlinfra.components.job_ranks import JOB_NAME
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import label, lookup
from mlinfra.providers.kubernetes.waitfor import condition
from mlinfra.runs import JobRun, Phase
from mlinfra.workflow import runs_ray, runs_state
from mlinfra.workflow.runs_access import Job, Stage

_WORKLOADS: Final = (job_queue.API, "Workload")
_NOT_FOUND: Final = 404
_SHORTEST: Final = 4  # characters of a digest that will do for a name


def kind_of(job: Job) -> tuple[str, str]:
    """What the runs of a job are in the cluster."""
    return (job_ray.API, job_ray.KIND) if job.ray else ("batch/v1", "Job")


def look(cluster: Cluster, job: Job, name: str) -> JobRun | None:
    """A run as it is now, with its pods; None where it is not there."""
    live = cluster.get(*kind_of(job), name, job.namespace)
    if live is None:
        return None
    pods = [_pods(cluster, job.namespace, f"{key}={value}") for key, value in _marks(live)]
    run = judged(job, live, list(chain.from_iterable(pods)))
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

    However many jobs and runs there are, each namespace is asked twice: for its runs, and for their pods. Of Ray
    clusters it is asked for those that hand jobs in, too.
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
    whose = f"{COMPONENT_LABEL}={first.identity}" if len(jobs) == 1 else COMPONENT_LABEL
    try:
        found = cluster.list(*kind_of(first), first.namespace, labels=f"{whose},{labels}" if labels else whose)
    except ApiError as error:
        if error.status == _NOT_FOUND:  # the cluster has no such kind
            return
        raise
    found = [live for live in found if label(live, COMPONENT_LABEL) in by_identity]
    pods: dict[tuple[str, str], list[Object]] = {}
    for key in {key for live in found for key, _ in _marks(live)}:
        for pod in _pods(cluster, first.namespace, f"{key},{whose}"):
            pods.setdefault((key, label(pod, key)), []).append(pod)
    for live in found:
        job = by_identity[label(live, COMPONENT_LABEL)]
        yield job, judged(job, live, [pod for mark in _marks(live) for pod in pods.get(mark, [])])


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


def _tests(text: str) -> Iterator[Callable[[JobRun], bool]]:
    yield lambda run: run.name == text
    yield lambda run: run.title == text
    yield lambda run: run.job == text
    if len(text) >= _SHORTEST:
        yield lambda run: run.digest.startswith(text)


# ------------------------------------------------------------------------------------------------ pods, and why none


def _pods(cluster: Cluster, namespace: str, labels: str) -> list[Object]:
    return cluster.list("v1", "Pod", namespace, labels=labels)


def _marks(live: Object) -> list[tuple[str, str]]:
    """The labels, with their values, by which a run's pods are found.

    They belong to the Ray cluster that KubeRay made for it, or to the `Job` of its name: the run itself, or what hands
    it in to that cluster.
    """
    ray = lookup(live, "status", "rayClusterName")
    return [*([(runs_ray.CLUSTER, str(ray))] if ray else []), (JOB_NAME, live["metadata"]["name"])]


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
    if not label(live, job_queue.QUEUE_LABEL):
        return ""
    with suppress(ApiError):
        owner = f"kueue.x-k8s.io/job-uid={live['metadata']['uid']}"
        for workload in cluster.list(*_WORKLOADS, live["metadata"]["namespace"], labels=owner):
            return str(condition(workload, "QuotaReserved").get("message") or "")
    return ""
