"""Log groups, against moto."""

from __future__ import annotations

from typing import Any

GROUP = "aws:cloudwatch/logGroup:LogGroup"
KEY = "arn:aws:kms:us-east-1:111122223333:key/0f"


def group(world: Any, name: str) -> Any:
    found = world.boto("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    live = next((item for item in found if item["logGroupName"] == name), None)
    if live is None:
        return None
    tags = world.tags("logs", resourceArn=live["arn"].removesuffix(":*"))
    return live.get("retentionInDays", 0), live.get("kmsKeyId"), tags


def test_log_group(lifecycle: Any) -> None:
    lifecycle(
        GROUP,
        prepare=lambda world: world.boto("logs").create_log_group(logGroupName="/ml/api-longer") and {},
        inputs=lambda words: {"name": "/ml/api", "retentionInDays": 14, "tags": {"team": "ml"}},
        look=group,
        made=lambda words: (14, None, {"team": "ml"}),
        outputs=lambda words: {"arn": f"arn:aws:logs:us-east-1:{words['account']}:log-group:/ml/api"},
        change=lambda words: {"retentionInDays": 30, "tags": {"tier": "dev"}},
        changed=lambda words: (30, None, {"tier": "dev"}),
        replaces=lambda words: [{"name": "/ml/other"}, {"logGroupClass": "INFREQUENT_ACCESS"}],
        drift=lambda world, name: world.boto("logs").delete_retention_policy(logGroupName=name),
        drifted={"retentionInDays": 0},
    )


def test_an_encrypted_log_group(world: Any) -> None:
    inputs = world.engine.checked(GROUP, {"name": "sealed", "kmsKeyId": KEY})
    resource_id, state = world.engine.create(GROUP, inputs)
    assert group(world, resource_id) == (0, KEY, {})
    assert world.engine.read(GROUP, resource_id, inputs, state) == (inputs, state)


def test_what_the_emulator_cannot_do_is_told_so(world: Any, failure: Any) -> None:
    plain = world.engine.checked(GROUP, {"name": "plain"})
    sealed = world.engine.checked(GROUP, {"name": "plain", "kmsKeyId": KEY})
    resource_id, state = world.engine.create(GROUP, plain)
    error, _ = failure(world.engine.update, GROUP, resource_id, plain, sealed, state)
    assert error.details() == "thing: AssociateKmsKey failed: NotEmulated: the AWS emulator cannot do it (HTTP 500)"


def test_a_log_group_that_is_to_be_left_behind(world: Any) -> None:
    inputs = world.engine.checked(GROUP, {"name": "audit", "skipDestroy": True})
    resource_id, state = world.engine.create(GROUP, inputs)
    assert group(world, resource_id) == (0, None, {})
    world.engine.delete(GROUP, resource_id, inputs, state)
    assert group(world, resource_id) is not None


def test_a_log_group_that_was_made_but_not_completed_is_kept_and_completed(world: Any, failure: Any) -> None:
    inputs = world.engine.checked(GROUP, {"name": "half", "retentionInDays": 14})
    impossible = {**inputs, "retentionInDays": 0.5}
    error, kept = failure(world.engine.create, GROUP, impossible)
    assert kept.id == "half"
    assert kept.properties["arn"].endswith(":log-group:half")
    assert "PutRetentionPolicy failed" in kept.reasons[0]
    assert "PutRetentionPolicy failed" in error.details()
    assert group(world, "half")[0] == 0

    state = dict(kept.properties)
    assert world.engine.update(GROUP, "half", inputs, inputs, state)["arn"] == state["arn"]
    assert group(world, "half")[0] == 14
