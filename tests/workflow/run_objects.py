"""Jobs and pods as a cluster has them, in few words."""

from __future__ import annotations

from typing import Any

from mlinfra.providers.kubernetes.client import Object

BEGAN = "2026-11-21T10:00:00Z"
ENDED = "2026-11-21T10:05:00Z"
DOES_NOT_FIT = (
    "0/3 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/3 nodes are "
    "available: 3 No preemption victims found for incoming pod."
)


def condition(name: str, reason: str = "", message: str = "", status: str = "True") -> Object:
    return {"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": ENDED}


def job(
    *conditions: Object,
    spec: Object | None = None,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    **status: Any,
) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "fit-0123456789",
            "namespace": "ns",
            "creationTimestamp": BEGAN,
            "labels": {"mlinfra.dev/run": "0123456789", **(labels or {})},
            "annotations": annotations or {},
        },
        "spec": {"completions": 1, "parallelism": 1, **(spec or {})},
        "status": {"startTime": BEGAN, "conditions": list(conditions), **status},
    }


def pod(
    phase: str = "Running",
    *conditions: Object,
    rank: int | None = None,
    number: int = 0,
    code: int | None = None,
    why: str = "",
    waiting: Object | None = None,
    node: str = "gpu-0",
    deleted: bool = False,
    **status: Any,
) -> Object:
    """A pod; `number` tells the order in which pods were made."""
    labels = {} if rank is None else {"batch.kubernetes.io/job-completion-index": str(rank)}
    metadata = {"name": f"p-{rank}-{number}", "creationTimestamp": f"2026-11-21T10:00:{number:02}Z", "labels": labels}
    if deleted:
        metadata["deletionTimestamp"] = ENDED
    state: Object = {}
    if code is not None:
        state = {"terminated": {"exitCode": code, "reason": why or ("Completed" if code == 0 else "Error")}}
    elif waiting is not None:
        state = {"waiting": waiting}
    containers = [{"name": "train", "state": state}] if state else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "train"}], **({"nodeName": node} if node else {})},
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status},
    }


def unplaced(**more: Any) -> Object:
    """A pod that fits no machine."""
    return pod("Pending", condition("PodScheduled", "Unschedulable", DOES_NOT_FIT, "False"), node="", **more)
