"""Rollouts in a rehearsal: what stands in for them, in a cluster that is played, and how that is told."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.workflow import rehearse_rollouts
from mlinfra.workflow.rehearse_jobs import place
from mlinfra.workflow.rehearse_rollouts import replicas, stand_in, stood_in
from mlinfra.workflow.rehearse_templates import STAND_IN

ARGO = "argoproj.io/v1alpha1"


def rollout(name: str = "api", **spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "serve"}], "terminationGracePeriodSeconds": 70, "priorityClassName": "serving"}
    template = {"metadata": {"labels": {"mlinfra.dev/component": name}}, "spec": pod}
    selector = {"matchLabels": {"mlinfra.dev/component": name}}
    return {
        "apiVersion": ARGO,
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": "ml", "uid": f"uid-{name}", "labels": {"mlinfra.dev/component": name}},
        "spec": {"template": template, "selector": selector, "strategy": {"canary": {}}, **spec},
    }


def scaler(name: str, least: int, kind: str = "Rollout", namespace: str = "ml") -> dict[str, Any]:
    target = {"apiVersion": ARGO, "kind": kind, "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 9}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


class Played:
    """A cluster of one machine, whose controllers make the pods of Deployments as far as it has room, or a quota."""

    def __init__(self, *objects: dict[str, Any], room: int = 100, quota: int = 100, refuses: bool = False) -> None:
        self.objects, self.room, self.quota, self.refuses = list(objects), room, quota, refuses
        self.discovery = self
        self.deployments: list[dict[str, Any]] = []
        self.pods: list[dict[str, Any]] = []
        self.made: list[dict[str, Any]] = []

    def find(self, version: str, kind: str) -> Any:
        return any((item["apiVersion"], item["kind"]) == (version, kind) for item in self.objects if "kind" in item)

    def list(self, version: str, kind: str, *_: Any, **__: Any) -> list[dict[str, Any]]:
        node = {"metadata": {"name": "cpu-0", "labels": {"mlinfra.dev/pool": "cpu"}}, "spec": {}, "status": {}}
        kinds = {"Deployment": self.deployments, "Pod": self.pods, "Node": [node]}
        scalers = [item for item in self.objects if "scaleTargetRef" in item["spec"]]
        kinds |= {"HorizontalPodAutoscaler": scalers}
        return kinds.get(kind, [item for item in self.objects if item.get("kind") == kind])

    def path(self, version: str, kind: str, namespace: str | None) -> str:
        return f"/{version}/{namespace}/{kind}"

    def get(self, *_: Any) -> None:
        return None

    def request(self, method: str, path: str, body: Any = None) -> None:
        if method == "DELETE":
            assert parse_qs(urlsplit(path).query) == {"labelSelector": [STAND_IN]}
            assert urlsplit(path).path == "/apps/v1/ml/Deployment"
            self.deployments, self.pods = [], []
            return
        if self.refuses:
            raise ApiError("POST", path, 403, {"message": "exceeded quota: deployments"})
        self.made.append(body)
        spec, name = body["spec"], body["metadata"]["name"]
        for index in range(min(spec["replicas"], self.quota)):
            on = {"nodeName": "cpu-0"} if len(self.pods) < self.room else {}
            told = [] if on else [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no room."}]
            metadata = {**spec["template"]["metadata"], "name": f"{name}-{index}", "namespace": "ml"}
            owners = [{"kind": "Deployment", "name": name, "controller": True}]
            pod = {"kind": "Pod", "metadata": {**metadata, "ownerReferences": owners}, "spec": {"containers": [], **on}}
            self.pods.append({**pod, "status": {"conditions": told}})
        failure = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods"}]
        status = {"conditions": failure if spec["replicas"] > self.quota else []}
        self.deployments.append({**body, "status": status})


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearse_rollouts, "_PATIENCE", -1.0)


def told(played: Played) -> list[dict[str, Any]]:
    workloads, jobs = place(played, lambda *_: None)  # type: ignore[arg-type]  # all that it asks of a cluster
    assert jobs == []
    assert (played.deployments, played.pods) == ([], [])  # nothing is left
    return [entry.as_json() for entry in workloads]


def test_its_pods_are_the_rollouts_own() -> None:
    given = rollout(replicas=3)
    before = json.dumps(given, sort_keys=True)
    made = stand_in(given)
    assert made["metadata"]["name"] == "api-stand-in"
    owner = {"apiVersion": ARGO, "kind": "Rollout", "name": "api", "uid": "uid-api", "controller": True}
    assert made["metadata"]["ownerReferences"] == [owner]
    spec = made["spec"]
    assert spec["replicas"] == 3
    assert "strategy" not in spec
    assert spec["selector"] == {"matchLabels": {"mlinfra.dev/component": "api", STAND_IN: "ml-api"}}
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"]
    assert spec["template"]["spec"] == given["spec"]["template"]["spec"]
    assert json.dumps(given, sort_keys=True) == before


@pytest.mark.parametrize(
    ("spec", "scalers", "count"),
    [
        ({"replicas": 5}, [scaler("api", 2)], 5),
        ({"replicas": 0}, [], 0),
        (
            {},
            [scaler("other", 7), scaler("api", 8, "Deployment"), scaler("api", 9, namespace="x"), scaler("api", 2)],
            2,
        ),
        ({}, [], 1),
    ],
)
def test_how_many_pods_it_begins_with(spec: dict[str, Any], scalers: list[Any], count: int) -> None:
    assert replicas(rollout(**spec), scalers) == count


def test_rollouts_stand_beside_each_other_and_it_is_said_who_was_played() -> None:
    played = Played(rollout("api"), rollout("other", replicas=1), scaler("api", 2))
    common = {"kind": "Rollout", "placed": True, "controller_simulated": "Argo Rollouts"}
    assert told(played) == [
        {"name": "api", "component": "api", "pods": 2, "pools": {"cpu": 2}, **common},
        {"name": "other", "component": "other", "pods": 1, "pools": {"cpu": 1}, **common},
    ]


def test_what_has_no_room_beside_another_one() -> None:
    api, other = told(Played(rollout("api", replicas=2), rollout("other", replicas=2), room=3))
    assert (api["placed"], api["pools"]) == (True, {"cpu": 2})
    assert (other["placed"], other["pools"]) == (False, {"cpu": 1})
    assert list(other["reasons"]) == ["other-stand-in-1"]
    assert other["scheduler"] == "0/1 nodes: no room."


@pytest.mark.parametrize(
    ("world", "reasons"),
    [
        ({"quota": 1}, {"2 of 3": "it could not be made: exceeded quota: pods"}),
        ({"refuses": True}, {"3 of 3": "it could not be made: exceeded quota: deployments"}),
    ],
)
def test_pods_that_a_quota_refuses(world: dict[str, Any], reasons: dict[str, str]) -> None:
    [entry] = told(Played(rollout(replicas=3), **world))
    assert (entry["kind"], entry["pods"], entry["reasons"]) == ("Rollout", 3, reasons)


def test_one_that_takes_a_deployments_template_is_that_deployments() -> None:
    played = Played({**rollout(), "spec": {"workloadRef": {"kind": "Deployment", "name": "api"}}})
    assert told(played) == []
    assert played.made == []


def test_a_cluster_without_the_kind_is_not_asked() -> None:
    with stood_in(Played()) as found:  # type: ignore[arg-type]
        assert found == []


def test_an_interrupt_leaves_nothing() -> None:
    played = Played(rollout(replicas=2))

    def interrupted() -> None:
        with stood_in(played):  # type: ignore[arg-type]
            assert len(played.pods) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (played.deployments, played.pods) == ([], [])
