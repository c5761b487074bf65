"""Buckets, against moto."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.functions import UNKNOWN

BUCKET = "aws:s3/bucket:Bucket"


def tags(world: Any, bucket: str) -> dict[str, str] | None:
    try:
        found = world.boto("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        return {} if error.response["Error"]["Code"] == "NoSuchTagSet" else None
    return {tag["Key"]: tag["Value"] for tag in found}


def test_lifecycle(lifecycle: Any) -> None:
    lifecycle(
        BUCKET,
        inputs=lambda words: {"bucket": "data-" + words["account"], "tags": {"team": "ml", "tier": "dev"}},
        look=tags,
        made=lambda words: {"team": "ml", "tier": "dev"},
        outputs=lambda words: {
            "arn": "arn:aws:s3:::data-" + words["account"],
            "bucketRegion": "us-east-1",
            "region": "us-east-1",
            "tagsAll": {"team": "ml", "tier": "dev"},
        },
        change=lambda words: {"tags": {"team": "data"}},
        changed=lambda words: {"team": "data"},
        replaces=lambda words: [{"bucket": "other"}, {"objectLockEnabled": True}, {"region": "eu-west-1"}],
        drift=lambda world, resource_id: world.boto("s3").put_bucket_tagging(
            Bucket=resource_id, Tagging={"TagSet": [{"Key": "team", "Value": "intruder"}, {"Key": "x", "Value": "y"}]}
        ),
        drifted={"tags": {"team": "intruder", "x": "y"}},
    )


def test_tags_that_go_away_altogether(world: Any) -> None:
    old = world.engine.checked(BUCKET, {"bucket": "tagged", "tags": {"a": "b"}})
    new = world.engine.checked(BUCKET, {"bucket": "tagged"})
    resource_id, state = world.engine.create(BUCKET, old)
    state = world.engine.update(BUCKET, resource_id, old, new, state)
    assert tags(world, resource_id) == {}
    assert state["tagsAll"] == {}


def test_another_region(world: Any) -> None:
    inputs = world.engine.checked(BUCKET, {"bucket": "far-away", "region": "eu-west-1"})
    resource_id, state = world.engine.create(BUCKET, inputs)
    assert world.boto("s3").get_bucket_location(Bucket=resource_id)["LocationConstraint"] == "eu-west-1"
    assert state["bucketRegionalDomainName"] == "far-away.s3.eu-west-1.amazonaws.com"
    assert world.engine.read(BUCKET, resource_id, inputs, state) == (inputs, state)


def test_object_lock(world: Any) -> None:
    inputs = world.engine.checked(BUCKET, {"bucket": "locked", "objectLockEnabled": True})
    world.engine.create(BUCKET, inputs)
    found = world.boto("s3").get_object_lock_configuration(Bucket="locked")
    assert found["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    imported, _ = world.engine.read(BUCKET, "locked")
    assert imported["objectLockEnabled"] is True


def test_a_name_that_somebody_has_is_refused_where_aws_would_not(world: Any, failure: Any) -> None:
    world.boto("s3").create_bucket(Bucket="theirs")
    inputs = world.engine.checked(BUCKET, {"bucket": "theirs", "tags": {"mine": "yes"}})
    error, kept = failure(world.engine.create, BUCKET, inputs)
    assert "theirs exists already, and this stack did not make it" in error.details()
    assert kept is None
    assert tags(world, "theirs") == {}


def test_a_name_that_somebody_has_is_refused_in_other_regions(world: Any, failure: Any) -> None:
    west = world.boto("s3", "eu-west-1")
    west.create_bucket(Bucket="theirs-too", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    inputs = world.engine.checked(BUCKET, {"bucket": "theirs-too", "region": "eu-west-1"})
    error, _ = failure(world.engine.create, BUCKET, inputs)
    assert "BucketAlreadyOwnedByYou" in error.details()
    assert "import it" in error.details()


def test_a_name_is_free_again_after_a_deletion(world: Any) -> None:
    world.boto("s3").create_bucket(Bucket="replaced")
    inputs = world.engine.checked(BUCKET, {"bucket": "replaced"})
    world.engine.delete(BUCKET, "replaced", inputs, {})
    assert world.engine.create(BUCKET, inputs)[0] == "replaced"


def test_a_bucket_with_objects_is_kept_unless_told_otherwise(world: Any, failure: Any) -> None:
    s3 = world.boto("s3")
    careful = world.engine.checked(BUCKET, {"bucket": "full"})
    resource_id, state = world.engine.create(BUCKET, careful)
    s3.put_bucket_versioning(Bucket=resource_id, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=resource_id, Key="model", Body=b"1")
    s3.delete_object(Bucket=resource_id, Key="model")
    error, _ = failure(world.engine.delete, BUCKET, resource_id, careful, state)
    assert "bucket full holds objects" in error.details()
    assert "forceDestroy" in error.details()

    forced = world.engine.checked(BUCKET, {"bucket": "full", "forceDestroy": True})
    assert set(world.engine.diff(BUCKET, careful, forced, state).diffs) == {"forceDestroy"}
    state = world.engine.update(BUCKET, resource_id, careful, forced, state)
    world.engine.delete(BUCKET, resource_id, forced, state)
    assert tags(world, resource_id) is None


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_only_what_is_locked_for_governance_goes_with_its_bucket(world: Any, failure: Any, mode: str) -> None:
    s3 = world.boto("s3")
    program = {"bucket": f"kept-{world.account}", "objectLockEnabled": True, "forceDestroy": True}
    inputs = world.engine.checked(BUCKET, program)
    resource_id, state = world.engine.create(BUCKET, inputs)
    until = datetime.now(UTC) + timedelta(days=1)
    s3.put_object(Bucket=resource_id, Key="model", Body=b"1", ObjectLockMode=mode, ObjectLockRetainUntilDate=until)
    if mode == "GOVERNANCE":
        world.engine.delete(BUCKET, resource_id, inputs, state)
        assert tags(world, resource_id) is None
    else:
        error, _ = failure(world.engine.delete, BUCKET, resource_id, inputs, state)
        assert f"1 objects of {resource_id} could not be deleted" in error.details()
        assert s3.list_object_versions(Bucket=resource_id)["Versions"]


def test_more_objects_than_one_call_deletes(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlinfra.providers.aws.types.s3.BATCH", 4)
    s3 = world.boto("s3")
    inputs = world.engine.checked(BUCKET, {"bucket": "many", "forceDestroy": True})
    resource_id, state = world.engine.create(BUCKET, inputs)
    s3.put_bucket_versioning(Bucket=resource_id, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=resource_id, Key="seed", Body=b"")
    for number in range(5):
        s3.put_object(Bucket=resource_id, Key=f"{number}", Body=b"")
        s3.delete_object(Bucket=resource_id, Key=f"{number}")
    world.engine.delete(BUCKET, resource_id, inputs, state)
    assert tags(world, resource_id) is None


def test_a_name_is_made_up_and_kept(world: Any) -> None:
    first = world.engine.checked(BUCKET, {})
    assert first["bucket"].startswith("thing-")
    again = world.engine.check(BUCKET, {"forceDestroy": True}, first)
    assert again.inputs["bucket"] == first["bucket"]
    difference = world.engine.diff(BUCKET, first, {**first, "objectLockEnabled": True}, {})
    assert difference.replaces == ["objectLockEnabled"]
    assert not difference.deleteBeforeReplace  # another name is made up for the new one


def test_unknown_name_in_a_preview(world: Any) -> None:
    inputs = world.engine.checked(BUCKET, {"bucket": UNKNOWN, "tags": {"a": UNKNOWN}})
    assert inputs["bucket"] is UNKNOWN
    resource_id, state = world.engine.create(BUCKET, inputs, preview=True)
    assert resource_id == ""
    assert state["arn"] is UNKNOWN
    assert state["tagsAll"] == {"a": UNKNOWN}
