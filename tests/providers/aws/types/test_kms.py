"""Keys and aliases, against moto."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.identifying import MARK
from tests.providers.aws.conftest import urn
from tests.providers.aws.types.unknowns import judged

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
            "deletionWindowInDays": 7,
            "tags": {"team": "ml"},
        },
        look=key,
        made=lambda words: ("data", True, False, "first", {"team": "ml"}),
        change=lambda words: {
            "description": None,
            "policy": json.dumps(policy(words["account"], "second")),
            "enableKeyRotation": True,
            "isEnabled": False,
            "deletionWindowInDays": 30,
            "tags": {"tier": "dev"},
        },
        changed=lambda words: ("", False, True, "second", {"tier": "dev"}),
        replaces=lambda words: [
            {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048"},
            {"multiRegion": True},
        ],
        drift=lambda world, resource_id: (
            world.boto("kms").enable_key(KeyId=resource_id),
            world.boto("kms").disable_key_rotation(KeyId=resource_id),
            world.boto("kms").update_key_description(KeyId=resource_id, Description="theirs"),
        ),
        drifted={"isEnabled": True, "enableKeyRotation": False, "description": "theirs"},
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


def test_rotation_every_so_many_days(world: Any) -> None:
    engine = world.engine
    inputs = engine.checked(KEY, {"enableKeyRotation": True, "rotationPeriodInDays": 180})
    resource_id, state = engine.create(KEY, inputs)
    assert engine.read(KEY, resource_id, inputs, state) == (inputs, state), "moto does not tell the period"
    other = engine.checked(KEY, {"enableKeyRotation": True, "rotationPeriodInDays": 90})
    assert engine.diff(KEY, inputs, other, state).diffs == ["rotationPeriodInDays"]
    state = engine.update(KEY, resource_id, inputs, other, state)
    assert world.boto("kms").get_key_rotation_status(KeyId=resource_id)["KeyRotationEnabled"]
    off = engine.checked(KEY, {})
    state = engine.update(KEY, resource_id, other, off, state)
    assert not world.boto("kms").get_key_rotation_status(KeyId=resource_id)["KeyRotationEnabled"]
    assert engine.read(KEY, resource_id, off, state) == (off, state)


@pytest.mark.parametrize("days", [7, 12, None])
def test_a_key_is_deleted_when_its_window_is_over(world: Any, days: int | None) -> None:
    inputs = world.engine.checked(KEY, {"deletionWindowInDays": days} if days else {})
    resource_id, state = world.engine.create(KEY, inputs)
    world.engine.delete(KEY, resource_id, inputs, state)
    live = world.boto("kms").describe_key(KeyId=resource_id)["KeyMetadata"]
    assert live["KeyState"] == "PendingDeletion"
    left = live["DeletionDate"] - datetime.datetime.now(datetime.UTC)
    assert round(left / datetime.timedelta(days=1)) == (days or 30)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "signing with a symmetric key": ({"keyUsage": "SIGN_VERIFY"}, "must be ENCRYPT_DECRYPT for a key of this spec"),
    "encrypting with a curve": ({"customerMasterKeySpec": "ECC_NIST_P256"}, "must be SIGN_VERIFY or KEY_AGREEMENT"),
    "spec": ({"customerMasterKeySpec": "RSA_1024"}, "must be one of SYMMETRIC_DEFAULT"),
    "rotation of a key pair": (
        {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048", "enableKeyRotation": True},
        "is for symmetric encryption keys only",
    ),
    "period without rotation": ({"rotationPeriodInDays": 90}, "needs enableKeyRotation"),
    "period": ({"enableKeyRotation": True, "rotationPeriodInDays": 89}, "must be from 90 to 2560"),
    "window": ({"deletionWindowInDays": 3}, "must be from 7 to 30"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_kms_refuses_of_a_key(world: Any, case: str) -> None:
    inputs, reason = REFUSED[case]
    (found,) = world.engine.check(KEY, inputs).failures
    assert reason in found.reason


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_not_known_yet_it_can_be_judged(world: Any, case: str) -> None:
    assert judged(world, KEY, REFUSED[case][0])


def test_what_is_not_known_yet_is_not_refused(world: Any) -> None:
    unknown = {"customerMasterKeySpec": UNKNOWN, "keyUsage": "SIGN_VERIFY", "enableKeyRotation": UNKNOWN}
    assert not world.engine.check(KEY, {**unknown, "rotationPeriodInDays": 90}).failures


def test_an_alias_that_somebody_has_is_left_alone(world: Any, failure: Any) -> None:
    words = two_keys(world)
    world.boto("kms").create_alias(AliasName="alias/theirs", TargetKeyId=words["first"])
    inputs = world.engine.checked(ALIAS, {"name": "alias/theirs", "targetKeyId": words["second"]})
    error, _ = failure(world.engine.create, ALIAS, inputs)
    assert "belongs to somebody else" in error.details()
    assert target(world, "alias/theirs") == words["first"]


def test_an_alias_whose_creation_was_cut_off_is_found_by_its_name(elsewhere: Any, unfinished: Any) -> None:
    words = two_keys(elsewhere)
    unfinished[urn(ALIAS)] = set()
    for key_id in (words["first"], words["second"]):
        inputs = elsewhere.engine.checked(ALIAS, {"name": "alias/cut-off", "targetKeyId": key_id})
        assert elsewhere.engine.create(ALIAS, inputs)[0] == "alias/cut-off"
        assert target(elsewhere, "alias/cut-off") == key_id
