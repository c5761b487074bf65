"""Replication of a bucket, against moto."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.functions import UNKNOWN
from tests.providers.aws.types.buckets import adopts, ask, put, refused
from tests.providers.aws.types.buckets import bucket as buckets
from tests.providers.aws.types.unknowns import judged

TOKEN = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"


def bucket(world: Any) -> dict[str, str]:
    words = buckets(world)
    for name in (words["bucket"], words["logs"]):
        world.boto("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    role = f"arn:aws:iam::{world.account}:role/replicator"
    return {**words, "role": role, "copy": f"arn:aws:s3:::{words['logs']}"}


def look(world: Any, resource_id: str) -> Any:
    found = ask("get_bucket_replication", "ReplicationConfiguration")(world, resource_id)
    names = ("ID", "Priority", "Status", "Destination")
    return found and (found["Role"], [{name: rule[name] for name in names} for rule in found["Rules"]])


CASE: dict[str, Any] = {
    "token": TOKEN,
    "look": look,
    "inputs": lambda words: {
        "bucket": words["bucket"],
        "role": words["role"],
        "rules": [
            {"id": "all", "status": "Enabled", "destination": {"bucket": words["copy"], "storageClass": "STANDARD_IA"}}
        ],
    },
    "made": lambda words: (
        words["role"],
        [
            {
                "ID": "all",
                "Priority": 1,
                "Status": "Enabled",
                "Destination": {"Bucket": words["copy"], "StorageClass": "STANDARD_IA"},
            }
        ],
    ),
    "change": lambda words: {
        "role": words["role"] + "-2",
        "rules": [
            {
                "id": "timed",
                "status": "Disabled",
                "destination": {
                    "bucket": words["copy"],
                    "metrics": {"status": "Enabled", "eventThreshold": {"minutes": 15}},
                    "replicationTime": {"status": "Enabled", "time": {"minutes": 15}},
                },
            }
        ],
    },
    "changed": lambda words: (
        words["role"] + "-2",
        [
            {
                "ID": "timed",
                "Priority": 1,
                "Status": "Disabled",
                "Destination": {
                    "Bucket": words["copy"],
                    "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
                    "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
                },
            }
        ],
    ),
}


def test_replication(world: Any, lifecycle: Any) -> None:
    theirs = {"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::theirs"}, "ID": "x", "Prefix": ""}
    role = f"arn:aws:iam::{world.account}:role/replicator"
    lifecycle(
        prepare=bucket,
        replaces=lambda words: [{"bucket": words["logs"]}],
        drift=put("put_bucket_replication", ReplicationConfiguration={"Role": role, "Rules": [theirs]}),
        drifted={
            "role": role,
            "rules": [{"id": "x", "status": "Enabled", "destination": {"bucket": "arn:aws:s3:::theirs"}}],
        },
        **CASE,
    )


def test_adoption(elsewhere: Any, unfinished: Any) -> None:
    adopts(elsewhere, unfinished, CASE, bucket)


def test_the_parts_of_a_rule_that_moto_does_not_tell_are_no_drift(world: Any) -> None:
    words = bucket(world)
    rules = [
        {
            "priority": number,
            "status": "Enabled",
            "filter": filtered,
            "deleteMarkerReplication": {"status": "Enabled"},
            "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
            "destination": {"bucket": words["copy"], "encryptionConfiguration": {"replicaKmsKeyId": "k"}},
        }
        for number, filtered in enumerate(
            ({"prefix": "a/"}, {"tag": {"key": "a", "value": "b"}}, {"and": {"prefix": "c/", "tags": {"a": "b"}}}, {})
        )
    ]
    inputs = world.engine.checked(TOKEN, {"bucket": words["bucket"], "role": words["role"], "rules": rules})
    resource_id, state = world.engine.create(TOKEN, inputs)
    assert world.engine.read(TOKEN, resource_id, inputs, state) == (inputs, state)
    other = {**inputs, "rules": [{**rules[0], "filter": {"prefix": "b/"}}, *rules[1:]]}
    assert "rules[0].filter.prefix" in world.engine.diff(TOKEN, inputs, other, state).detailedDiff


@pytest.mark.parametrize("lacks", ["exist", "have versioning enabled"])
def test_a_destination_that_s3_would_refuse_is_refused(world: Any, failure: Any, lacks: str) -> None:
    words = bucket(world)
    s3 = world.boto("s3")
    if lacks == "exist":
        s3.delete_bucket(Bucket=words["logs"])
    else:
        s3.put_bucket_versioning(Bucket=words["logs"], VersioningConfiguration={"Status": "Suspended"})
    error, kept = failure(world.engine.create, TOKEN, world.engine.checked(TOKEN, CASE["inputs"](words)))
    assert f"the destination bucket {words['logs']} must {lacks}" in error.details()
    assert kept is None
    assert look(world, words["bucket"]) is None


def test_the_replication_of_a_bucket_that_is_gone_is_gone(world: Any) -> None:
    words = bucket(world)
    inputs = world.engine.checked(TOKEN, CASE["inputs"](words))
    resource_id, state = world.engine.create(TOKEN, inputs)
    world.boto("s3").delete_bucket(Bucket=resource_id)
    assert world.engine.read(TOKEN, resource_id, inputs, state) is None
    world.engine.delete(TOKEN, resource_id, inputs, state)


# ------------------------------------------------------------------------------------------------ what S3 refuses

COPY = {"bucket": "arn:aws:s3:::copy"}


def rule(**parts: Any) -> dict[str, Any]:
    return {"status": "Enabled", "destination": COPY, **parts}


REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "no rule": ([], "rules", "must be 1 to 1000 rules"),
    "priorities": (
        [rule(filter={}, priority=1), rule(filter={}, priority=1)], "rules[1].priority", "must be unique",
    ),
    "prefix twice": ([rule(prefix="a", filter={"prefix": "a"})], "rules[0].prefix", "cannot be had with filter"),
    "two filters": (
        [rule(filter={"prefix": "a", "tag": {"key": "a", "value": "b"}})], "rules[0].filter", "must be one of and",
    ),
    "delete markers of all": (
        [rule(deleteMarkerReplication={"status": "Enabled"})], "rules[0].deleteMarkerReplication", "needs a filter",
    ),
    "owner": (
        [rule(destination={**COPY, "accessControlTranslation": {"owner": "Destination"}})],
        "rules[0].destination.account",
        "is required with accessControlTranslation",
    ),
    "time": (
        [rule(destination={**COPY, "replicationTime": {"status": "Enabled", "time": {"minutes": 15}}})],
        "rules[0].destination.metrics",
        "is required with replicationTime",
    ),
    "minutes": (
        [rule(destination={**COPY, "metrics": {"status": "Enabled", "eventThreshold": {"minutes": 10}}})],
        "rules[0].destination.metrics.eventThreshold.minutes",
        "must be one of 15",
    ),
    "encrypted objects without a key": (
        [rule(sourceSelectionCriteria={"sseKmsEncryptedObjects": {"status": "Enabled"}})],
        "rules[0].destination.encryptionConfiguration",
        "is required with sseKmsEncryptedObjects",
    ),
    "a key without encrypted objects": (
        [rule(destination={**COPY, "encryptionConfiguration": {"replicaKmsKeyId": "k"}})],
        "rules[0].sourceSelectionCriteria.sseKmsEncryptedObjects",
        "is required with the destination's encryptionConfiguration",
    ),
    "no ARN": ([rule(destination={"bucket": "copy"})], "rules[0].destination.bucket", "must be the ARN of a bucket"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_s3_refuses(world: Any, case: str) -> None:
    rules, path, reason = REFUSED[case]
    inputs = {"bucket": "data", "role": "arn:aws:iam::111122223333:role/r", "rules": rules}
    ((place, text),) = refused(world, TOKEN, inputs)
    assert place == path
    assert reason in text


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_not_known_yet_it_can_be_judged(world: Any, case: str) -> None:
    assert judged(
        world, TOKEN, {"bucket": "data", "role": "arn:aws:iam::111122223333:role/r", "rules": REFUSED[case][0]}
    )


def test_what_is_not_known_yet_is_not_refused(world: Any) -> None:
    timed = {"replicationTime": UNKNOWN, "encryptionConfiguration": {"replicaKmsKeyId": UNKNOWN}}
    rules = [
        rule(filter=UNKNOWN, prefix="a", priority=UNKNOWN, destination=UNKNOWN),
        rule(filter={}, priority=UNKNOWN, destination={**COPY, **timed}, sourceSelectionCriteria=UNKNOWN),
        UNKNOWN,
    ]
    assert refused(world, TOKEN, {"bucket": "data", "role": UNKNOWN, "rules": rules}) == []
