"""Why a pod finds no place: cases as data, and that an explanation is never given for a pod that fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.checks.capacity.amounts import fits, less
from mlinfra.workflow.rehearse_reasons import demand, machines, placed, pools, reason, refused

GPU = "nvidia.com/gpu"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
TOLERATION = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}


def node(name: str, pool: str, cpu: int = 8, memory: int = 32, gpus: int = 0, pods: int = 110) -> dict[str, Any]:
    offers = {"cpu": str(cpu), "memory": f"{memory}Gi", "pods": str(pods), **({GPU: str(gpus)} if gpus else {})}
    return {
        "metadata": {"name": name, "labels": {"mlinfra.dev/pool": pool, "type": pool}},
        "spec": {"taints": [TAINT] if gpus else []},
        "status": {"allocatable": offers},
    }


def pod(cpu: int = 1, memory: int = 1, gpus: int = 0, on: str = "", told: str = "", **spec: Any) -> dict[str, Any]:
    asks = {"cpu": str(cpu), "memory": f"{memory}Gi", **({GPU: str(gpus)} if gpus else {})}
    made: dict[str, Any] = {"containers": [{"name": "main", "resources": {"requests": asks}}], **spec}
    if gpus:
        made.setdefault("tolerations", [TOLERATION])
    if on:
        made["nodeName"] = on
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": told}]
    return {"metadata": {"name": "p"}, "spec": made, "status": {"conditions": [] if on else conditions}}


CLUSTER = [
    node("cpu-0", "cpu"),
    node("cpu-1", "cpu"),
    node("gpu-0", "gpu", cpu=48, memory=180, gpus=4),
    node("gpu-1", "gpu", cpu=48, memory=180, gpus=4),
    node("big-0", "big", cpu=96, memory=1100, gpus=8),
]

CASES = [
    (
        pod(gpus=5, nodeSelector={"type": "gpu"}),
        [],
        "asks for 5 GPUs, no machine of pool gpu has more than 4",
    ),
    (pod(gpus=9), [], "asks for 9 GPUs, no machine of pools big, cpu and gpu has more than 8"),
    (pod(gpus=1, nodeSelector={"type": "cpu"}), [], "asks for 1 GPU, no machine of pool cpu has any"),
    (
        pod(cpu=100, memory=2000, nodeSelector={"type": "cpu"}),
        [],
        "asks for 100 cores, no machine of pool cpu has more than 8, "
        "and asks for 2000 GiB memory, no machine of pool cpu has more than 32",
    ),
    (
        pod(cpu=90, memory=300, gpus=4, nodeSelector={"zone": "z"}),
        [],
        "no machine may have it (pools big, cpu and gpu: the pod wants the label zone=z, and it has none)",
    ),
    (
        pod(nodeSelector={"type": "gpu"}),
        [],
        "no machine may have it (pool gpu: it has the taint nvidia.com/gpu=present:NoSchedule, "
        "which the pod does not tolerate)",
    ),
    (
        pod(gpus=4, nodeSelector={"type": "gpu"}),
        [pod(gpus=1, on="gpu-0"), pod(gpus=1, on="gpu-1")],
        "asks for 4 GPUs, the 2 machines of pool gpu have no more than 3 left on one",
    ),
    (
        pod(gpus=8, nodeSelector={"type": "big"}),
        [pod(gpus=8, on="big-0")],
        "asks for 8 GPUs, the machine of pool big has none left",
    ),
    (
        pod(gpus=8, nodeSelector={"type": "big"}),
        [{**pod(gpus=8, on="big-0"), "status": {"phase": "Succeeded"}}],
        "0/5 nodes are available: something else",
    ),
    (
        pod(cpu=40, memory=100, gpus=1, nodeSelector={"type": "gpu"}),
        [pod(cpu=40, gpus=1, on="gpu-0"), pod(memory=120, gpus=1, on="gpu-1")],
        "asks for 40 cores, 100 GiB memory, 1 GPU, the 2 machines of pool gpu have not all of it left on one",
    ),
]


@pytest.mark.parametrize(("asking", "others", "expected"), CASES)
def test_reasons(asking: dict[str, Any], others: list[dict[str, Any]], expected: str) -> None:
    asking["status"]["conditions"][0]["message"] = "0/5 nodes are available: something else. preemption: 0/5 nodes"
    assert reason(asking, machines(CLUSTER, others)).rstrip(".") == expected


def test_no_machine_at_all() -> None:
    assert reason(pod(), machines([], [])) == "there is no machine at all"


def test_what_the_scheduler_says() -> None:
    told = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims."
    assert refused(pod(told=told)) == "0/2 nodes are available: 2 Insufficient cpu."
    assert refused(pod(on="cpu-0")) == ""
    assert placed(pod(on="cpu-0"))
    undecided = pod()
    undecided["status"] = {}
    assert refused(undecided) == ""
    assert not placed(undecided)


def test_pools_in_words() -> None:
    assert pools([]) == "no pool"
    assert pools(["gpu", "gpu"]) == "pool gpu"
    assert pools(["gpu", "cpu"]) == "pools cpu and gpu"
    assert pools("abcde") == "5 pools (a, b, c, d, …)"


amounts = st.integers(0, 12)


@given(st.tuples(amounts, amounts, amounts), st.lists(st.tuples(amounts, amounts, amounts), min_size=1, max_size=4))
def test_a_pod_that_fits_is_not_explained_away(asks: tuple[int, int, int], offers: list[tuple[int, int, int]]) -> None:
    there = [node(f"n-{index}", "p", cpu, memory, gpus) for index, (cpu, memory, gpus) in enumerate(offers)]
    asking = pod(*asks, told="the scheduler's words", tolerations=[TOLERATION])
    seen = machines(there, [])
    fitting = any(fits(demand(asking["spec"]), less(machine.offers, machine.taken)) for machine in seen)
    assert (reason(asking, seen) == "the scheduler's words") is fitting
