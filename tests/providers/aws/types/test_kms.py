"""Keys and aliases, against moto."""

from __future__ import annotations

import json
from typing import Any

from mlinfra.providers.aws.identifying import MARK

KEY, ALIAS = "aws:kms/key:Key", "aws:kms/alias:Alias"


def policy(account: str, sid: str) -> dict[str, Any]:
    principal = {"AWS": f"arn:aws:iam::{account}:root"}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}],
    }


def key(world: Any, resource_id: str) -> Any:
    kms = world.boto("kms")
    live = kms.describe_key(KeyId=resource_id)["KeyMetadata"]
    if live["KeyState"] == "PendingDeletion":
        return None
    tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=resource_id)["Tags"]}
    assert tags.pop(MARK), "it can be found again"
    rotates = kms.get_key_rotation_status(KeyId=resource_id)["KeyRotationEnabled"]
    written = json.loads(kms.get_key_policy(KeyId=resource_id, PolicyName="default")["Policy"])
    return live["Description"], live["Enabled"], rotates, written["Statement"][0]["Sid"], tags


def test_key(lifecycle: Any) -> None:
    lifecycle(
        KEY,
        inputs=lambda words: {
            "description": "data",
            "policy": json.dumps(policy(words["account"], "first")),
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "tags": {"team": "ml"},
        },
        look=key,
        made=lambda words: ("data", True, True, "first", {"team": "ml"}),
        change=lambda words: {
            "description": None,
            "policy": json.dumps(policy(words["account"], "second")),
            "enableKeyRotation": False,
            "isEnabled": False,
            "deletionWindowInDays": 30,
            "tags": {"tier": "dev"},
        },
        changed=lambda words: ("", False, False, "second", {"tier": "dev"}),
        replaces=lambda words: [
            {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048"},
            {"multiRegion": True},
        ],
        drift=lambda world, resource_id: (
            world.boto("kms").enable_key(KeyId=resource_id),
            world.boto("kms").enable_key_rotation(KeyId=resource_id),
            world.boto("kms").update_key_description(KeyId=resource_id, Description="theirs"),
        ),
        drifted={"isEnabled": True, "enableKeyRotation": True, "description": "theirs"},
    )


def test_the_policy_that_aws_gives_a_key_is_no_drift(world: Any) -> None:
    inputs = world.engine.checked(KEY, {})
    resource_id, state = world.engine.create(KEY, inputs)
    assert world.engine.read(KEY, resource_id, inputs, state) == (inputs, state)
    imported, outputs = world.engine.read(KEY, resource_id)
    assert "policy" in imported
    assert not world.engine.diff(KEY, imported, inputs, outputs).diffs


def test_a_signing_key_has_no_rotation(world: Any) -> None:
    inputs = world.engine.checked(KEY, {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048"})
    resource_id, state = world.engine.create(KEY, inputs)
    assert world.engine.read(KEY, resource_id, inputs, state) == (inputs, state)


def two_keys(world: Any) -> dict[str, Any]:
    first, second = (world.boto("kms").create_key()["KeyMetadata"] for _ in range(2))
    return {"first": first["KeyId"], "second": second["KeyId"], "arn": first["Arn"]}


def target(world: Any, name: str) -> Any:
    aliases = world.boto("kms").list_aliases()["Aliases"]
    return next((alias["TargetKeyId"] for alias in aliases if alias["AliasName"] == name), None)


def test_alias(lifecycle: Any) -> None:
    lifecycle(
        ALIAS,
        prepare=two_keys,
        inputs=lambda words: {"name": "alias/ml/data", "targetKeyId": words["arn"]},
        look=target,
        made=lambda words: words["first"],
        outputs=lambda words: {
            "arn": f"arn:aws:kms:us-east-1:{words['account']}:alias/ml/data",
            "targetKeyArn": words["arn"],
        },
        change=lambda words: {"targetKeyId": words["second"]},
        changed=lambda words: words["second"],
        replaces=lambda words: [{"name": "alias/other"}],
    )


def test_an_alias_that_was_moved_is_moved_back(world: Any) -> None:
    words = two_keys(world)
    inputs = world.engine.checked(ALIAS, {"name": "alias/moved", "targetKeyId": words["first"]})
    resource_id, state = world.engine.create(ALIAS, inputs)
    world.boto("kms").update_alias(AliasName=resource_id, TargetKeyId=words["second"])
    live, outputs = world.engine.read(ALIAS, resource_id, inputs, state)
    assert live["targetKeyId"] == words["second"]
    assert outputs["targetKeyArn"].endswith(words["second"])
    world.engine.update(ALIAS, resource_id, live, inputs, outputs)
    assert target(world, resource_id) == words["first"]


def test_the_id_and_the_arn_of_a_key_are_the_same_target(world: Any) -> None:
    words = two_keys(world)
    by_id = world.engine.checked(ALIAS, {"name": "alias/same", "targetKeyId": words["first"]})
    by_arn = world.engine.checked(ALIAS, {"name": "alias/same", "targetKeyId": words["arn"]})
    _, state = world.engine.create(ALIAS, by_id)
    assert not world.engine.diff(ALIAS, by_id, by_arn, state).diffs


def test_a_key_that_was_deleted_can_be_deleted(world: Any) -> None:
    inputs = world.engine.checked(KEY, {})
    resource_id, state = world.engine.create(KEY, inputs)
    world.boto("kms").schedule_key_deletion(KeyId=resource_id, PendingWindowInDays=7)
    world.engine.delete(KEY, resource_id, inputs, state)
