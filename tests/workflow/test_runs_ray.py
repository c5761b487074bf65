"""How far a run is that KubeRay runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlinfra.providers.kubernetes.client import Object
from mlinfra.runs import Phase
from mlinfra.workflow.runs_ray import judge
from mlinfra.workflow.runs_state import CANCELLED_BY
from tests.workflow.run_objects import BEGAN, ENDED, pod, unplaced

NOW = datetime(2026, 11, 21, 10, 1, tzinfo=UTC)


def ray(*, spec: Object | None = None, labels: dict[str, str] | None = None, by: str = "", **status: Any) -> Object:
    groups = [{"groupName": "workers", "replicas": 2}]
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": "tune-0123456789",
            "namespace": "ns",
            "labels": labels or {},
            "annotations": {CANCELLED_BY: by} if by else {},
        },
        "spec": {"rayClusterSpec": {"workerGroupSpecs": groups}, **(spec or {})},
        "status": {"startTime": BEGAN, **status},
    }


def member(kind: str, item: Object) -> Object:
    item["metadata"]["labels"]["ray.io/node-type"] = kind
    return item


HEAD = member("head", pod(number=1))
WORKERS = [member("worker", pod(number=number)) for number in (2, 3)]
SUBMITTER = pod(number=4)


@pytest.mark.parametrize(
    ("live", "pods", "phase", "reason", "code"),
    [
        (ray(startTime=None), [], Phase.WAITING, "KubeRay has not taken it up yet", None),
        (ray(jobDeploymentStatus="Initializing"), [], Phase.STARTING, "its Ray cluster is made", None),
        (
            ray(jobDeploymentStatus="Initializing"),
            [HEAD, member("worker", unplaced(number=2))],
            Phase.WAITING,
            "worker-0 waits: 0/3 nodes are available: 1 Insufficient nvidia.com/gpu.",
            None,
        ),
        (ray(jobDeploymentStatus="Waiting"), [], Phase.STARTING, "its Ray cluster waits for the job", None),
        (ray(jobDeploymentStatus="Running", jobStatus="RUNNING"), [HEAD, *WORKERS], Phase.RUNNING, "", None),
        (ray(jobDeploymentStatus="Retrying", failed=1), [], Phase.RETRYING, "", None),
        (ray(spec={"suspend": True}), [], Phase.QUEUED, "it is suspended", None),
        (
            ray(spec={"suspend": True}, labels={"kueue.x-k8s.io/queue-name": "research"}),
            [],
            Phase.QUEUED,
            "in queue research",
            None,
        ),
        (ray(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", endTime=ENDED), [], Phase.SUCCEEDED, "", 0),
        (
            ray(jobDeploymentStatus="Failed", jobStatus="FAILED", reason="AppFailed", message="ValueError: no data"),
            [],
            Phase.FAILED,
            "its program failed: ValueError: no data",
            None,
        ),
        (
            ray(jobDeploymentStatus="Failed", reason="SubmissionFailed"),
            [pod("Failed", code=1)],
            Phase.FAILED,
            "the job could not be handed in to its Ray cluster: exit code 1",
            1,
        ),
        (
            ray(jobDeploymentStatus="Failed", reason="DeadlineExceeded", message="passed the activeDeadlineSeconds"),
            [],
            Phase.DEADLINE,
            "passed the activeDeadlineSeconds",
            None,
        ),
        (
            ray(jobDeploymentStatus="Failed", reason="DeadlineExceeded", by="ada@lab"),
            [],
            Phase.CANCELLED,
            "by ada@lab",
            None,
        ),
        (
            ray(jobDeploymentStatus="Running", by="ada@lab"),
            [HEAD],
            Phase.RUNNING,
            "is being cancelled by ada@lab",
            None,
        ),
        (
            ray(jobDeploymentStatus="Complete", jobStatus="STOPPED"),
            [],
            Phase.CANCELLED,
            "it was stopped within Ray",
            None,
        ),
        (
            ray(jobDeploymentStatus="ValidationFailed", reason="ValidationFailed", message="no entrypoint"),
            [],
            Phase.FAILED,
            "KubeRay refused it: no entrypoint",
            None,
        ),
    ],
)
def test_a_run_is_where_its_rayjob_says(
    live: Object, pods: list[Object], phase: Phase, reason: str, code: int | None
) -> None:
    run = judge("tune", live, pods, NOW)
    assert (run.phase, run.reason, run.exit_code) == (phase, reason, code)


def test_its_pods_are_told_apart() -> None:
    run = judge("tune", ray(jobDeploymentStatus="Running"), [SUBMITTER, *WORKERS, HEAD], NOW)
    assert [item.part for item in run.pods] == ["head", "worker-0", "worker-1", "job"]
    assert (run.wanted, run.running, run.seconds) == (3, 3, 60.0), "what hands the job in is no member"
