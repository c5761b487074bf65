"""How far a rollout is, from what the cluster says: objects as Argo Rollouts' controller 1.8.3 left them."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.rollouts import GateLook, Progress
from mlinfra.views import rollout_words
from mlinfra.workflow.rollout_state import of_deployment, of_rollout

STEPS = [
    {"setWeight": 25},
    {"analysis": {"templates": [{"templateName": "api-gate-1"}]}},
    {"setWeight": 50},
    {"pause": {"duration": "60s"}},
    {"pause": {}},
]
CONTAINERS = {"template": {"spec": {"containers": [{"name": "serve", "image": "x@sha256:1"}]}}}


def rollout(status: dict[str, Any], *, generation: int = 2, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Rollout",
        "metadata": {"name": "api", "namespace": "ns", "generation": generation},
        "spec": {"replicas": 4, "strategy": {"canary": {"steps": STEPS}}, **CONTAINERS, **spec},
        "status": {"observedGeneration": str(generation), "currentPodHash": "new", "stableRS": "old", **status},
    }


def run(index: int | None, name: str, phase: str, created: str, *, version: str = "new", **counts: Any) -> Any:
    labels = {"rollouts-pod-template-hash": version, **({} if index is None else {"step-index": str(index)})}
    result = {"name": name, "phase": phase, "measurements": [{"value": "[0.2]", "phase": phase}], **counts}
    metadata = {"name": f"{name}-{created}", "labels": labels, "creationTimestamp": created}
    return {"metadata": metadata, "status": {"phase": phase, "metricResults": [result]}}


CASES: dict[str, tuple[dict[str, Any], Progress, int | None, bool, str]] = {
    "a gate looks on": (
        {"phase": "Progressing", "currentStepIndex": 1, "message": "more replicas need to be updated"},
        Progress.PROGRESSING,
        25,
        False,
        "progressing in step 2 of 5, the new version has 25 %: more replicas need to be updated",
    ),
    "it waits for its time": (
        {"phase": "Paused", "currentStepIndex": 3, "pauseConditions": [{"reason": "CanaryPauseStep"}]},
        Progress.PAUSED,
        50,
        False,
        "paused in step 4 of 5, the new version has 50 %",
    ),
    "it waits for a person": (
        {"phase": "Paused", "currentStepIndex": 4, "pauseConditions": [{"reason": "CanaryPauseStep"}]},
        Progress.PAUSED,
        50,
        True,
        "paused in step 5 of 5, the new version has 50 %; it waits for promote or abort",
    ),
    "its gate found no requests": (
        {"phase": "Paused", "currentStepIndex": 1, "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]},
        Progress.PAUSED,
        25,
        True,
        "paused in step 2 of 5, the new version has 25 %; it waits for promote or abort",
    ),
    "a gate ended it": (
        {"phase": "Degraded", "abort": True, "currentStepIndex": 0, "message": "RolloutAborted: errors"},
        Progress.ABORTED,
        0,
        False,
        "aborted: RolloutAborted: errors",
    ),
    "it is done": (
        {"phase": "Healthy", "stableRS": "new", "currentStepIndex": 5},
        Progress.DONE,
        100,
        False,
        "done",
    ),
    "the plugin says what the weight is": (
        {"phase": "Progressing", "currentStepIndex": 3, "canary": {"weights": {"canary": {"weight": 49}}}},
        Progress.PROGRESSING,
        49,
        False,
        "progressing in step 4 of 5, the new version has 49 %",
    ),
    "nobody has looked at this version yet": (
        {"phase": "Healthy", "observedGeneration": "1", "stableRS": "new"},
        Progress.UNSEEN,
        100,
        False,
        "its controller has not looked at it yet",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_how_far_a_canary_is(name: str) -> None:
    status, progress, weight, waits, words = CASES[name]
    state = of_rollout("api", rollout(status), ())
    assert (state.progress, state.weight, state.waits_for_person) == (progress, weight, waits)
    assert rollout_words.words(state) == words
    assert state.images == {"serve": "x@sha256:1"}


def test_one_that_nobody_has_looked_at() -> None:
    live = rollout({})
    del live["status"]
    state = of_rollout("api", live, ())
    assert (state.progress, state.gates, state.new) == (Progress.UNSEEN, (), "")


def test_a_blue_green_rollout_waits_for_a_person() -> None:
    paused = {"phase": "Paused", "pauseConditions": [{"reason": "BlueGreenPause"}], "message": "BlueGreenPause"}
    state = of_rollout("api", rollout(paused, strategy={"blueGreen": {"activeService": "api"}}), ())
    assert (state.strategy, state.step, state.weight, state.waits_for_person) == ("blue-green", None, None, True)


def test_what_the_gates_of_this_version_saw() -> None:
    runs = [
        run(3, "latency", "Running", "2026-11-21T10:05:00Z", successful=1, inconclusive=1),
        run(1, "errors", "Successful", "2026-11-21T10:00:00Z", successful=2, count=2),
        run(1, "errors", "Failed", "2026-11-21T09:00:00Z", version="older", failed=1),
        run(None, "load-test", "Failed", "2026-11-21T10:06:00Z", failed=1, message="failed (1) > failureLimit (0)"),
    ]
    state = of_rollout("api", rollout({"phase": "Progressing", "currentStepIndex": 3}), runs)
    assert state.gates == (
        GateLook("errors", "successful", 2, "[0.2]", good=2),
        GateLook("latency", "running", 4, "[0.2]", good=1, unclear=1),
        GateLook("load-test", "failed", None, "[0.2]", "failed (1) > failureLimit (0)", bad=1),
    )
    assert rollout_words.gate(state.gates[1])["looks"] == "1 good, 1 without data"
    assert [gate["name"] for gate in state.as_json()["gates"]] == ["errors", "latency", "load-test"]


def deployment(status: dict[str, Any], generation: int = 1) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "ns", "generation": generation},
        "spec": {"replicas": 3, **CONTAINERS},
        "status": {"observedGeneration": 1, **status},
    }


ALL = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}


@pytest.mark.parametrize(
    ("live", "progress", "pods"),
    [
        (deployment(ALL), Progress.DONE, "3 of 3 ready"),
        (deployment(ALL, generation=2), Progress.UNSEEN, "3 of 3 ready"),
        (deployment({**ALL, "updatedReplicas": 1}), Progress.PROGRESSING, "3 of 3 ready, 1 new"),
        (deployment({"availableReplicas": 3, "conditions": [LATE]}), Progress.DEGRADED, "3 of 3 ready, 0 new"),
    ],
)
def test_how_far_a_deployment_is(live: Any, progress: Progress, pods: str) -> None:
    state = of_deployment("api", live, variant="challenger")
    assert state.progress is progress
    assert rollout_words.pods(state) == pods
    assert rollout_words.row(state)["endpoint"] == "api (challenger)"
    assert rollout_words.row(state)["by"] == "Kubernetes"
