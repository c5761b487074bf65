"""Managed node groups, against the local EKS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.providers.aws.types.clusters import a_cluster, a_role
from tests.providers.aws.types.unknowns import judged

GROUP = "aws:eks/nodeGroup:NodeGroup"
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}


def base(words: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusterName": words["cluster"],
        "nodeGroupName": "gpu",
        "nodeRoleArn": words["nodes"],
        "subnetIds": words["subnets"][:2],
        "scalingConfig": {"minSize": 0, "desiredSize": 1, "maxSize": 4},
        "instanceTypes": ["g5.xlarge"],
        "amiType": "AL2023_x86_64_NVIDIA",
        "capacityType": "SPOT",
        "diskSize": 100,
        "labels": {"pool": "gpu", "team": "ml"},
        "taints": [TAINT],
        "updateConfig": {"maxUnavailable": 1},
        "tags": {"team": "ml"},
    }


def surroundings(world: Any) -> dict[str, Any]:
    words = a_cluster(world)
    ec2 = world.boto("ec2")
    data = {"InstanceType": "g5.xlarge"}
    for name in ("first", "second"):
        made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        words[name] = made["LaunchTemplate"]["LaunchTemplateId"]
        ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)
    return {**words, "others": a_role(world, "others", "ec2.amazonaws.com")}


def group(world: Any, resource_id: str) -> Any:
    cluster, name = resource_id.split(":")
    try:
        live = world.boto("eks").describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    return {
        "version": live["version"],
        "machines": (live["instanceTypes"], live["amiType"], live["capacityType"], live["diskSize"]),
        "sizes": live["scalingConfig"],
        "labels": live["labels"],
        "taints": sorted((item["key"], item.get("value", ""), item["effect"]) for item in live["taints"]),
        "updates": live["updateConfig"],
        "repairs": live.get("nodeRepairConfig", {}).get("enabled", False),
        "tags": live["tags"],
    }


def test_node_group(lifecycle: Any) -> None:
    machines = (["g5.xlarge"], "AL2023_x86_64_NVIDIA", "SPOT", 100)
    lifecycle(
        GROUP,
        prepare=surroundings,
        inputs=base,
        look=group,
        made=lambda words: {
            "version": "1.33",
            "machines": machines,
            "sizes": {"minSize": 0, "desiredSize": 1, "maxSize": 4},
            "labels": {"pool": "gpu", "team": "ml"},
            "taints": [("nvidia.com/gpu", "present", "NO_SCHEDULE")],
            "updates": {"maxUnavailable": 1},
            "repairs": False,
            "tags": {"team": "ml"},
        },
        outputs=lambda words: {"status": "ACTIVE"},
        change=lambda words: {
            "scalingConfig": {"minSize": 1, "desiredSize": 3, "maxSize": 8},
            "labels": {"pool": "a10g", "zone": "one"},
            "taints": [{**TAINT, "value": "yes"}, {"key": "spot", "effect": "PREFER_NO_SCHEDULE"}],
            "updateConfig": {"maxUnavailablePercentage": 25},
            "nodeRepairConfig": {"enabled": True},
            "tags": {"tier": "prod"},
        },
        changed=lambda words: {
            "version": "1.33",
            "machines": machines,
            "sizes": {"minSize": 1, "desiredSize": 3, "maxSize": 8},
            "labels": {"pool": "a10g", "zone": "one"},
            "taints": [("nvidia.com/gpu", "yes", "NO_SCHEDULE"), ("spot", "", "PREFER_NO_SCHEDULE")],
            "updates": {"maxUnavailablePercentage": 25},
            "repairs": True,
            "tags": {"tier": "prod"},
        },
        replaces=lambda words: [
            {"nodeGroupName": "other"},
            {"nodeRoleArn": words["others"]},
            {"subnetIds": words["subnets"]},
            {"amiType": "BOTTLEROCKET_x86_64_NVIDIA"},
            {"capacityType": "ON_DEMAND"},
            {"diskSize": 200},
            {"instanceTypes": ["g5.2xlarge"]},
            {"remoteAccess": {"ec2SshKey": "key"}},
            {"clusterName": "other"},
        ],
        drift=lambda world, resource_id: world.boto("eks").update_nodegroup_config(
            clusterName="train",
            nodegroupName="gpu",
            scalingConfig={"desiredSize": 5},
            labels={"addOrUpdateLabels": {"pool": "cpu"}, "removeLabels": ["zone"]},
        ),
        drifted={
            "scalingConfig": {"minSize": 1, "desiredSize": 5, "maxSize": 8},
            "labels": {"pool": "cpu"},
        },
    )


def made(world: Any, words: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    given = {name: value for name, value in {**base(words), **more}.items() if value is not None}
    inputs = world.engine.checked(GROUP, given)
    resource_id, state = world.engine.create(GROUP, inputs)
    return resource_id, inputs, state


def test_with_a_launch_template(world: Any) -> None:
    words = surroundings(world)
    template = {"id": words["first"], "version": "1"}
    resource_id, inputs, state = made(world, words, launchTemplate=template, diskSize=None)
    assert world.engine.read(GROUP, resource_id, inputs, state) == (inputs, state)
    imported, _ = world.engine.read(GROUP, resource_id)
    assert imported["launchTemplate"] == template
    changed = {**inputs, "launchTemplate": {"id": words["first"], "version": "2"}}
    assert not world.engine.diff(GROUP, inputs, changed, state).replaces
    state = world.engine.update(GROUP, resource_id, inputs, changed, state)
    live = world.boto("eks").describe_nodegroup(clusterName="train", nodegroupName="gpu")["nodegroup"]
    assert live["launchTemplate"] == {"id": words["first"], "name": "first", "version": "2"}
    for other in ({"id": words["second"], "version": "1"}, None):
        difference = world.engine.diff(GROUP, changed, {**changed, "launchTemplate": other}, state)
        assert list(difference.replaces) == ["launchTemplate"]


def test_a_launch_template_cannot_be_put_on_later(world: Any) -> None:
    words = surroundings(world)
    _, inputs, state = made(world, words)
    changed = {**inputs, "launchTemplate": {"name": "first", "version": "1"}}
    assert list(world.engine.diff(GROUP, inputs, changed, state).replaces) == ["launchTemplate"]


def test_its_version_follows_the_clusters(world: Any, failure: Any) -> None:
    words = a_cluster(world)
    resource_id, inputs, state = made(world, words, version="1.33")
    newer = {**inputs, "version": "1.34"}
    assert not world.engine.diff(GROUP, inputs, newer, state).replaces
    error, _ = failure(world.engine.update, GROUP, resource_id, inputs, newer, state)
    assert "does not go with cluster version 1.33" in error.details()
    world.boto("eks").update_cluster_version(name="train", version="1.34")
    assert world.engine.read(GROUP, resource_id, inputs, state) == (inputs, state)
    state = world.engine.update(GROUP, resource_id, inputs, newer, state)
    assert group(world, resource_id)["version"] == "1.34"
    error, _ = failure(world.engine.update, GROUP, resource_id, newer, inputs, state)
    assert "cannot go back from 1.34 to 1.33" in error.details()


def test_without_a_version_it_has_the_clusters_and_is_left_at_it(world: Any) -> None:
    words = a_cluster(world)
    resource_id, inputs, state = made(world, words)
    assert group(world, resource_id)["version"] == "1.33"
    world.boto("eks").update_cluster_version(name="train", version="1.34")
    world.boto("eks").update_nodegroup_version(clusterName="train", nodegroupName="gpu", version="1.34")
    assert world.engine.read(GROUP, resource_id, inputs, state) == (inputs, state)


def test_it_gets_a_name_where_it_has_none(world: Any) -> None:
    words = a_cluster(world)
    resource_id, inputs, _ = made(world, words, nodeGroupName=None)
    assert inputs["nodeGroupName"].startswith("thing-")
    assert resource_id == f"train:{inputs['nodeGroupName']}"


def test_it_is_waited_for_through_every_change(world: Any, slow: Any) -> None:
    words = a_cluster(world)
    slow(world, 3)
    resource_id, inputs, state = made(world, words)
    assert state["status"] == "ACTIVE"
    changed = {**inputs, "scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 1}}
    world.engine.update(GROUP, resource_id, inputs, changed, state)
    live = world.boto("eks").describe_nodegroup(clusterName="train", nodegroupName="gpu")["nodegroup"]
    assert live["status"] == "ACTIVE"
    world.engine.delete(GROUP, resource_id, changed, state)
    assert group(world, resource_id) is None


def test_what_was_cut_off_is_taken_over_and_waited_for(elsewhere: Any, unfinished: Any, slow: Any) -> None:
    words = a_cluster(elsewhere)
    slow(elsewhere, 2)
    elsewhere.boto("eks").create_nodegroup(
        clusterName="train", nodegroupName="gpu", nodeRole=words["nodes"], subnets=words["subnets"][:2],
        instanceTypes=["g5.xlarge"], amiType="AL2023_x86_64_NVIDIA", capacityType="SPOT", diskSize=100,
    )  # fmt: skip
    unfinished[f"urn:pulumi:dev::tests::{GROUP}::thing"] = set()
    resource_id, inputs, state = made(elsewhere, words)
    assert (resource_id, state["status"]) == ("train:gpu", "ACTIVE")
    assert group(elsewhere, resource_id)["sizes"] == base(words)["scalingConfig"]
    assert elsewhere.engine.read(GROUP, resource_id, inputs, state) == (inputs, state)


def test_a_name_that_is_taken(world: Any, failure: Any) -> None:
    words = a_cluster(world)
    _, inputs, _ = made(world, words)
    error, _ = failure(world.engine.create, GROUP, inputs)
    assert "belongs to somebody else" in error.details()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"instanceTypes": ["g5.enormous"]}, "instance types do not exist: [g5.enormous]"),
        ({"instanceTypes": ["m7g.large"], "amiType": "AL2023_x86_64_STANDARD"}, "not a valid instance type for"),
        ({"nodeRoleArn": "{role}"}, "the trusted entity is not correct"),
        ({"subnetIds": ["subnet-1"]}, "The subnet ID 'subnet-1' does not exist"),
        ({"version": "1.34"}, "does not go with cluster version 1.33"),
        ({"clusterName": "nowhere"}, "No cluster found for name: nowhere"),
        ({"launchTemplate": {"name": "nobody", "version": "1"}, "diskSize": None}, "Launch template nobody"),
        ({"taints": [TAINT, {**TAINT, "value": "other"}]}, "Duplicate taints"),
        ({"scalingConfig": {"minSize": 0, "desiredSize": 1, "maxSize": 999}}, "450 nodes at the most"),
    ],
)
def test_what_the_local_eks_refuses_as_aws_does(world: Any, failure: Any, change: dict[str, Any], says: str) -> None:
    words = a_cluster(world)
    filled = {name: value.format(**words) if isinstance(value, str) else value for name, value in change.items()}
    given = {name: value for name, value in {**base(words), **filled}.items() if value is not None}
    error, _ = failure(world.engine.create, GROUP, world.engine.checked(GROUP, given))
    assert says in error.details()
    assert world.boto("eks").list_nodegroups(clusterName="train")["nodegroups"] == []


SOMEWHERE = {"cluster": "train", "nodes": "arn:aws:iam::1:role/nodes", "subnets": ["subnet-1", "subnet-2"]}


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"scalingConfig": {"minSize": 3, "desiredSize": 3, "maxSize": 2}}, "must not be more than maxSize"),
        ({"scalingConfig": {"minSize": 2, "desiredSize": 1, "maxSize": 2}}, "must not be more than desiredSize"),
        ({"scalingConfig": {"minSize": 0, "desiredSize": 3, "maxSize": 2}}, "must not be more than maxSize"),
        ({"scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 0}}, "must be from 1"),
        ({"launchTemplate": {"id": "lt-1", "version": "1"}}, "belongs into the launch template"),
        ({"launchTemplate": {"version": "1"}, "diskSize": None}, "either an id or a name"),
        ({"updateConfig": {"maxUnavailable": 1, "maxUnavailablePercentage": 5}}, "either maxUnavailable or"),
        ({"taints": [{"key": str(n), "effect": "NO_EXECUTE"} for n in range(51)]}, "must not be more than 50"),
        ({"taints": [{"key": "k", "effect": "NoSchedule"}]}, "must be one of NO_SCHEDULE"),
        ({"capacityType": "RESERVED"}, "must be one of ON_DEMAND"),
        ({"amiType": "UBUNTU"}, "must be one of"),
        ({"nodeGroupName": "a" * 64}, "1 to 63"),
    ],
)
def test_what_aws_refuses(world: Any, inputs: dict[str, Any], says: str) -> None:
    given = {name: value for name, value in {**base(SOMEWHERE), **inputs}.items() if value is not None}
    (failed,) = world.engine.check(GROUP, given).failures
    assert says in failed.reason


def test_nothing_unknown_is_judged(world: Any) -> None:
    assert judged(world, GROUP, {**base(SOMEWHERE), "launchTemplate": {"id": "lt-1", "version": "1"}}) > 15
