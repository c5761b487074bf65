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
from mlinfra.providers.kubernetes.objects import annotation, label, lookup
from mlinfra.runs import JobPod, JobRun, Phase
from mlinfra.workflow.runs_state import CANCELLED_BY, culprit, held, in_order, pod_of, run_of, timed

CLUSTER: Final = "ray.io/cluster"
NODE_TYPE: Final = "ray.io/node-type"
"""Labels that KubeRay puts on the pods of a cluster: its name, and whether a pod is its `head` or a `worker`."""

_GROUPS: Final = ("spec", "rayClusterSpec", "workerGroupSpecs")
_SUBMITTER: Final = "job"

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
    items = in_order(pods)
    seen = _marked(items)
    size = 1 + sum(int(group.get("replicas") or 0) for group in lookup(live, *_GROUPS, default=[]))
    base = replace(
        run_of(job, live),
        wanted=size,
        parallel=size,
        running=sum(pod.phase is Phase.RUNNING and pod.part != _SUBMITTER for pod in seen),
        ended=lookup(live, "status", "endTime") or "",
        pods=tuple(seen),
    )
    return timed(_ended(base, live, culprit(items)) or held(base, live) or _going(base, live), now)


def _marked(items: Iterable[Object]) -> list[JobPod]:
    """The pods with what they are in the Ray cluster: `head`, `worker-0`; `job` is the one that hands the job in."""
    found, workers = [], 0
    for item in items:
        part = label(item, NODE_TYPE) or _SUBMITTER
        if part == "worker":
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
    phase, reason = _DOING.get(status.get("jobDeploymentStatus") or "", (Phase.WAITING, ""))
    if phase is Phase.WAITING:
        return replace(run, phase=phase, reason="KubeRay has not taken it up yet")
    waiting = next((pod for pod in run.pods if pod.phase is Phase.WAITING and pod.reason), None)
    if waiting is not None:
        return replace(
            run,
            phase=Phase.WAITING if phase is Phase.STARTING else phase,
            reason=f"{waiting.part} waits: {waiting.reason}",
        )
    return replace(run, phase=phase, reason=reason or str(status.get("message") or ""))
