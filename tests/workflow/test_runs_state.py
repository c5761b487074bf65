"""How far a run is, by its Job and its pods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlinfra.providers.kubernetes.client import Object
from mlinfra.runs import JobRun, Phase
from mlinfra.workflow.runs_state import CANCELLED_BY, SETTINGS, STARTED_BY, TITLE, judge, pod_of
from tests.workflow.run_objects import BEGAN, ENDED, condition, job, pod, unplaced

NOW = datetime(2026, 11, 21, 10, 1, tzinfo=UTC)
RANKS = {"completionMode": "Indexed", "completions": 4, "parallelism": 4}
SWEEP = {"completionMode": "Indexed", "completions": 20, "parallelism": 4}
PULLING = {"reason": "ContainerCreating"}
NO_IMAGE = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
EVICTED = condition("DisruptionTarget", "PreemptionByScheduler", "by a pod with high priority")


def judged(live: Object, *pods: Object) -> JobRun:
    return judge("fit", live, pods, NOW)


CASES: list[tuple[str, Object, list[Object], Phase, str, dict[str, Any]]] = [
    ("no pods yet", job(), [], Phase.WAITING, "its pods are not made yet", {"running": 0}),
    (
        "suspended",
        job(spec={"suspend": True}, startTime=None),
        [],
        Phase.QUEUED,
        "it is suspended",
        {"started": "", "seconds": 0.0},
    ),
    (
        "in a queue",
        job(spec={"suspend": True}, labels={"kueue.x-k8s.io/queue-name": "research"}),
        [],
        Phase.QUEUED,
        "in queue research",
        {},
    ),
    (
        "no machine",
        job(active=1),
        [unplaced()],
        Phase.WAITING,
        "0/3 nodes are available: 1 Insufficient nvidia.com/gpu.",
        {},
    ),
    ("not looked at by the scheduler", job(active=1), [pod("Pending", node="")], Phase.WAITING, "", {}),
    ("pulling", job(active=1), [pod("Pending", waiting=PULLING)], Phase.STARTING, "", {}),
    (
        "no image",
        job(active=1),
        [pod("Pending", waiting=NO_IMAGE)],
        Phase.STARTING,
        "ImagePullBackOff: Back-off pulling image",
        {},
    ),
    ("running", job(active=1), [pod()], Phase.RUNNING, "", {"running": 1, "seconds": 60.0, "wanted": 1}),
    (
        "two of four ranks",
        job(spec=RANKS, active=4),
        [pod(rank=0), pod(rank=1), pod("Pending", waiting=PULLING, rank=2), unplaced(rank=3)],
        Phase.RUNNING,
        "",
        {"running": 2, "wanted": 4, "parallel": 4},
    ),
    (
        "a rank has no machine",
        job(spec=RANKS, active=4),
        [pod(rank=0), unplaced(rank=1)],
        Phase.RUNNING,
        "rank 1 waits: 0/3 nodes are available: 1 Insufficient nvidia.com/gpu.",
        {"running": 1},
    ),
    (
        "a sweep goes on",
        job(spec=SWEEP, succeeded=7),
        [pod("Succeeded", rank=0, code=0), *(pod(rank=rank) for rank in (7, 8, 9, 10))],
        Phase.RUNNING,
        "",
        {"running": 4, "succeeded": 7, "wanted": 20, "parallel": 4},
    ),
    ("between two pods of a sweep", job(spec=SWEEP, succeeded=7), [], Phase.RUNNING, "", {}),
    (
        "retrying",
        job(failed=1, active=1),
        [pod("Failed", code=3, number=1), pod("Pending", waiting=PULLING, number=2)],
        Phase.RETRYING,
        "exit code 3",
        {"failed": 1},
    ),
    ("not counted yet as succeeded", job(), [pod("Succeeded", code=0)], Phase.RUNNING, "", {}),
    ("not counted yet as failed", job(), [pod("Failed", code=1)], Phase.RETRYING, "exit code 1", {}),
    ("between two tries", job(failed=1), [pod("Failed", code=1)], Phase.RETRYING, "exit code 1", {}),
    (
        "a rank is tried again",
        job(spec=RANKS, failed=1),
        [
            *(pod(rank=rank) for rank in (0, 1, 3)),
            pod("Failed", code=137, why="OOMKilled", rank=2, number=1),
            unplaced(rank=2, number=2),
        ],
        Phase.RETRYING,
        "rank 2: exit code 137 (OOMKilled)",
        {"running": 3},
    ),
    (
        "all ranks run again",
        job(spec=RANKS, failed=1),
        [pod("Failed", code=1, rank=2, number=1), *(pod(rank=rank, number=2) for rank in range(4))],
        Phase.RUNNING,
        "",
        {"running": 4},
    ),
    (
        "a machine was taken away",
        job(active=1, failed=1),
        [pod("Failed", EVICTED, number=1), unplaced(number=2)],
        Phase.RETRYING,
        "it was taken away: PreemptionByScheduler: by a pod with high priority",
        {},
    ),
    (
        "succeeded",
        job(condition("Complete", "CompletionsReached"), succeeded=1, completionTime=ENDED),
        [pod("Succeeded", code=0)],
        Phase.SUCCEEDED,
        "",
        {"exit_code": 0, "ended": ENDED, "seconds": 300.0},
    ),
    (
        "about to be told as succeeded",
        job(condition("SuccessCriteriaMet", "CompletionsReached"), succeeded=1),
        [pod("Succeeded", code=0)],
        Phase.RUNNING,
        "",
        {},
    ),
    (
        "failed",
        job(condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"), failed=3),
        [pod("Failed", code=1, number=number) for number in (1, 2)] + [pod("Failed", code=4, number=3)],
        Phase.FAILED,
        "every try failed: exit code 4",
        {"exit_code": 4, "failed": 3, "ended": ENDED},
    ),
    (
        "one rank failed, the others were stopped for it",
        job(condition("Failed", "BackoffLimitExceeded"), spec=RANKS, failed=4),
        [pod("Failed", code=9, rank=2, number=1)]
        + [pod("Failed", code=143, rank=rank, number=2, deleted=True) for rank in (0, 1, 3)],
        Phase.FAILED,
        "every try failed: rank 2: exit code 9",
        {"exit_code": 9},
    ),
    (
        "failed, and its pods are gone",
        job(condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")),
        [],
        Phase.FAILED,
        "every try failed: Job has reached the specified backoff limit",
        {"exit_code": None},
    ),
    (
        "a fatal exit code",
        job(condition("Failed", "PodFailurePolicy", "Container train for pod ns/p failed with exit code 42 matching")),
        [],
        Phase.FAILED,
        "the job does not try again after such an end: Container train for pod ns/p failed with exit code 42 matching",
        {"exit_code": 42},
    ),
    (
        "some of a sweep",
        job(condition("Failed", "FailedIndexes", "Job has failed indexes"), spec=SWEEP, failedIndexes="3,5-7"),
        [],
        Phase.FAILED,
        "some of its pods failed for good (indexes 3,5-7): Job has failed indexes",
        {},
    ),
    (
        "deadline",
        job(condition("Failed", "DeadlineExceeded", "Job was active longer"), spec={"activeDeadlineSeconds": 3600}),
        [],
        Phase.DEADLINE,
        "it had 3600 s",
        {"ended": ENDED},
    ),
    (
        "cancelled",
        job(condition("Failed", "DeadlineExceeded", "Job was active longer"), annotations={CANCELLED_BY: "ada@lab"}),
        [],
        Phase.CANCELLED,
        "by ada@lab",
        {},
    ),
    (
        "being cancelled",
        job(condition("FailureTarget", "DeadlineExceeded"), annotations={CANCELLED_BY: "ada@lab"}),
        [pod(deleted=True)],
        Phase.RUNNING,
        "is being cancelled by ada@lab",
        {},
    ),
    (
        "cancelled too late",
        job(condition("Complete"), annotations={CANCELLED_BY: "ada@lab"}, completionTime=ENDED),
        [],
        Phase.SUCCEEDED,
        "",
        {},
    ),
]


@pytest.mark.parametrize(
    ("live", "pods", "phase", "reason", "more"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_run_is_where_its_job_and_pods_say(
    live: Object, pods: list[Object], phase: Phase, reason: str, more: dict[str, Any]
) -> None:
    run = judged(live, *pods)
    assert (run.phase, run.reason) == (phase, reason)
    assert {name: getattr(run, name) for name in more} == more


def test_the_order_of_the_pods_does_not_matter() -> None:
    for _, live, pods, phase, reason, _ in CASES:
        run = judged(live, *reversed(pods))
        assert (run.phase, run.reason) == (phase, reason)


def test_of_each_rank_the_newest_pod_is_shown() -> None:
    pods = [pod("Failed", code=1, rank=1, number=1), pod(rank=0, number=2), pod(rank=1, number=3)]
    run = judged(job(spec=RANKS), *pods)
    assert [(item.rank, item.part, item.phase) for item in run.pods] == [
        (0, "0", Phase.RUNNING),
        (1, "1", Phase.RUNNING),
    ]
    tries = judged(job(), pod("Failed", code=1, number=1), pod(number=2))
    assert [item.phase for item in tries.pods] == [Phase.FAILED, Phase.RUNNING], "a job of one pod shows every try"


def test_what_a_run_says_of_itself() -> None:
    notes = {STARTED_BY: "ada@lab", TITLE: "small", SETTINGS: '{"lr": 0.1}'}
    run = judged(job(annotations=notes))
    assert (run.name, run.job, run.namespace, run.digest) == ("fit-0123456789", "fit", "ns", "0123456789")
    assert (run.started_by, run.title, run.settings, run.created) == ("ada@lab", "small", {"lr": 0.1}, BEGAN)
    assert judged(job(annotations={SETTINGS: "[broken"})).settings == {}


@pytest.mark.parametrize(
    ("live", "phase", "reason", "code"),
    [
        (pod("Failed", reason="Evicted", message="low on memory"), Phase.FAILED, "Evicted: low on memory", None),
        (pod("Failed", code=1, why="Error"), Phase.FAILED, "exit code 1", 1),
        (pod("Failed", code=137, why="OOMKilled"), Phase.FAILED, "exit code 137 (OOMKilled)", 137),
        (pod("Succeeded", code=0), Phase.SUCCEEDED, "", 0),
        (pod("Running", deleted=True), Phase.FAILED, "it is being stopped", None),
        (
            pod("Pending", waiting={"reason": "CreateContainerConfigError"}),
            Phase.STARTING,
            "CreateContainerConfigError",
            None,
        ),
    ],
)
def test_a_pod(live: Object, phase: Phase, reason: str, code: int | None) -> None:
    found = pod_of(live)
    assert (found.phase, found.reason, found.exit_code, found.container) == (phase, reason, code, "train")
