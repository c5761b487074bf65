"""How far a run is that KubeRay runs, from its `RayJob` and the pods of its Ray cluster. Pure.

KubeRay makes a RayCluster for the run, and a pod that hands the job in and prints what it writes. Source of the
statuses and reasons: github.com/ray-project/kuberay, ray-operator/apis/ray/v1/rayjob_types.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import annotation, lookup
from mlinfra.runs import JobPod, JobRun, Phase
from mlinfra.workflow.run_job_template import QUEUE
from mlinfra.workflow.runs_state import CANCELLED_BY, culprit, pod_of, run_of, timed

API_VERSION: Final = "ray.io/v1"
KIND: Final = "RayJob"
CLUSTER: Final = "ray.io/cluster"
GROUP: Final = "ray.io/group"
NODE_TYPE: Final = "ray.io/node-type"

_DOING: Final = {
    "Initializing": (Phase.STARTING, "its Ray cluster is made"),
    "Waiting": (Phase.STARTING, "its Ray cluster waits for the job"),
    "Running": (Phase.RUNNING, ""),
    "Retrying": (Phase.RETRYING, ""),
    "Suspending": (Phase.QUEUED, "it is being suspended"),
    "Suspended": (Phase.QUEUED, ""),
}
_WORDS: Final = {
    "SubmissionFailed": "the job could not be handed in to its Ray cluster",
    "AppFailed": "its program failed",
    "ValidationFailed": "KubeRay refused it",
    "JobDeploymentStatusTransitionGracePeriodExceeded": "KubeRay lost sight of it",
}


def judge(job: str, live: Object, pods: Iterable[Object], now: datetime) -> JobRun:
    """A run of the component `job`, from its `RayJob` and the pods of its cluster and of its submitter."""
    status = live.get("status") or {}
    items = sorted(pods, key=lambda item: (item["metadata"].get("creationTimestamp") or "", item["metadata"]["name"]))
    seen = _marked(items)
    workers = [int(group.get("replicas") or 0) for group in lookup(live, *_GROUPS, default=[])]
    size = 1 + sum(workers)
    base = replace(
        run_of(job, live),
        wanted=size,
        parallel=size,
        running=sum(pod.phase is Phase.RUNNING and pod.part != _SUBMITTER for pod in seen),
        failed=status.get("failed") or 0,
        started=status.get("startTime") or "",
        ended=status.get("endTime") or "",
        pods=tuple(seen),
    )
    return timed(_ended(base, live, culprit(items)) or _going(base, live), now)


_GROUPS: Final = ("spec", "rayClusterSpec", "workerGroupSpecs")
_SUBMITTER: Final = "job"


def _marked(items: Iterable[Object]) -> list[JobPod]:
    """The pods with what they are in the Ray cluster: `head`, `worker-0`; `job` is the one that hands the job in."""
    found, workers = [], 0
    for item in items:
        kind = (item["metadata"].get("labels") or {}).get(NODE_TYPE, "")
        part = kind or _SUBMITTER
        if kind == "worker":
            part, workers = f"worker-{workers}", workers + 1
        found.append(replace(pod_of(item), part=part))
    return found


def _ended(run: JobRun, live: Object, worst: JobPod | None) -> JobRun | None:
    status = live.get("status") or {}
    deployed, by = status.get("jobDeploymentStatus") or "", annotation(live, CANCELLED_BY)
    if by and deployed in ("Suspended", "Failed", "Complete"):
        return replace(run, phase=Phase.CANCELLED, reason=f"by {by}")
    told = str(status.get("message") or "").strip()
    if deployed == "Complete" and status.get("jobStatus") == "SUCCEEDED":
        return replace(run, phase=Phase.SUCCEEDED, succeeded=run.wanted, exit_code=0)
    if status.get("jobStatus") == "STOPPED" and deployed == "Complete":
        return replace(run, phase=Phase.CANCELLED, reason=told or "it was stopped within Ray")
    if deployed not in ("Complete", "Failed", "ValidationFailed"):
        return None
    if status.get("reason") == "DeadlineExceeded":
        return replace(run, phase=Phase.DEADLINE, reason=told)
    why = _WORDS.get(str(status.get("reason")), str(status.get("reason") or "its program failed"))
    reason = ": ".join(filter(None, (why, told or (worst.reason if worst else ""))))
    return replace(run, phase=Phase.FAILED, reason=reason, exit_code=worst.exit_code if worst else None)


def _going(run: JobRun, live: Object) -> JobRun:
    status: Any = live.get("status") or {}
    if annotation(live, CANCELLED_BY):
        return replace(run, phase=Phase.RUNNING, reason=f"is being cancelled by {annotation(live, CANCELLED_BY)}")
    queue = (live["metadata"].get("labels") or {}).get(QUEUE)
    if lookup(live, "spec", "suspend"):
        return replace(run, phase=Phase.QUEUED, reason=f"in queue {queue}" if queue else "it is suspended")
    phase, reason = _DOING.get(status.get("jobDeploymentStatus") or "", (Phase.WAITING, ""))
    if phase is Phase.WAITING:
        return replace(run, phase=phase, reason="KubeRay has not taken it up yet")
    waiting = next((pod for pod in run.pods if pod.phase is Phase.WAITING and pod.reason), None)
    if waiting is not None:
        return replace(run, phase=Phase.WAITING if phase is Phase.STARTING else phase, reason=_waits(waiting))
    return replace(run, phase=phase, reason=reason or str(status.get("message") or ""))


def _waits(pod: JobPod) -> str:
    return f"{pod.part} waits: {pod.reason}"
