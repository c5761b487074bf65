"""Add-ons, against the local EKS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.providers.aws.types.clusters import a_cluster, a_role
from tests.providers.aws.types.unknowns import judged

ADDON = "aws:eks/addon:Addon"


def base(words: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusterName": words["cluster"],
        "addonName": "vpc-cni",
        "addonVersion": "v1.20.3-eksbuild.1",
        "configurationValues": '{"env": {"WARM_IP_TARGET": "2"}}',
        "podIdentityAssociations": [{"serviceAccount": "aws-node", "roleArn": words["pods"]}],
        "resolveConflictsOnCreate": "OVERWRITE",
        "resolveConflictsOnUpdate": "PRESERVE",
        "tags": {"team": "ml"},
    }


def surroundings(world: Any) -> dict[str, Any]:
    return {**a_cluster(world), "others": a_role(world, "others", "pods.eks.amazonaws.com")}


def addon(world: Any, resource_id: str) -> Any:
    cluster, name = resource_id.split(":")
    eks = world.boto("eks")
    try:
        live = eks.describe_addon(clusterName=cluster, addonName=name)["addon"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    ids = [arn.rpartition("/")[2] for arn in live.get("podIdentityAssociations", ())]
    found = [
        eks.describe_pod_identity_association(clusterName=cluster, associationId=each)["association"] for each in ids
    ]
    return {
        "version": live["addonVersion"],
        "values": live.get("configurationValues"),
        "pods": sorted((item["serviceAccount"], item["roleArn"], item["namespace"]) for item in found),
        "role": live.get("serviceAccountRoleArn"),
        "tags": live["tags"],
    }


def test_addon(lifecycle: Any) -> None:
    lifecycle(
        ADDON,
        prepare=surroundings,
        inputs=base,
        look=addon,
        made=lambda words: {
            "version": "v1.20.3-eksbuild.1",
            "values": '{"env": {"WARM_IP_TARGET": "2"}}',
            "pods": [("aws-node", words["pods"], "kube-system")],
            "role": None,
            "tags": {"team": "ml"},
        },
        change=lambda words: {
            "addonVersion": "v1.20.4-eksbuild.1",
            "configurationValues": '{"env": {"WARM_IP_TARGET": "4"}}',
            "podIdentityAssociations": [{"serviceAccount": "aws-node", "roleArn": words["others"]}],
            "resolveConflictsOnUpdate": "OVERWRITE",
            "tags": {"tier": "prod"},
        },
        changed=lambda words: {
            "version": "v1.20.4-eksbuild.1",
            "values": '{"env": {"WARM_IP_TARGET": "4"}}',
            "pods": [("aws-node", words["others"], "kube-system")],
            "role": None,
            "tags": {"tier": "prod"},
        },
        replaces=lambda words: [
            {"clusterName": "other"},
            {"addonName": "coredns"},
            {"namespaceConfig": {"namespace": "other"}},
        ],
        drift=lambda world, resource_id: world.boto("eks").update_addon(
            clusterName="train", addonName="vpc-cni", addonVersion="v1.20.5-eksbuild.1"
        ),
        drifted={"addonVersion": "v1.20.5-eksbuild.1"},
    )


def made(world: Any, words: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    given = {name: value for name, value in {**base(words), **more}.items() if value is not None}
    inputs = world.engine.checked(ADDON, given)
    resource_id, state = world.engine.create(ADDON, inputs)
    return resource_id, inputs, state


def test_a_role_is_said_again_with_every_change(world: Any) -> None:
    words = surroundings(world)
    resource_id, inputs, state = made(world, words, podIdentityAssociations=None, serviceAccountRoleArn=words["pods"])
    newer = {**inputs, "addonVersion": "v1.20.4-eksbuild.1"}
    state = world.engine.update(ADDON, resource_id, inputs, newer, state)
    assert addon(world, resource_id)["role"] == words["pods"]
    without = {name: value for name, value in newer.items() if name != "serviceAccountRoleArn"}
    world.engine.update(ADDON, resource_id, newer, without, state)
    assert addon(world, resource_id)["role"] is None


def test_a_version_that_is_not_named_is_awss(world: Any) -> None:
    words = surroundings(world)
    resource_id, inputs, state = made(world, words, addonVersion=None, podIdentityAssociations=None)
    assert addon(world, resource_id)["version"].startswith("v1.")
    assert world.engine.read(ADDON, resource_id, inputs, state) == (inputs, state)


def test_configuration_in_other_words_is_the_same(world: Any) -> None:
    words = surroundings(world)
    _, inputs, state = made(world, words)
    same = {**inputs, "configurationValues": '{ "env":{"WARM_IP_TARGET":"2"} }'}
    assert not world.engine.diff(ADDON, inputs, same, state).diffs


def test_its_associations_go_with_it(world: Any) -> None:
    words = surroundings(world)
    resource_id, inputs, state = made(world, words)
    world.engine.delete(ADDON, resource_id, inputs, state)
    assert world.boto("eks").list_pod_identity_associations(clusterName="train")["associations"] == []


def test_it_is_waited_for_through_every_change(world: Any, slow: Any) -> None:
    words = surroundings(world)
    slow(world, 3)
    resource_id, inputs, state = made(world, words)
    newer = {**inputs, "addonVersion": "v1.20.4-eksbuild.1"}
    world.engine.update(ADDON, resource_id, inputs, newer, state)
    assert world.boto("eks").describe_addon(clusterName="train", addonName="vpc-cni")["addon"]["status"] == "ACTIVE"
    world.engine.delete(ADDON, resource_id, newer, state)
    assert addon(world, resource_id) is None


def test_what_was_cut_off_is_taken_over_and_waited_for(elsewhere: Any, unfinished: Any, slow: Any) -> None:
    words = surroundings(elsewhere)
    slow(elsewhere, 2)
    elsewhere.boto("eks").create_addon(clusterName="train", addonName="vpc-cni")
    unfinished[f"urn:pulumi:dev::tests::{ADDON}::thing"] = set()
    resource_id, inputs, state = made(elsewhere, words)
    assert resource_id == "train:vpc-cni"
    assert addon(elsewhere, resource_id)["version"] == "v1.20.3-eksbuild.1"
    assert elsewhere.engine.read(ADDON, resource_id, inputs, state) == (inputs, state)


def test_a_name_that_is_taken(world: Any, failure: Any) -> None:
    words = surroundings(world)
    _, inputs, _ = made(world, words)
    error, _ = failure(world.engine.create, ADDON, inputs)
    assert "belongs to somebody else" in error.details()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"addonName": "vpc-cnn"}, "Addon specified is not supported"),
        ({"clusterName": "nowhere"}, "No cluster found for name: nowhere"),
        ({"podIdentityAssociations": [{"serviceAccount": "a", "roleArn": "arn:aws:iam::1:role/x"}]}, "Cross-account"),
    ],
)
def test_what_the_local_eks_refuses_as_aws_does(world: Any, failure: Any, change: dict[str, Any], says: str) -> None:
    words = surroundings(world)
    error, _ = failure(world.engine.create, ADDON, world.engine.checked(ADDON, {**base(words), **change}))
    assert says in error.details()
    assert world.boto("eks").list_addons(clusterName="train")["addons"] == []


SOMEWHERE = {"cluster": "train", "pods": "arn:aws:iam::111122223333:role/pods"}


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"addonVersion": "1.20"}, "a version, such as"),
        ({"serviceAccountRoleArn": "arn:aws:iam::1:role/a"}, "excludes podIdentityAssociations"),
        ({"resolveConflictsOnCreate": "PRESERVE"}, "must be one of NONE, OVERWRITE"),
    ],
)
def test_what_aws_refuses(world: Any, inputs: dict[str, Any], says: str) -> None:
    (failed,) = world.engine.check(ADDON, {**base(SOMEWHERE), **inputs}).failures
    assert says in failed.reason


def test_nothing_unknown_is_judged(world: Any) -> None:
    inputs = {**base(SOMEWHERE), "serviceAccountRoleArn": "arn:aws:iam::111122223333:role/pods"}
    assert judged(world, ADDON, inputs) > len(inputs)
