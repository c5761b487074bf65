from __future__ import annotations

from typing import Any, cast

import pytest

from mlinfra.providers.kubernetes.readiness import NeverReadyError, awaited, missing
from mlinfra.providers.kubernetes.watch import Watches


class Surroundings:
    """The related objects that a readiness rule may look at."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self._objects = objects
        self.cluster = self

    def get(self, api_version: str, kind: str, name: str) -> dict[str, Any] | None:
        return next((item for item in self._objects if item["kind"] == kind and item["metadata"]["name"] == name), None)

    def objects(self, api_version: str, kind: str, namespace: str | None) -> list[dict[str, Any]]:
        return [item for item in self._objects if item["kind"] == kind]


def thing(kind: str, spec: Any = None, status: Any = None, generation: int = 1) -> dict[str, Any]:
    group = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1"}
    api_version = "apiextensions.k8s.io/v1" if kind == "CustomResourceDefinition" else group.get(kind, "v1")
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n", "generation": generation},
        "spec": spec or {},
        "status": status or {},
    }


def replicas(number: int, **others: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), number)
    return {"observedGeneration": 1, **counts, **others}


def condition(name: str, status: str = "True", **others: str) -> dict[str, Any]:
    return {"conditions": [{"type": name, "status": status, **others}]}


def slices(*endpoints: dict[str, Any]) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "x"}
    return {"kind": "EndpointSlice", "metadata": {"name": "x-1", "labels": labels}, "endpoints": list(endpoints)}


READY: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "deployment": (thing("Deployment", {"replicas": 2}, replicas(2)), []),
    "deployment without replicas": (thing("Deployment", {"replicas": 0}, {"observedGeneration": 1}), []),
    "deployment paused": (thing("Deployment", {"replicas": 2, "paused": True}, {"observedGeneration": 1}), []),
    "stateful set": (thing("StatefulSet", {"replicas": 2}, replicas(2)), []),
    "stateful set in stages": (
        thing("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, replicas(1, updatedReplicas=0)),
        [],
    ),
    "daemon set": (thing("DaemonSet", {}, {"observedGeneration": 1}), []),
    "job": (thing("Job", {}, condition("Complete")), []),
    "job in a queue": (thing("Job", {"suspend": True}), []),
    "claim": (thing("PersistentVolumeClaim", {}, {"phase": "Bound"}), []),
    "claim that waits for its pod": (
        thing("PersistentVolumeClaim", {"storageClassName": "w"}),
        [{"kind": "StorageClass", "metadata": {"name": "w"}, "volumeBindingMode": "WaitForFirstConsumer"}],
    ),
    "service": (thing("Service", {"selector": {"a": "b"}}), [slices({"conditions": {"ready": True}})]),
    "service that does not say": (thing("Service", {"selector": {"a": "b"}}), [slices({"conditions": {}})]),
    "service without selector": (thing("Service"), []),
    "headless service": (thing("Service", {"clusterIP": "None", "selector": {"a": "b"}}), []),
    "balanced service": (
        thing("Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}),
        [],
    ),
    "pod": (thing("Pod", {}, condition("Ready")), []),
    "pod that is done": (thing("Pod", {}, {"phase": "Succeeded"}), []),
    "definition": (thing("CustomResourceDefinition", {}, condition("Established")), []),
}
WAITING: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "deployment": (thing("Deployment", {"replicas": 2}, replicas(1)), [], "1 of 2 replicas are available"),
    "deployment with an old pod": (thing("Deployment", {}, replicas(1, replicas=2)), [], "1 of 1"),
    "deployment not seen": (thing("Deployment", {}, replicas(1), generation=2), [], "notice the change"),
    "deployment over quota": (
        thing("Deployment", {}, {"observedGeneration": 1, **condition("ReplicaFailure", message="exceeded quota")}),
        [],
        "0 of 1 replicas are available (exceeded quota)",
    ),
    "stateful set": (thing("StatefulSet", {"replicas": 3}, replicas(2)), [], "2 of 3 replicas are ready"),
    "daemon set": (
        thing("DaemonSet", {}, {"observedGeneration": 1, "desiredNumberScheduled": 2, "numberAvailable": 1}),
        [],
        "1 of 2 pods are available",
    ),
    "job": (thing("Job", {"completions": 3}, {"succeeded": 1, "active": 2}), [], "1 of 3 pods have succeeded, 2 run"),
    "claim": (thing("PersistentVolumeClaim"), [], "a volume (phase Pending, storage class none)"),
    "service": (
        thing("Service", {"selector": {"a": "b"}}),
        [slices({"conditions": {"ready": False}})],
        "a ready pod behind the service",
    ),
    "balanced service": (thing("Service", {"type": "LoadBalancer"}), [], "an address from the load balancer"),
    "pod": (thing("Pod", {}, {"phase": "Pending"}), [], "the pod to be ready (phase Pending)"),
    "definition": (thing("CustomResourceDefinition"), [], "established"),
}
NEVER: dict[str, tuple[dict[str, Any], str]] = {
    "deployment": (
        thing(
            "Deployment",
            {},
            replicas(0)
            | condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="has timed out progressing"),
        ),
        "has timed out progressing",
    ),
    "job": (
        thing("Job", {}, condition("Failed", reason="BackoffLimitExceeded", message="too often")),
        "the job failed: BackoffLimitExceeded: too often",
    ),
    "claim": (thing("PersistentVolumeClaim", {}, {"phase": "Lost"}), "lost its volume"),
    "pod": (
        thing("Pod", {}, {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
        "Evicted low on memory",
    ),
    "definition": (
        thing("CustomResourceDefinition", {}, condition("NamesAccepted", "False", message="taken")),
        "not accepted: taken",
    ),
}


def judge(item: dict[str, Any], around: list[dict[str, Any]]) -> str | None:
    assert awaited(item)
    return missing(item, cast("Watches", Surroundings(*around)))


@pytest.mark.parametrize("case", READY)
def test_ready(case: str) -> None:
    assert judge(*READY[case]) is None


@pytest.mark.parametrize("case", WAITING)
def test_waiting(case: str) -> None:
    item, around, words = WAITING[case]
    assert words in (judge(item, around) or "")


@pytest.mark.parametrize("case", NEVER)
def test_never(case: str) -> None:
    item, words = NEVER[case]
    with pytest.raises(NeverReadyError, match=words):
        judge(item, [])


def test_annotations_decide() -> None:
    item = thing("Deployment")
    item["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    assert not awaited(item)
    other = {**thing("ConfigMap"), "status": {}}
    assert not awaited(other)
    other["metadata"]["annotations"] = {"pulumi.com/waitFor": "condition=Ready"}
    assert judge(other, []) == "condition Ready to be True (now not set)"
    assert judge({**other, "status": condition("Ready")}, []) is None
