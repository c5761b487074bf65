from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.node_pool import NodePool
from mlinfra.components.values import Taint


def test_a_gpu_pool_is_kept_for_gpus(expanded: Any) -> None:
    result = expanded(
        lambda: NodePool(
            "gpu",
            instance_type="g5.xlarge",
            max=4,
            spot=True,
            labels={"team": "recsys"},
            taints=[Taint(key="team", value="recsys")],
        )
    )
    (pool,) = result.graph.pools
    assert (pool.name, pool.instance_type, pool.gpus, pool.min, pool.max, pool.spot) == (
        "gpu",
        "g5.xlarge",
        1,
        0,
        4,
        True,
    )
    assert pool.taints == (("nvidia.com/gpu", "present", "NoSchedule"), ("team", "recsys", "NoSchedule"))
    assert pool.labels["node.kubernetes.io/instance-type"] == "g5.xlarge"
    assert pool.labels["nvidia.com/gpu.present"] == "true"
    assert pool.labels["team"] == "recsys"
    assert pool.labels["eks.amazonaws.com/capacityType"] == "SPOT"


@pytest.mark.parametrize(
    ("instance_type", "taints", "arch"),
    [
        ("m6i.xlarge", (), "amd64"),
        ("m7g.xlarge", (), "arm64"),
        ("trn1.2xlarge", (("aws.amazon.com/neuron", "present", "NoSchedule"),), "amd64"),
    ],
)
def test_other_machines(expanded: Any, instance_type: str, taints: tuple[Any, ...], arch: str) -> None:
    (pool,) = expanded(lambda: NodePool("p", instance_type=instance_type)).graph.pools
    assert pool.taints == taints
    assert pool.labels["kubernetes.io/arch"] == arch
    assert pool.gpus == 0


@pytest.mark.parametrize(
    ("instance_type", "ami"),
    [
        ("m6i.xlarge", "AL2023_x86_64_STANDARD"),
        ("m7g.xlarge", "AL2023_ARM_64_STANDARD"),
        ("g5.xlarge", "AL2023_x86_64_NVIDIA"),
        ("trn1.2xlarge", "AL2023_x86_64_NEURON"),
    ],
)
def test_the_system_follows_from_the_machine(instance_type: str, ami: str) -> None:
    assert NodePool("p", instance_type=instance_type).ami_type == ami
    assert NodePool("p", instance_type=instance_type, ami=ami).ami_type == ami


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"instance_type": "g5.xlrge"}, "did you mean g5.xlarge"),
        ({"instance_type": "m5.large", "min": 3, "max": 2}, "min is 3, which is more than max, 2"),
        ({"instance_type": "m5.large", "labels": {"a b": "c"}}, "labels"),
        ({"instance_type": "m5.large", "size": 3}, "there is no field 'size'"),
        ({}, "instance_type is missing"),
        ({"instance_type": "m5.large", "disk_gib": 10}, "disk_gib"),
        ({"instance_type": "m5.large", "zones": ["a"]}, "zones"),
        ({"instance_type": "m5.large", "zones": ["us-east-1a"] * 2}, "zones names a zone more than once"),
        ({"instance_type": "m7g.large", "ami": "AL2023_x86_64_STANDARD"}, "has processors of arm64"),
        ({"instance_type": "m5.large", "ami": "BOTTLEROCKET_ARM_64"}, "for arm64, and a m5.large has processors of"),
        ({"instance_type": "g5.xlarge", "ami": "AL2023_x86_64_STANDARD"}, "without drivers for NVIDIA GPU devices"),
        ({"instance_type": "m5.large", "ami": "AL2023_x86_64_NVIDIA"}, "with drivers for NVIDIA GPU devices"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    result = expanded(lambda: NodePool("p", **fields))
    assert any(says in item.summary for item in result.diagnostics), result.diagnostics
    assert all(item.location and item.component == "p" for item in result.diagnostics)
