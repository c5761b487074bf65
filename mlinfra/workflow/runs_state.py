"""How far a run is, from its `Job` and its pods as the cluster has them. Pure.

Sources: https://kubernetes.io/docs/concepts/workloads/controllers/job/ (conditions, reasons, indexes),
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ (phases, container states) and
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from mlinfra.components.job_queue import QUEUE_LABEL
from mlinfra.expansion import DOMAIN
from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import annotation, label, lookup
from mlinfra.providers.kubernetes.pods import without_asides
from mlinfra.providers.kubernetes.waitfor import condition
from mlinfra.runs import JobPod, JobRun, Phase
from mlinfra.workflow.run_job_template import RUN

STARTED_BY: Final = f"{DOMAIN}/started-by"
"""The annotation that says who made a run, and from where: `user@host`."""
CANCELLED_BY: Final = f"{DOMAIN}/cancelled-by"
TITLE: Final = f"{DOMAIN}/title"
SETTINGS: Final = f"{DOMAIN}/settings"
"""The annotation with the values of a run's config that differ from the template's, as JSON."""
INDEX: Final = "batch.kubernetes.io/job-completion-index"

_PULLING: Final = ("", "ContainerCreating", "PodInitializing")
_WORDS: Final = {
    "BackoffLimitExceeded": "every try failed",
    "PodFailurePolicy": "the job does not try again after such an end",
    "FailedIndexes": "some of its pods failed for good",
    "MaxFailedIndexesExceeded": "too many of its pods failed",
}
_CODE: Final = re.compile(r"exit code (\d+)")


def judge(job: str, live: Object, pods: Iterable[Object], now: datetime) -> JobRun:
    """A run of the component `job`, from its `Job` and the pods that it made."""
    spec = live.get("spec") or {}
    items = in_order(pods)
    seen = latest([pod_of(item) for item in items])
    worst = culprit(items)
    base = replace(
        run_of(job, live),
        wanted=spec.get("completions") or spec.get("parallelism", 1),
        parallel=spec.get("parallelism", 1),
        running=sum(pod.phase is Phase.RUNNING for pod in seen),
        succeeded=lookup(live, "status", "succeeded") or 0,
        pods=tuple(seen),
    )
    return timed(_ended(base, live, worst) or held(base, live) or _going(base, worst), now)


def run_of(job: str, live: Object) -> JobRun:
    """What a run's object says of itself, whatever its kind: names, digest, who made it, when it began."""
    metadata, status = live["metadata"], live.get("status") or {}
    settings: Any = {}
    with suppress(ValueError):
        settings = json.loads(annotation(live, SETTINGS) or "{}")
    return JobRun(
        name=metadata["name"],
        job=job,
        namespace=metadata["namespace"],
        phase=Phase.WAITING,
        kind=live["kind"],
        digest=label(live, RUN),
        title=annotation(live, TITLE),
        settings=settings if isinstance(settings, dict) else {},
        failed=status.get("failed") or 0,
        created=metadata.get("creationTimestamp") or "",
        started=status.get("startTime") or "",
        started_by=annotation(live, STARTED_BY),
    )


def held(run: JobRun, live: Object) -> JobRun | None:
    """A run that is being cancelled, or that a queue has not let in, whatever its kind; None for one that goes on."""
    if by := annotation(live, CANCELLED_BY):
        return replace(run, phase=Phase.RUNNING, reason=f"is being cancelled by {by}")
    if lookup(live, "spec", "suspend"):
        queue = label(live, QUEUE_LABEL)
        return replace(run, phase=Phase.QUEUED, reason=f"in queue {queue}" if queue else "it is suspended")
    return None


def timed(run: JobRun, now: datetime) -> JobRun:
    """With how long it has run, or ran."""
    if not run.started:
        return run
    end = datetime.fromisoformat(run.ended) if run.ended else now
    return replace(run, seconds=max(0.0, (end - datetime.fromisoformat(run.started)).total_seconds()))


def pod_of(item: Object) -> JobPod:
    """A pod, as it is just now."""
    status = item.get("status") or {}
    index = annotation(item, INDEX) or label(item, INDEX)
    rank = int(index) if index.isdigit() else None
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    ended = [end for entry in containers if (end := lookup(entry, "state", "terminated"))]
    bad = [end for end in ended if end.get("exitCode")]
    phase, reason = _phase(item, containers, bad)
    return JobPod(
        name=item["metadata"]["name"],
        phase=phase,
        rank=rank,
        part="" if rank is None else str(rank),
        node=lookup(item, "spec", "nodeName") or "",
        reason=reason,
        exit_code=bad[-1]["exitCode"] if bad else 0 if phase is Phase.SUCCEEDED else None,
        container=_container(item),
    )


def in_order(pods: Iterable[Object]) -> list[Object]:
    """Pods in the order in which they were made."""
    return sorted(pods, key=lambda item: (item["metadata"].get("creationTimestamp") or "", item["metadata"]["name"]))


def latest(pods: Sequence[JobPod]) -> list[JobPod]:
    """Of each rank the newest pod; without ranks all pods. They come in the order in which they were made."""
    by_rank: dict[int | str, JobPod] = {pod.name if pod.rank is None else pod.rank: pod for pod in pods}
    return sorted(by_rank.values(), key=lambda pod: (pod.rank is None, pod.rank or 0))


def culprit(items: Sequence[Object]) -> JobPod | None:
    """Of pods in the order in which they were made the one whose failure tells most: the last one whose program ended
    badly by itself, before those that were stopped, and those that never ran."""
    failed = [(item, pod) for item in items if (pod := pod_of(item)).phase is Phase.FAILED]

    def weight(entry: tuple[int, tuple[Object, JobPod]]) -> tuple[bool, bool, bool, int]:
        number, (item, pod) = entry
        by_itself = bool(pod.exit_code) and not item["metadata"].get("deletionTimestamp")
        return by_itself, bool(pod.exit_code), bool(pod.reason), number

    return max(enumerate(failed), key=weight)[1][1] if failed else None


def _phase(
    item: Object, containers: Sequence[Mapping[str, Any]], bad: Sequence[Mapping[str, Any]]
) -> tuple[Phase, str]:
    status = item.get("status") or {}
    match status.get("phase"):
        case "Succeeded":
            return Phase.SUCCEEDED, ""
        case "Failed":
            return Phase.FAILED, _failure(item, bad)
        case "Running" if not item["metadata"].get("deletionTimestamp"):
            return Phase.RUNNING, ""
    if item["metadata"].get("deletionTimestamp"):
        return Phase.FAILED, _failure(item, bad) or "it is being stopped"
    scheduled = condition(item, "PodScheduled")
    if scheduled.get("status") != "True" and not lookup(item, "spec", "nodeName"):
        return Phase.WAITING, without_asides(scheduled.get("message") or "") if scheduled else ""
    for entry in containers:
        waiting = lookup(entry, "state", "waiting", default={})
        if waiting.get("reason", "") not in _PULLING:
            return Phase.STARTING, ": ".join(filter(None, (waiting["reason"], waiting.get("message"))))
    return Phase.STARTING, ""


def _failure(item: Object, bad: Sequence[Mapping[str, Any]]) -> str:
    """Why a pod failed: it was taken away, its program ended badly, or what the kubelet says."""
    taken = condition(item, "DisruptionTarget")
    if taken.get("status") == "True":
        return f"it was taken away: {taken.get('reason')}" + (f": {taken['message']}" if taken.get("message") else "")
    if bad:
        end = bad[-1]
        word = end.get("reason") if end.get("reason") not in (None, "Error") else end.get("message")
        return f"exit code {end['exitCode']}" + (f" ({word.strip()})" if word else "")
    status = item.get("status") or {}
    return ": ".join(filter(None, (status.get("reason"), status.get("message"))))


def _container(item: Object) -> str:
    containers = lookup(item, "spec", "containers", default=[])
    return str(containers[0]["name"]) if containers else ""


# ------------------------------------------------------------------------------------------------ the whole run


def _ended(run: JobRun, live: Object, worst: JobPod | None) -> JobRun | None:
    """A run that is over: a `Job` is when it is Complete or Failed, and not before its pods are gone."""
    done = condition(live, "Complete")
    if done.get("status") == "True":
        ended = lookup(live, "status", "completionTime") or done.get("lastTransitionTime") or ""
        return replace(run, phase=Phase.SUCCEEDED, ended=ended, exit_code=0)
    failed = condition(live, "Failed")
    if failed.get("status") != "True":
        return None
    ended = failed.get("lastTransitionTime") or ""
    if by := annotation(live, CANCELLED_BY):
        return replace(run, phase=Phase.CANCELLED, reason=f"by {by}", ended=ended)
    if failed.get("reason") == "DeadlineExceeded":
        limit = lookup(live, "spec", "activeDeadlineSeconds")
        reason = f"it had {limit} s" if limit else str(failed.get("message") or "")
        return replace(run, phase=Phase.DEADLINE, reason=reason, ended=ended)
    told = str(failed.get("message") or "")
    code = worst.exit_code if worst else None
    if code is None and (match := _CODE.search(told)):
        code = int(match[1])
    why = _WORDS.get(str(failed.get("reason")), str(failed.get("reason") or ""))
    ranks = f" (indexes {indexes})" if (indexes := lookup(live, "status", "failedIndexes")) else ""
    reason = f"{why}{ranks}: {_told(worst) if worst else told}".strip(": ")
    return replace(run, phase=Phase.FAILED, reason=reason, ended=ended, exit_code=code)


def _going(run: JobRun, worst: JobPod | None) -> JobRun:
    active = [pod for pod in run.pods if not pod.phase.ended]
    slow = next((pod for pod in active if pod.phase in (Phase.WAITING, Phase.STARTING)), None)
    if (run.failed or worst) and (slow is not None or not active):
        return replace(run, phase=Phase.RETRYING, reason=_told(worst) if worst else _waits(slow))
    if run.running:
        return replace(run, phase=Phase.RUNNING, reason=_waits(slow))
    if slow is not None:
        waiting = next((pod for pod in active if pod.phase is Phase.WAITING and pod.reason), slow)
        return replace(run, phase=waiting.phase, reason=waiting.reason)
    if run.succeeded or run.pods:  # the next pods are about to be made, or the end to be told
        return replace(run, phase=Phase.RUNNING)
    return replace(run, phase=Phase.WAITING, reason="its pods are not made yet")


def _told(pod: JobPod) -> str:
    who = "" if pod.rank is None else f"rank {pod.rank}: "
    return f"{who}{pod.reason or 'failed'}"


def _waits(pod: JobPod | None) -> str:
    if pod is None or pod.phase is not Phase.WAITING or not pod.reason:
        return ""
    return f"rank {pod.rank} waits: {pod.reason}" if pod.rank is not None else f"another pod waits: {pod.reason}"
