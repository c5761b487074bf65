"""Which rollouts a stack has, and what is written to steer one: by a cluster that keeps what it is told."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.rollout_values import BlueGreen
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.diagnostics import MlinfraError
from mlinfra.graph import Graph
from mlinfra.project import Project
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.rollouts import Progress, RolloutState
from mlinfra.workflow import rollouts
from mlinfra.workflow.request import Request
from tests.components.conftest import expanded  # noqa: F401 — a fixture
from tests.components.test_rollout import IMAGE, canary, champions, endpoint
from tests.workflow.test_rollout_state import rollout, run


class Kept:
    """A cluster with one Rollout: what is asked of it, and what is written."""

    def __init__(self, live: dict[str, Any] | None, *, conflicts: int = 0) -> None:
        self.live, self.conflicts = copy.deepcopy(live), conflicts
        self.written: list[tuple[str, dict[str, Any]]] = []
        if self.live:
            self.live["metadata"] |= {"resourceVersion": "7", "uid": "u"}

    def get(self, api: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.live)

    def list(self, api: str, kind: str, namespace: str, *, labels: str = "") -> list[dict[str, Any]]:
        mine = run(1, "errors", "Running", "2026-11-21T10:00:00Z")
        mine["metadata"]["ownerReferences"] = [{"uid": "u"}]
        return [mine, run(1, "errors", "Failed", "2026-11-21T11:00:00Z")]  # the other one is somebody else's

    def path(self, api: str, kind: str, namespace: str, name: str) -> str:
        return f"/{namespace}/{name}"

    def merge(self, path: str, patch: dict[str, Any]) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise ApiError("PATCH", path, 409, {"message": "the object has been modified"})
        self.written.append((path, patch))

    def close(self) -> None:
        """Nothing."""


def stage(graph: Graph, cluster: Kept | None, tmp_path: Path) -> rollouts.Rollouts:
    target = SimpleNamespace(kind="kubeconfig")
    compiled = SimpleNamespace(graph=graph, stack=SimpleNamespace(file=SimpleNamespace(target=target)))
    request = Request(Project(tmp_path), "dev")
    found = tuple(rollouts.served_of(graph))
    providers = {node.options.provider for node in graph}
    reached = cast("Any", dict.fromkeys(providers, cluster))
    return rollouts.Rollouts(request, cast("Any", compiled), found, _clusters=reached)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(rollouts, "append", lambda request, verb, fields: found.append((verb, dict(fields))))
    return found


@pytest.fixture
def graph(expanded: Any) -> Graph:  # noqa: F811
    return cast("Graph", expanded(lambda: endpoint(rollout=canary())).graph)


def test_which_rollouts_there_are(expanded: Any) -> None:  # noqa: F811
    def served(declare: Any) -> list[tuple[str, str, str, bool]]:
        found = rollouts.served_of(expanded(declare).graph)
        return [(item.name, item.variant, item.strategy, item.steered) for item in found]

    assert served(lambda: endpoint(rollout=canary())) == [("api", "", "rolling", True)]
    assert served(endpoint) == [("api", "", "rolling", False)]
    ((name, _, strategy, steered),) = served(lambda: endpoint(argo=False, rollout=BlueGreen()))
    assert (name.startswith("api-"), strategy, steered) == (True, "blue-green", False)
    assert [item[:2] for item in served(champions)] == [
        ("api-challenger", "challenger"),
        ("api-champion", "champion"),
        ("api-shadow", "shadow"),
    ]
    (item,) = rollouts.served_of(expanded(lambda: endpoint(rollout=canary())).graph)
    assert item.namespace == "sample-test-train"


def test_what_stands_before_an_endpoint_is_no_version_of_it(expanded: Any) -> None:  # noqa: F811
    def declare() -> Endpoint:
        given: Any = {"cluster": TrainingCluster("train"), "image": IMAGE}
        return Endpoint("ranker", **given, failover=Endpoint("spare", **given))

    found = rollouts.served_of(expanded(declare).graph)
    assert sorted((item.endpoint, item.name) for item in found) == [("ranker", "ranker"), ("spare", "spare")]


PAUSED = {"phase": "Paused", "currentStepIndex": 4, "pauseConditions": [{"reason": "CanaryPauseStep"}]}
LOOKING = {"phase": "Progressing", "currentStepIndex": 1}
UNCLEAR = {
    "phase": "Paused",
    "currentStepIndex": 1,
    "controllerPause": True,
    "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}],
    "canary": {"currentStepAnalysisRunStatus": {"status": "Inconclusive"}},
}
BLUE = {"phase": "Paused", "pauseConditions": [{"reason": "BlueGreenPause"}]}
PATCHES: dict[str, tuple[dict[str, Any], bool, dict[str, Any]]] = {
    "past a pause": (PAUSED, False, {"pauseConditions": None}),
    "past a gate that looks on": (LOOKING, False, {"pauseConditions": None, "currentStepIndex": 2}),
    "past a gate that saw nothing": (
        UNCLEAR,
        False,
        {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2},
    ),
    "to the end": (LOOKING, True, {"promoteFull": True}),
}


@pytest.mark.parametrize("name", PATCHES)
def test_what_lets_it_go_on(name: str, graph: Graph, noted: list[Any], tmp_path: Path) -> None:
    status, full, patch = PATCHES[name]
    cluster = Kept(rollout(status))
    opened = stage(graph, cluster, tmp_path)
    state = rollouts.promote(opened, opened.steered("api", "promote"), full=full)
    assert cluster.written == [
        ("/sample-test-train/api/status", {"metadata": {"resourceVersion": "7"}, "status": patch})
    ]
    assert [gate.phase for gate in state.gates] == ["running"]
    ((verb, fields),) = noted
    assert (verb, fields["endpoint"], fields["full"]) == ("rollout promote", "api", full)


def test_a_switch_is_let_go_on_and_so_is_what_somebody_paused(graph: Graph, noted: list[Any], tmp_path: Path) -> None:
    cluster = Kept(rollout(BLUE, strategy={"blueGreen": {"activeService": "api"}}, paused=True))
    opened = stage(graph, cluster, tmp_path)
    rollouts.promote(opened, opened.steered(None, "promote"))
    assert [patch for _, patch in cluster.written] == [
        {"metadata": {"resourceVersion": "7"}, "status": {"pauseConditions": None}},
        {"spec": {"paused": False}},
    ]


def test_what_takes_it_back_is_written_again_when_somebody_was_faster(
    graph: Graph, noted: list[Any], tmp_path: Path
) -> None:
    cluster = Kept(rollout(LOOKING), conflicts=2)
    opened = stage(graph, cluster, tmp_path)
    rollouts.abort(opened, opened.steered("api", "abort"))
    assert [patch["status"] for _, patch in cluster.written] == [{"abort": True}]
    assert [verb for verb, _ in noted] == ["rollout abort"]
    cluster = Kept(rollout(LOOKING), conflicts=99)
    opened = stage(graph, cluster, tmp_path)
    with pytest.raises(ApiError):
        rollouts.abort(opened, opened.steered("api", "abort"))
    assert len(noted) == 1


REFUSED: dict[str, tuple[dict[str, Any] | None, str]] = {
    "it is done": (rollout({"phase": "Healthy", "stableRS": "new"}), "rollout-done"),
    "it was aborted": (rollout({"phase": "Degraded", "abort": True}), "rollout-aborted"),
    "it is not there": (None, "rollout-not-up"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("verb", ["promote", "abort"])
def test_what_is_refused(name: str, verb: str, graph: Graph, noted: list[Any], tmp_path: Path) -> None:
    live, code = REFUSED[name]
    cluster = Kept(live)
    opened = stage(graph, cluster, tmp_path)
    with pytest.raises(MlinfraError) as error:
        getattr(rollouts, verb)(opened, opened.steered("api", verb))
    assert error.value.diagnostics[0].code == code
    assert (cluster.written, noted) == ([], [])


def test_what_nobody_steers_and_what_is_not_there(expanded: Any, tmp_path: Path) -> None:  # noqa: F811
    def code(declare: Any, name: str | None) -> str:
        with pytest.raises(MlinfraError) as error:
            stage(expanded(declare).graph, None, tmp_path).steered(name, "abort")
        return error.value.diagnostics[0].code

    assert code(endpoint, "api") == "rollout-not-steered"
    assert code(endpoint, None) == "rollout-not-steered"
    assert code(endpoint, "apo") == "rollout-unknown"
    assert code(lambda: endpoint(image=None), "api") == "rollout-no-version"


def test_it_is_followed_until_it_ends_or_waits(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Kept(rollout({"phase": "Progressing", "currentStepIndex": 0}))
    later = iter([Kept(rollout(status)).live for status in (LOOKING, LOOKING, PAUSED)])
    monkeypatch.setattr("mlinfra.workflow.rollouts.time.sleep", lambda seconds: setattr(cluster, "live", next(later)))
    told: list[RolloutState] = []
    (ended,) = rollouts.follow(stage(graph, cluster, tmp_path), None, told.append)
    assert [state.step for state in told] == [0, 1, 4]
    assert (ended.progress, ended.waits_for_person) == (Progress.PAUSED, True)
