from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.eks_values import Eks
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Taint
from mlinfra.graph import Ref, join

CA = "k8s.io/cluster-autoscaler"


def inputs(expanded: Any, **fields: Any) -> dict[str, Any]:
    """The node group of a pool."""

    def declare() -> TrainingCluster:
        pool = NodePool("gpu", **{"instance_type": "g5.12xlarge", "max": 4, **fields})
        system = NodePool("system", instance_type="m6i.large", min=1)
        return TrainingCluster("train", eks=Eks(version="1.34"), pools=[system, pool])

    result = expanded(declare)
    assert result.codes == []
    found: dict[str, Any] = dict(result.inputs("train/pool-gpu"))
    return found | {"template": result.inputs("train/pool-gpu-template"), "node": result.node("train/pool-gpu")}


def test_a_pool_of_gpus(expanded: Any) -> None:
    made = inputs(expanded, spot=True, labels={"team": "recs"}, taints=[Taint(key="team", value="recs")], disk_gib=500)
    assert made["clusterName"] == Ref("train/eks", ("name",))
    assert made["instanceTypes"] == ["g5.12xlarge"]
    assert made["amiType"] == "AL2023_x86_64_NVIDIA"
    assert made["capacityType"] == "SPOT"
    assert made["version"] == "1.34"
    assert made["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 0}
    assert made["node"].options.ignore_changes == ("scalingConfig.desiredSize",)
    assert made["taints"] == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"},
        {"key": "team", "value": "recs", "effect": "NO_SCHEDULE"},
    ]
    assert made["labels"] == {
        "k8s.amazonaws.com/accelerator": "nvidia-a10g",
        "mlinfra.dev/pool": "gpu",
        "nvidia.com/gpu.present": "true",
        "team": "recs",
    }
    assert made["launchTemplate"] == {
        "id": Ref("train/pool-gpu-template"),
        "version": join(Ref("train/pool-gpu-template", ("latestVersion",))),
    }


def test_what_the_autoscaler_knows_of_a_machine_that_is_not_there(expanded: Any) -> None:
    tags = inputs(expanded, labels={"team": "recs"}, taints=[Taint(key="team", value="recs", effect="NoExecute")])[
        "tags"
    ]
    assert {key.removeprefix(f"{CA}/"): value for key, value in tags.items() if key.startswith(CA)} == {
        "enabled": "true",
        "sample-test-train": "owned",
        "node-template/resources/ephemeral-storage": "100Gi",
        "node-template/resources/nvidia.com/gpu": "4",
        "node-template/label/k8s.amazonaws.com/accelerator": "nvidia-a10g",
        "node-template/label/mlinfra.dev/pool": "gpu",
        "node-template/label/nvidia.com/gpu.present": "true",
        "node-template/label/team": "recs",
        "node-template/taint/nvidia.com/gpu": "present:NoSchedule",
        "node-template/taint/team": "recs:NoExecute",
    }
    assert tags["mlinfra:component"] == "train"


def test_the_machines_are_safe(expanded: Any) -> None:
    template = inputs(expanded, disk_gib=200)["template"]
    assert template["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    [disk] = template["blockDeviceMappings"]
    assert disk["deviceName"] == "/dev/xvda"
    assert disk["ebs"] == {
        "volumeSize": 200,
        "volumeType": "gp3",
        "encrypted": "true",
        "deleteOnTermination": "true",
    }
    marks = {item["resourceType"]: item["tags"] for item in template["tagSpecifications"]}
    assert set(marks) == {"instance", "network-interface", "volume"}
    assert all(item["mlinfra:owner"] == "recsys" and item["Name"] for item in marks.values())


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"max": 9}, True),
        ({"labels": {"a": "b"}}, True),
        ({"disk_gib": 300}, True),
        ({"taints": [Taint(key="a")]}, True),
        ({"instance_type": "g5.xlarge"}, False),
        ({"spot": True}, False),
        ({"ami": "BOTTLEROCKET_x86_64_NVIDIA"}, False),
    ],
)
def test_a_group_is_named_after_what_it_keeps_for_ever(expanded: Any, fields: dict[str, Any], same: bool) -> None:
    """A new name is a new group, which is there before the old one goes."""
    assert (inputs(expanded)["nodeGroupName"] == inputs(expanded, **fields)["nodeGroupName"]) is same
