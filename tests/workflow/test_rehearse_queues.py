"""Admission as Kueue would give it: which queue takes which job, and why it does not."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.workflow.rehearse_queues import Queues
from mlinfra.workflow.rehearse_templates import Template

GPU = "nvidia.com/gpu"
TAINT = {"key": "spot", "value": "true", "effect": "NoSchedule"}


def named(kind: str, name: str, spec: dict[str, Any], namespace: str | None = None) -> dict[str, Any]:
    where = {"namespace": namespace} if namespace else {}
    return {"kind": kind, "metadata": {"name": name, **where}, "spec": spec}


def quota(flavor: str, cpu: int, memory: int, gpus: int, **more: Any) -> dict[str, Any]:
    amounts = {"cpu": str(cpu), "memory": f"{memory}Gi", GPU: str(gpus)}
    return {
        "name": flavor,
        "resources": [{"name": name, "nominalQuota": amount, **more} for name, amount in amounts.items()],
    }


def group(*flavors: dict[str, Any]) -> dict[str, Any]:
    return {"resourceGroups": [{"coveredResources": ["cpu", "memory", GPU], "flavors": list(flavors)}]}


QUEUES = Queues.of(
    [
        named("LocalQueue", "research", {"clusterQueue": "all"}, "ml"),
        named("LocalQueue", "nowhere", {"clusterQueue": "gone"}, "ml"),
        named("LocalQueue", "shared", {"clusterQueue": "poor"}, "ml"),
        named(
            "ClusterQueue", "all", group(quota("cpu", 16, 64, 0), quota("gpu", 48, 180, 4), quota("spot", 96, 360, 8))
        ),
        named("ClusterQueue", "poor", {**group(quota("gpu", 8, 32, 1)), "cohort": "company"}),
        named("ClusterQueue", "rich", {**group(quota("gpu", 8, 32, 3)), "cohort": "company"}),
        named("ResourceFlavor", "cpu", {"nodeLabels": {"type": "cpu"}}),
        named("ResourceFlavor", "gpu", {"nodeLabels": {"type": "gpu"}}),
        named("ResourceFlavor", "spot", {"nodeLabels": {"type": "spot"}, "nodeTaints": [TAINT]}),
    ]
)


def template(queue: str, *shapes: tuple[int, int, int, int], **spec: Any) -> Template:
    """A job of so many pods for each shape: cores, GiB, GPUs, how many."""
    made = []
    for cpu, memory, gpus, count in shapes:
        asks = {"cpu": str(cpu), "memory": f"{memory}Gi", **({GPU: str(gpus)} if gpus else {})}
        made.append(({"containers": [{"name": "main", "resources": {"requests": asks}}], **spec}, count))
    return Template("fit", "ml", "fit", "Job", (), 1, queue, tuple(made))


SPOT = [{"key": "spot", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("asked", "flavors"),
    [
        (template("research", (4, 16, 0, 4)), ("cpu",)),
        (template("research", (4, 16, 1, 4)), ("gpu",)),
        (template("research", (4, 16, 0, 4), nodeSelector={"type": "gpu"}), ("gpu",)),
        (template("research", (4, 16, 2, 4), tolerations=SPOT), ("spot",)),
        (template("research", (4, 16, 0, 2), (4, 16, 0, 4)), ("cpu", "gpu")),  # together too much for one flavor
        (template("shared", (2, 8, 1, 4)), ("gpu",)),  # three of the four are lent by the cohort
    ],
)
def test_admitted(asked: Template, flavors: tuple[str, ...]) -> None:
    admission = QUEUES.admit(asked)
    assert (admission.refusal, admission.flavors) == ("", flavors)
    if len(flavors) == 1:
        assert admission.labels == {"type": flavors[0]}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (template("reserch", (1, 1, 0, 1)), ["reserch", "no such LocalQueue"]),
        (template("nowhere", (1, 1, 0, 1)), ["ClusterQueue gone", "not there"]),
        (template("research", (4, 16, 1, 5), nodeSelector={"type": "gpu"}), ["5 GPUs", "flavor gpu is 4 GPUs"]),
        (template("research", (4, 16, 2, 4)), ["flavor spot has the taint spot"]),
        (
            template("research", (1, 1, 0, 1), nodeSelector={"type": "x"}),
            ["flavor cpu is for type=cpu, the pod wants x"],
        ),
        (template("shared", (2, 8, 1, 5)), ["5 GPUs", "flavor gpu is 4 GPUs"]),
    ],
)
def test_never_admitted(asked: Template, says: list[str]) -> None:
    refusal = QUEUES.admit(asked).refusal
    assert all(words in refusal for words in says), refusal


def test_a_resource_that_no_quota_covers() -> None:
    spec = {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1", "example.com/fpga": "1"}}}]}
    asked = Template("fit", "ml", "fit", "Job", (), 1, "research", ((spec, 1),))
    assert QUEUES.admit(asked).refusal == "ClusterQueue all has no quota for example.com/fpga"


def test_a_borrowing_limit_bounds_what_is_lent() -> None:
    poor = named("ClusterQueue", "poor", {**group(quota("gpu", 8, 32, 1, borrowingLimit="1")), "cohort": "company"})
    queues = Queues(QUEUES.local, {**QUEUES.cluster, "poor": poor}, QUEUES.flavors)
    assert not queues.admit(template("shared", (2, 8, 1, 2))).refusal
    assert "flavor gpu is 2 GPUs" in queues.admit(template("shared", (2, 8, 1, 3))).refusal


def test_the_labels_of_a_pod_choose_the_flavor_of_its_own() -> None:
    admission = QUEUES.admit(template("research", (1, 1, 1, 1), nodeSelector={"type": "gpu"}))
    assert admission.flavors == ("gpu",)
