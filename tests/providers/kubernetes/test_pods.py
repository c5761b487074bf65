from __future__ import annotations

from typing import Any, cast

import pytest

from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import UnreachableError
from mlinfra.providers.kubernetes.pods import label_selector, trouble

WORKLOAD = {
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "n"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}},
}


class Pods:
    """A cluster that has these pods."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = list(pods)

    def list(self, api_version: str, kind: str, namespace: str, *, labels: str, limit: int) -> Any:
        assert (kind, namespace, labels) == ("Pod", "n", "app=web")
        return self._pods


def pod(name: str, *conditions: tuple[str, str, str, str], **status: Any) -> dict[str, Any]:
    entries = [dict(zip(("type", "status", "reason", "message"), entry, strict=True)) for entry in conditions]
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "n"}, "status": {"conditions": entries, **status}}


def container(state: dict[str, Any], last: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [{"name": "app", "state": state, "lastState": last or {}}]


READY = pod("a", ("Ready", "True", "", ""), phase="Running")
PENDING = pod("b", ("PodScheduled", "False", "Unschedulable", "0/1 nodes: 1 Insufficient cpu."), phase="Pending")
PULLING = pod(
    "c",
    phase="Pending",
    containerStatuses=container({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
)
CRASHING = pod(
    "d",
    phase="Running",
    containerStatuses=container(
        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    ),
)
ENDED = pod("e", phase="Running", containerStatuses=container({"terminated": {"exitCode": 1, "reason": "Error"}}))
STARTING = pod("f", phase="Pending", containerStatuses=container({"waiting": {"reason": "ContainerCreating"}}))
EVICTED = pod("g", phase="Failed", reason="Evicted", message="low on memory")
LONG = pod(
    "h",
    (
        "PodScheduled",
        "False",
        "Unschedulable",
        "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/gpu. no new claims to deallocate, "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    ),
    phase="Pending",
)
CASES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "none": ([], "no pods exist yet"),
    "all ready": ([READY], ""),
    "unschedulable": ([READY, PENDING], "pod n/b: Unschedulable: 0/1 nodes: 1 Insufficient cpu."),
    "unschedulable, told at length": (
        [LONG],
        "pod n/h: Unschedulable: 0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/gpu.",
    ),
    "image": ([PENDING, PULLING], "pod n/c: container app: ImagePullBackOff: no such image"),
    "crash": (
        [CRASHING],
        "pod n/d: container app: CrashLoopBackOff: back-off 10s (last exit code 137, OOMKilled)",
    ),
    "ended": ([STARTING, ENDED], "pod n/e: container app exited with code 1 (Error)"),
    "starting": ([STARTING], "pod n/f: phase Pending, not ready"),
    "evicted": ([EVICTED], "pod n/g: phase Failed: Evicted: low on memory"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_pod_is_named(case: str) -> None:
    pods, words = CASES[case]
    assert trouble(cast("Cluster", Pods(*pods)), WORKLOAD) == words


def test_a_pod_speaks_for_itself_and_others_have_none() -> None:
    nobody = cast("Cluster", Pods())
    assert trouble(nobody, PENDING) == CASES["unschedulable"][1]
    assert trouble(nobody, {**WORKLOAD, "kind": "PersistentVolumeClaim"}) == ""


def test_an_unreachable_cluster_adds_nothing() -> None:
    class Gone:
        def list(self, *_: Any, **__: Any) -> Any:
            raise UnreachableError("https://x", "refused")

    assert trouble(cast("Cluster", Gone()), WORKLOAD) == ""


SELECTORS: list[tuple[str, Any, str]] = [
    ("Service", {"a": "b", "c": "d"}, "a=b,c=d"),
    ("Deployment", {"matchLabels": {"a": "b"}}, "a=b"),
    (
        "Deployment",
        {
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["x", "y"]},
                {"key": "b", "operator": "NotIn", "values": ["z"]},
                {"key": "c", "operator": "Exists"},
                {"key": "d", "operator": "DoesNotExist"},
            ]
        },
        "a in (x,y),b notin (z),c,!d",
    ),
    ("ConfigMap", None, ""),
]


@pytest.mark.parametrize(("kind", "selector", "text"), SELECTORS)
def test_label_selectors(kind: str, selector: Any, text: str) -> None:
    assert label_selector({"kind": kind, "spec": {"selector": selector}}) == text
