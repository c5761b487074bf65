"""Secrets and their versions, against moto."""

from __future__ import annotations

import base64
import json
from typing import Any

from botocore.exceptions import ClientError

from mlinfra.graph import Secret as Marked

SECRET, VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"


def secret(world: Any, arn: str) -> Any:
    try:
        live = world.boto("secretsmanager").describe_secret(SecretId=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    if live.get("DeletedDate"):
        return None
    written = world.boto("secretsmanager").get_resource_policy(SecretId=arn).get("ResourcePolicy")
    return (
        live.get("Description") or "",
        json.loads(written or "null"),
        {tag["Key"]: tag["Value"] for tag in live.get("Tags", [])},
    )


def policy(action: str) -> dict[str, Any]:
    statement = {"Effect": "Deny", "Principal": "*", "Action": f"secretsmanager:{action}", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_secret(lifecycle: Any) -> None:
    lifecycle(
        SECRET,
        inputs=lambda words: {
            "name": "ml/token",
            "description": "a token",
            "policy": policy("GetSecretValue"),
            "tags": {"team": "ml"},
        },
        look=secret,
        made=lambda words: ("a token", policy("GetSecretValue"), {"team": "ml"}),
        change=lambda words: {
            "description": "another",
            "policy": policy("PutSecretValue"),
            "recoveryWindowInDays": 7,
            "tags": {"tier": "dev"},
        },
        changed=lambda words: ("another", policy("PutSecretValue"), {"tier": "dev"}),
        replaces=lambda words: [{"name": "ml/other"}],
        drift=lambda world, arn: (
            world.boto("secretsmanager").update_secret(SecretId=arn, Description="theirs"),
            world.boto("secretsmanager").untag_resource(SecretId=arn, TagKeys=["tier"]),
        ),
        drifted={"description": "theirs", "tags": None},
    )


def test_a_secret_can_be_deleted_at_once(world: Any) -> None:
    inputs = world.engine.checked(SECRET, {"name": "short-lived", "recoveryWindowInDays": 0})
    resource_id, state = world.engine.create(SECRET, inputs)
    world.engine.delete(SECRET, resource_id, inputs, state)
    assert world.engine.create(SECRET, inputs)[0] != ""


def test_a_name_that_waits_for_its_deletion_is_told_so(world: Any, failure: Any) -> None:
    inputs = world.engine.checked(SECRET, {"name": "waits"})
    resource_id, state = world.engine.create(SECRET, inputs)
    world.engine.delete(SECRET, resource_id, inputs, state)
    error, _ = failure(world.engine.create, SECRET, inputs)
    assert "can still be recovered, so its name is not free" in error.details()


def a_secret(world: Any) -> dict[str, Any]:
    return {"secret": world.boto("secretsmanager").create_secret(Name="ml/token")["ARN"]}


def value(world: Any, resource_id: str) -> Any:
    arn, _, version = resource_id.rpartition("|")
    live = world.boto("secretsmanager").get_secret_value(SecretId=arn, VersionId=version)
    return live.get("SecretString") or live.get("SecretBinary")


def test_version(lifecycle: Any) -> None:
    lifecycle(
        VERSION,
        prepare=a_secret,
        inputs=lambda words: {"secretId": words["secret"], "secretString": Marked("hunter2hunter2")},
        look=value,
        made=lambda words: "hunter2hunter2",
        outputs=lambda words: {"secretArn": words["secret"]},
        replaces=lambda words: [{"secretString": Marked("other")}, {"secretId": "other"}],
        lasting=True,
    )


def test_a_binary_version(world: Any) -> None:
    words, data = a_secret(world), base64.b64encode(b"\x00\xff").decode()
    inputs = world.engine.checked(VERSION, {"secretId": words["secret"], "secretBinary": data})
    assert inputs["secretBinary"] == Marked(data)
    resource_id, state = world.engine.create(VERSION, inputs)
    assert value(world, resource_id) == b"\x00\xff"
    assert world.engine.read(VERSION, resource_id, inputs, state) == (inputs, state)


def test_a_new_value_is_current_and_the_old_one_goes(world: Any) -> None:
    words = a_secret(world)
    old = world.engine.checked(VERSION, {"secretId": words["secret"], "secretString": "one"})
    new = world.engine.checked(VERSION, {"secretId": words["secret"], "secretString": "two"})
    old_id, old_state = world.engine.create(VERSION, old)
    assert not world.engine.diff(VERSION, old, new, old_state).deleteBeforeReplace
    world.engine.create(VERSION, new)
    world.engine.delete(VERSION, old_id, old, old_state)
    assert world.boto("secretsmanager").get_secret_value(SecretId=words["secret"])["SecretString"] == "two"
    stages = world.boto("secretsmanager").describe_secret(SecretId=words["secret"])["VersionIdsToStages"]
    assert not stages.get(old_id.rpartition("|")[2])


def test_stages_are_moved(world: Any) -> None:
    words = a_secret(world)
    base = {"secretId": words["secret"], "secretString": "one"}
    old = world.engine.checked(VERSION, {**base, "versionStages": ["AWSCURRENT", "blue"]})
    new = world.engine.checked(VERSION, {**base, "versionStages": ["green", "AWSCURRENT"]})
    resource_id, state = world.engine.create(VERSION, old)
    world.engine.update(VERSION, resource_id, old, new, state)
    stages = world.boto("secretsmanager").describe_secret(SecretId=words["secret"])["VersionIdsToStages"]
    assert set(stages[state["versionId"]]) == {"AWSCURRENT", "green"}
    assert world.engine.read(VERSION, resource_id, new, state)[0]["versionStages"] == ["green", "AWSCURRENT"]
