"""Lifecycle rules and object lock, against moto."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlinfra.functions import UNKNOWN
from tests.providers.aws.types.buckets import adopts, ask, bucket, put, refused
from tests.providers.aws.types.unknowns import judged

RULE = {
    "id": "old",
    "status": "Enabled",
    "filter": {"and": {"prefix": "runs/", "tags": {"keep": "no", "kind": "log"}}},
    "expiration": {"days": 400},
    "noncurrentVersionExpiration": {"noncurrentDays": 60},
    "noncurrentVersionTransitions": [{"noncurrentDays": 30, "storageClass": "STANDARD_IA"}],
    "transitions": [{"days": 5, "storageClass": "GLACIER"}, {"days": 90, "storageClass": "DEEP_ARCHIVE"}],
}
RULE_AT_AWS = {
    "ID": "old",
    "Status": "Enabled",
    "Filter": {
        "And": {
            "Prefix": "runs/",
            "Tags": [{"Key": "keep", "Value": "no"}, {"Key": "kind", "Value": "log"}],
        }
    },
    "Expiration": {"Days": 400},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 60},
    "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "STANDARD_IA"}],
    "Transitions": [{"Days": 5, "StorageClass": "GLACIER"}, {"Days": 90, "StorageClass": "DEEP_ARCHIVE"}],
}
EVERYTHING = {"id": "all", "status": "Enabled", "expiration": {"days": 1}}
ALL = {"status": "Enabled"}
RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "uploads that were never finished": (
        {**ALL, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
        {"Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ),
    "a tag": (
        {**ALL, "filter": {"tag": {"key": "keep", "value": "no"}}, "expiration": {"date": "2030-01-31T00:00:00Z"}},
        {"Filter": {"Tag": {"Key": "keep", "Value": "no"}}, "Expiration": {"Date": datetime(2030, 1, 31, tzinfo=UTC)}},
    ),
    "a prefix, the old way": (
        {**ALL, "prefix": "runs/", "transitions": [{"days": 0, "storageClass": "GLACIER_IR"}]},
        {"Prefix": "runs/", "Transitions": [{"Days": 0, "StorageClass": "GLACIER_IR"}]},
    ),
    "delete markers": (
        {**ALL, "filter": {"prefix": "runs/"}, "expiration": {"expiredObjectDeleteMarker": True}},
        {"Filter": {"Prefix": "runs/"}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
    ),
}

CASES: dict[str, dict[str, Any]] = {
    "lifecycle": {
        "token": "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "inputs": lambda words: {"bucket": words["bucket"], "rules": [RULE]},
        "look": ask("get_bucket_lifecycle_configuration", "Rules"),
        "made": lambda words: [RULE_AT_AWS],
        "change": lambda words: {"rules": [EVERYTHING]},
        "changed": lambda words: [
            {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
        ],
        "drift": put(
            "put_bucket_lifecycle_configuration",
            LifecycleConfiguration={
                "Rules": [{"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}]
            },
        ),
        "drifted": {"rules": [{"id": "all", "status": "Enabled", "expiration": {"days": 9}}]},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_lifecycle(lifecycle: Any, name: str) -> None:
    lifecycle(prepare=bucket, replaces=lambda words: [{"bucket": words["logs"]}], **CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_adoption(elsewhere: Any, unfinished: Any, name: str) -> None:
    adopts(elsewhere, unfinished, CASES[name])


def test_parts_of_a_lifecycle_that_moto_does_not_report_are_no_drift(world: Any) -> None:
    token, words = CASES["lifecycle"]["token"], bucket(world)
    rule = {
        **RULE,
        "filter": {"and": {"prefix": "runs/", "objectSizeGreaterThan": 1024}},
        "noncurrentVersionExpiration": {"noncurrentDays": 60, "newerNoncurrentVersions": 2},
    }
    inputs = world.engine.checked(token, {"bucket": words["bucket"], "rules": [rule]})
    resource_id, state = world.engine.create(token, inputs)
    assert world.engine.read(token, resource_id, inputs, state) == (inputs, state)
    other = {**rule, "filter": {"and": {"prefix": "runs/", "objectSizeGreaterThan": 2048}}}
    changed = world.engine.checked(token, {"bucket": words["bucket"], "rules": [other]})
    assert "rules[0].filter.and.objectSizeGreaterThan" in world.engine.diff(token, inputs, changed, state).detailedDiff


@pytest.mark.parametrize("given", [{}, {"filter": {"prefix": ""}}, {"filter": {"prefix": "runs/"}}])
def test_a_rule_for_all_objects_is_no_drift_however_it_is_written(world: Any, given: dict[str, Any]) -> None:
    token, words = CASES["lifecycle"]["token"], bucket(world)
    rule = {"id": "all", "status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}, **given}
    inputs = world.engine.checked(token, {"bucket": words["bucket"], "rules": [rule]})
    resource_id, state = world.engine.create(token, inputs)
    assert world.engine.read(token, resource_id, inputs, state) == (inputs, state)


@pytest.mark.parametrize("case", RULES)
def test_every_kind_of_rule_comes_back_as_it_was_put(world: Any, case: str) -> None:
    token, words = CASES["lifecycle"]["token"], bucket(world)
    rule, at_aws = RULES[case]
    inputs = world.engine.checked(token, {"bucket": words["bucket"], "rules": [{"id": "r", **rule}]})
    resource_id, state = world.engine.create(token, inputs)
    (found,) = ask("get_bucket_lifecycle_configuration", "Rules")(world, resource_id)
    assert found == {"ID": "r", "Status": "Enabled", **at_aws}
    assert world.engine.read(token, resource_id, inputs, state) == (inputs, state)
    imported, outputs = world.engine.read(token, resource_id)
    assert not world.engine.diff(token, imported, inputs, outputs).diffs


def rule(**parts: Any) -> dict[str, Any]:
    return {"id": "r", "status": "Enabled", **parts}


def moves(days: int, storage_class: str) -> list[dict[str, Any]]:
    return [{"days": days, "storageClass": storage_class}]


BY_TAG = {"tag": {"key": "a", "value": "b"}}
BY_TAGS = {"and": {"prefix": "a", "tags": {"a": "b"}}}
REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "no rule": ([], "rules", "must be 1 to 1000 rules"),
    "one id for two": (
        [rule(expiration={"days": 1}), rule(expiration={"days": 2})], "rules[1].id", "must be unique",
    ),
    "no action": ([rule()], "rules[0]", "must have an action"),
    "two prefixes": (
        [rule(prefix="a", filter={"prefix": "a"}, expiration={"days": 1})], "rules[0].prefix", "filter",
    ),
    "two filters": (
        [rule(filter={"prefix": "a", **BY_TAG}, expiration={"days": 1})], "rules[0].filter", "several go into and",
    ),
    "uploads by tag": (
        [rule(filter=BY_TAG, abortIncompleteMultipartUpload={"daysAfterInitiation": 1})],
        "rules[0].abortIncompleteMultipartUpload",
        "uploads have none",
    ),
    "uploads by tags": (
        [rule(filter=BY_TAGS, abortIncompleteMultipartUpload={"daysAfterInitiation": 1})],
        "rules[0].abortIncompleteMultipartUpload",
        "uploads have none",
    ),
    "delete markers by tag": (
        [rule(filter=BY_TAG, expiration={"expiredObjectDeleteMarker": True})],
        "rules[0].expiration.expiredObjectDeleteMarker",
        "delete markers have none",
    ),
    "an end by age and by date": (
        [rule(expiration={"days": 1, "date": "2030-01-31T00:00:00Z"})], "rules[0].expiration", "must be one of date",
    ),
    "a move by age and by date": (
        [rule(transitions=[{**moves(1, "GLACIER")[0], "date": "2030-01-31T00:00:00Z"}])],
        "rules[0].transitions[0]",
        "must be by one of date and days",
    ),
    "a move by age and an end by date": (
        [rule(transitions=moves(1, "GLACIER"), expiration={"date": "2030-01-31T00:00:00Z"})],
        "rules[0]",
        "all by date, or all by days",
    ),
    "infrequent too soon": (
        [rule(transitions=moves(29, "STANDARD_IA"))], "rules[0].transitions[0].days", "must be 30 at least",
    ),
    "old versions infrequent too soon": (
        [rule(noncurrentVersionTransitions=[{"noncurrentDays": 7, "storageClass": "ONEZONE_IA"}])],
        "rules[0].noncurrentVersionTransitions[0].noncurrentDays",
        "must be 30 at least",
    ),
    "a move after the end": (
        [rule(transitions=moves(90, "GLACIER"), expiration={"days": 90})],
        "rules[0].transitions[0].days",
        "must be less than the 90 days",
    ),
    "a date with a time": (
        [rule(expiration={"date": "2030-01-31T12:00:00Z"})], "rules[0].expiration.date", "midnight UTC",
    ),
    "versions to keep": (
        [rule(noncurrentVersionExpiration={"noncurrentDays": 1, "newerNoncurrentVersions": 101})],
        "rules[0].noncurrentVersionExpiration.newerNoncurrentVersions",
        "must be from 1 to 100",
    ),
    "days": ([rule(expiration={"days": 0})], "rules[0].expiration.days", "must be from 1 to"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_s3_refuses_of_a_lifecycle(world: Any, case: str) -> None:
    rules, path, reason = REFUSED[case]
    found = refused(world, CASES["lifecycle"]["token"], {"bucket": "data", "rules": rules})
    assert [place for place, _ in found] == [path] * len(found)
    assert any(reason in text for _, text in found), found


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_not_known_yet_it_can_be_judged(world: Any, case: str) -> None:
    assert judged(world, CASES["lifecycle"]["token"], {"bucket": "data", "rules": REFUSED[case][0]})


def test_what_is_not_known_yet_is_not_refused(world: Any) -> None:
    token = CASES["lifecycle"]["token"]
    early = {"days": UNKNOWN, "storageClass": "STANDARD_IA"}
    unknown = [rule(filter=UNKNOWN, prefix="a", transitions=[early, UNKNOWN], expiration=UNKNOWN), UNKNOWN]
    assert refused(world, token, {"bucket": "data", "rules": unknown}) == []
    assert refused(world, token, {"bucket": "data", "rules": UNKNOWN}) == []


# ------------------------------------------------------------------------------------------------ object lock

LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"


def lock(world: Any, resource_id: str) -> Any:
    found = ask("get_object_lock_configuration", "ObjectLockConfiguration")(world, resource_id)
    retention = (found or {}).get("Rule", {}).get("DefaultRetention")
    return retention and {name: value for name, value in retention.items() if value}


def locked(world: Any) -> dict[str, str]:
    words = {"bucket": f"locked-{world.account}", "logs": f"other-{world.account}"}
    world.boto("s3").create_bucket(Bucket=words["bucket"], ObjectLockEnabledForBucket=True)
    return words


def retention(mode: str, **period: int) -> dict[str, Any]:
    return {"defaultRetention": {"mode": mode, **period}}


LOCKED: dict[str, Any] = {
    "token": LOCK,
    "inputs": lambda words: {"bucket": words["bucket"], "rule": retention("GOVERNANCE", days=7)},
    "look": lock,
    "made": lambda words: {"Mode": "GOVERNANCE", "Days": 7},
    "change": lambda words: {"rule": retention("COMPLIANCE", years=2)},
    "changed": lambda words: {"Mode": "COMPLIANCE", "Years": 2},
}


def test_lock(lifecycle: Any, world: Any) -> None:
    lifecycle(
        **LOCKED,
        prepare=locked,
        replaces=lambda words: [{"bucket": words["logs"]}],
        drift=put(
            "put_object_lock_configuration",
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
            },
        ),
        drifted={"rule": retention("GOVERNANCE", days=1)},
        lasting=True,
    )
    assert lock(world, f"locked-{world.account}") is None, "the lock stays, its default retention goes"


def test_adoption_of_a_lock(elsewhere: Any, unfinished: Any) -> None:
    adopts(elsewhere, unfinished, LOCKED, locked)


def test_a_lock_without_a_default_retention_for_a_bucket_that_was_there_before(world: Any) -> None:
    words = bucket(world)
    world.boto("s3").put_bucket_versioning(Bucket=words["bucket"], VersioningConfiguration={"Status": "Enabled"})
    inputs = world.engine.checked(LOCK, {"bucket": words["bucket"]})
    resource_id, state = world.engine.create(LOCK, inputs)
    assert world.engine.read(LOCK, resource_id, inputs, state) == (inputs, state)
    assert world.engine.read("aws:s3/bucket:Bucket", resource_id)[0]["objectLockEnabled"] is True


def test_the_lock_of_a_bucket_that_has_none_or_is_gone(world: Any) -> None:
    words = bucket(world)
    assert world.engine.read(LOCK, words["bucket"]) is None
    inputs = world.engine.checked(LOCK, {"bucket": "never-made"})
    assert world.engine.read(LOCK, "never-made", inputs) is None
    world.engine.delete(LOCK, "never-made", inputs, {})


@pytest.mark.parametrize(
    ("given", "path", "reason"),
    [
        ({"days": 1}, "rule.defaultRetention.mode", "is required"),
        ({"mode": "GOVERNANCE"}, "rule.defaultRetention", "must have one of days and years"),
        ({"mode": "GOVERNANCE", "days": 1, "years": 1}, "rule.defaultRetention", "must have one of days and years"),
        ({"mode": "OPEN", "days": 1}, "rule.defaultRetention.mode", "must be one of GOVERNANCE, COMPLIANCE"),
        ({"mode": "COMPLIANCE", "days": 0}, "rule.defaultRetention.days", "must be from 1 to"),
    ],
)
def test_what_s3_refuses_of_a_lock(world: Any, given: dict[str, Any], path: str, reason: str) -> None:
    inputs = {"bucket": "data", "rule": {"defaultRetention": given}}
    assert judged(world, LOCK, inputs)
    ((place, text),) = refused(world, LOCK, inputs)
    assert place == path
    assert reason in text
