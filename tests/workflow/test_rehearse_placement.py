"""Who is placed: what always runs, from what a cluster holds; and crowds of jobs, in a cluster that is played."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.workflow.rehearse_placement import Placed, Trials, standing
from mlinfra.workflow.rehearse_templates import TRIAL, templates

GPU = "nvidia.com/gpu"


def node(name: str, gpus: int) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"mlinfra.dev/pool": name.partition("-")[0]}},
        "spec": {},
        "status": {"allocatable": {"cpu": "64", "memory": "64Gi", "pods": "110", GPU: str(gpus)}},
    }


def pod(name: str, owner: tuple[str, str] | None = None, on: str = "") -> dict[str, Any]:
    owners = [{"kind": owner[0], "name": owner[1], "uid": "u", "controller": True}] if owner else []
    told = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 too many."}]
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ml", "ownerReferences": owners, "uid": name, "labels": {}},
        "spec": {"containers": [], **({"nodeName": on} if on else {})},
        "status": {"conditions": [] if on else told},
    }


def owner(kind: str, name: str, of: tuple[str, str] | None = None, **more: Any) -> dict[str, Any]:
    owners = [{"kind": of[0], "name": of[1], "uid": "u", "controller": True}] if of else []
    labels = {"mlinfra.dev/component": f"the-{name}"}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "ml", "ownerReferences": owners, "labels": labels},
        **more,
    }


class Nodes:
    """A cluster that has nodes."""

    def list(self, *kind: str, **_: Any) -> list[Any]:
        return [node("cpu-0", 0), node("gpu-0", 4)]


def test_pods_count_for_the_workload_at_the_end_of_their_chain() -> None:
    owners = [
        owner("Deployment", "api", spec={"replicas": 2}),
        owner("ReplicaSet", "api-1", ("Deployment", "api")),
        owner("StatefulSet", "store", spec={"replicas": 3}),
        owner("Deployment", "limited", spec={"replicas": 1}, status={"conditions": [FAILURE]}),
        owner("Job", "done", spec={}, status={"conditions": [{"type": "Complete", "status": "True"}]}),
    ]
    pods = [
        pod("api-1-a", ("ReplicaSet", "api-1"), "cpu-0"),
        pod("api-1-b", ("ReplicaSet", "api-1"), "gpu-0"),
        pod("store-0", ("StatefulSet", "store"), "cpu-0"),
        pod("store-1", ("StatefulSet", "store")),
        pod("bare", None, "cpu-0"),
    ]
    found = {(entry.kind, entry.name): entry for entry in standing(Nodes(), pods, owners)}  # type: ignore[arg-type]
    assert set(found) == {("Deployment", "api"), ("Deployment", "limited"), ("Pod", "bare"), ("StatefulSet", "store")}
    api = found["Deployment", "api"]
    assert (api.pods, api.on, api.well) == (2, {"cpu": 1, "gpu": 1}, True)
    store = found["StatefulSet", "store"]
    assert (store.pods, store.on, store.well) == (3, {"cpu": 1}, False)
    assert store.reasons == {
        "store-1": "0/1 nodes are available: 1 too many.",
        "1 of 3": "its controller has not made it",
    }
    assert found["Deployment", "limited"].reasons == {"1 of 1": "it could not be made: exceeded quota"}


FAILURE = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}


# ------------------------------------------------------------------------------------------------ crowds


class Played:
    """A cluster that is played: its nodes have GPUs, which pods on trial take in the order in which they come."""

    def __init__(self, *gpus: int, refuses: str = "") -> None:
        self.nodes = [node(f"gpu-{index}", count) for index, count in enumerate(gpus)]
        self.free = list(gpus)
        self.pods: list[dict[str, Any]] = []
        self.crowds: list[int] = []
        self.classes: list[str] = []
        self.refuses = refuses
        self._uids = map(str, itertools.count())
        self._fresh = True

    def get(self, *_: Any) -> None:
        return None

    def path(self, version: str, kind: str, namespace: str | None) -> str:
        return kind

    def delete(self, version: str, kind: str, name: str) -> None:
        self.classes.remove(name)

    def list(self, version: str, kind: str, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return {"Pod": self.pods, "Node": self.nodes}.get(kind, [])

    def request(self, method: str, path: str, body: Any = None) -> Any:
        if path.startswith("/api/v1/events"):
            return {"items": []}
        if path == "PriorityClass":
            self.classes.append(body["metadata"]["name"])
            return {}
        if method == "DELETE":
            self.pods, self._fresh = [], True
            self.free = [int(item["status"]["allocatable"][GPU]) for item in self.nodes]
            return {}
        if body["metadata"]["name"].startswith(self.refuses or "-"):
            raise ApiError("POST", path, 403, {"message": "exceeded quota: jobs"})
        if self._fresh:
            self.crowds.append(0)
            self._fresh = False
        self.crowds[-1] += 1
        uid = f"job-{next(self._uids)}"
        for made in self._placed(body, uid):
            self.pods.append(made)
        return {"metadata": {"uid": uid}}

    def _placed(self, job: dict[str, Any], uid: str) -> Iterator[dict[str, Any]]:
        spec = job["spec"]["template"]["spec"]
        asks = int(spec["containers"][0]["resources"]["requests"][GPU])
        for index in range(job["spec"]["parallelism"]):
            place = next((place for place, free in enumerate(self.free) if free >= asks), None)
            if place is not None:
                self.free[place] -= asks
            made = pod(f"{uid}-{index}", ("Job", "x"), f"gpu-{place}" if place is not None else "")
            made["metadata"]["ownerReferences"][0]["uid"] = uid
            made["metadata"]["labels"] = job["spec"]["template"]["metadata"]["labels"]
            made["spec"]["containers"] = spec["containers"]
            yield made


def cron_job(name: str, gpus: int, pods: int = 1) -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": {GPU: str(gpus)}}}
    spec = {"parallelism": pods, "template": {"metadata": {}, "spec": {"containers": [container]}}}
    return {"metadata": {"name": name, "namespace": "ml"}, "spec": {"jobTemplate": {"spec": spec}}}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlinfra.workflow.rehearse_placement._THREADS", 1)


def tried(cluster: Played, *jobs: dict[str, Any]) -> dict[str, Placed]:
    found = Trials(cluster, lambda detail, fraction: None).run(templates(jobs, []))  # type: ignore[arg-type]
    assert cluster.pods == []  # nothing is left of a trial
    assert cluster.classes == []
    return {entry.name: entry for entry in found}


def test_jobs_that_fit_alone_are_all_placed_though_not_at_once() -> None:
    cluster = Played(4, 4)
    found = tried(cluster, *(cron_job(f"job-{index}", 4) for index in range(7)))
    assert all(entry.well for entry in found.values())
    assert cluster.crowds == [7, 5, 3, 1]


def test_who_finds_no_place_alone_is_told_why() -> None:
    found = tried(Played(4, 4), cron_job("big", 5), cron_job("wide", 4, 3))
    assert list(found["big"].reasons.values()) == ["asks for 5 GPUs, no machine of pool gpu has more than 4"]
    assert list(found["wide"].reasons.values()) == ["asks for 4 GPUs, the 2 machines of pool gpu have none left"]
    assert found["wide"].on == {"gpu": 2}


def test_jobs_that_hold_each_other_up_are_tried_in_smaller_crowds() -> None:
    """Four jobs of two pods each, on two machines, whose first pods come before anybody's second."""
    cluster = Played(1, 1)
    cluster._placed = lambda job, uid: _first_pods(cluster, job, uid)  # type: ignore[method-assign]
    found = tried(cluster, *(cron_job(f"job-{index}", 1, 2) for index in range(4)))
    assert {name: entry.well for name, entry in found.items()} == {f"job-{index}": True for index in range(4)}


def _first_pods(cluster: Played, job: dict[str, Any], uid: str) -> Iterator[dict[str, Any]]:
    """Places the first pod of each job at once and its second only where no other job has come."""
    jobs = cluster.crowds[-1]
    for made in Played._placed(cluster, job, uid):
        if jobs > 1 and made["metadata"]["name"].endswith("-1"):
            made["spec"].pop("nodeName", None)
            made["status"] = pod("x")["status"]
        yield made
    if jobs == 2:  # the first job's second pod comes after the second job's first
        for other in cluster.pods:
            if other["metadata"]["name"].endswith("-1"):
                other["spec"].pop("nodeName", None)
                other["status"] = pod("x")["status"]


def test_what_the_api_server_refuses_is_told_in_its_words() -> None:
    found = tried(Played(4, refuses="no"), cron_job("yes", 1), cron_job("no", 1))
    assert found["yes"].well
    assert found["no"].reasons == {"1 of 1": "it could not be made: exceeded quota: jobs"}


def test_pods_of_a_crowd_before_are_not_taken_for_those_of_this_one() -> None:
    stale = pod("stale", ("Job", "x"), "gpu-0")
    stale["metadata"]["labels"] = {TRIAL: "job-ml-big"}

    class Late(Played):
        def list(self, version: str, kind: str, *_: Any, **__: Any) -> list[dict[str, Any]]:
            return [*super().list(version, kind), *([stale] if kind == "Pod" and self.pods else [])]

    assert not tried(Late(4), cron_job("big", 5))["big"].well
