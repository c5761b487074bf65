"""The settings of a bucket, row by row, against moto."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def bucket(world: Any) -> dict[str, str]:
    world.boto("s3").create_bucket(Bucket=f"set-{world.account}")
    world.boto("s3").create_bucket(Bucket=f"logs-{world.account}")
    world.boto("s3").put_bucket_acl(Bucket=f"logs-{world.account}", ACL="log-delivery-write")
    return {"bucket": f"set-{world.account}", "logs": f"logs-{world.account}"}


def ask(operation: str, key: str) -> Any:
    """What boto3 finds under `key` of the answer; None where S3 says that there is nothing."""

    def look(world: Any, resource_id: str) -> Any:
        try:
            return getattr(world.boto("s3"), operation)(Bucket=resource_id).get(key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if not ("NoSuch" in code or "NotFound" in code):
                raise
            return None

    return look


def statement(action: str, words: dict[str, Any]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{words['bucket']}/*"}
        ],
    }


def policy(world: Any, resource_id: str) -> Any:
    found = ask("get_bucket_policy", "Policy")(world, resource_id)
    return None if found is None else json.loads(found)


def put(operation: str, **parameters: Any) -> Any:
    return lambda world, resource_id: getattr(world.boto("s3"), operation)(Bucket=resource_id, **parameters)


RULE = {
    "id": "old",
    "status": "Enabled",
    "filter": {"and": {"prefix": "runs/", "tags": {"keep": "no", "kind": "log"}}},
    "expiration": {"days": 30},
    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
    "noncurrentVersionExpiration": {"noncurrentDays": 3},
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
    "Expiration": {"Days": 30},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
    "Transitions": [{"Days": 5, "StorageClass": "GLACIER"}, {"Days": 90, "StorageClass": "DEEP_ARCHIVE"}],
}
EVERYTHING = {"id": "all", "status": "Enabled", "expiration": {"days": 1}}

CASES: dict[str, dict[str, Any]] = {
    "versioning": {
        "token": "aws:s3/bucketVersioning:BucketVersioning",
        "inputs": lambda words: {"bucket": words["bucket"], "versioningConfiguration": {"status": "Enabled"}},
        "look": ask("get_bucket_versioning", "Status"),
        "made": lambda words: "Enabled",
        "change": lambda words: {"versioningConfiguration": {"status": "Suspended"}},
        "changed": lambda words: "Suspended",
        "drift": put("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"}),
        "drifted": {"versioningConfiguration": {"status": "Enabled"}},
        "lasting": True,
    },
    "encryption": {
        "token": "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "inputs": lambda words: {
            "bucket": words["bucket"],
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}],
        },
        "look": lambda world, resource_id: (
            ask("get_bucket_encryption", "ServerSideEncryptionConfiguration")(world, resource_id) or {"Rules": [None]}
        )["Rules"][0],
        "made": lambda words: {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        },
        "change": lambda words: {
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "k"},
                    "bucketKeyEnabled": True,
                }
            ]
        },
        "changed": lambda words: {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
            "BucketKeyEnabled": True,
        },
        "drift": put(
            "put_bucket_encryption",
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        ),
        "drifted": {
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}]
        },
    },
    "public access": {
        "token": "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "inputs": lambda words: {"bucket": words["bucket"], "blockPublicAcls": True, "blockPublicPolicy": True},
        "look": ask("get_public_access_block", "PublicAccessBlockConfiguration"),
        "made": lambda words: {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": False,
            "RestrictPublicBuckets": False,
        },
        "change": lambda words: {"ignorePublicAcls": True, "restrictPublicBuckets": True},
        "changed": lambda words: dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        ),
        "drift": put(
            "put_public_access_block",
            PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": True},
        ),
        "drifted": {"blockPublicPolicy": False, "restrictPublicBuckets": False},
    },
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
    "policy": {
        "token": "aws:s3/bucketPolicy:BucketPolicy",
        "inputs": lambda words: {
            "bucket": words["bucket"],
            "policy": json.dumps(statement("s3:PutObject", words), indent=1),
        },
        "look": policy,
        "made": lambda words: statement("s3:PutObject", words),
        "change": lambda words: {"policy": statement("s3:DeleteObject", words)},
        "changed": lambda words: statement("s3:DeleteObject", words),
        "drift": put("put_bucket_policy", Policy='{"Statement": []}'),
        "drifted": {"policy": '{"Statement": []}'},
    },
    "ownership": {
        "token": "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "inputs": lambda words: {"bucket": words["bucket"], "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        "look": lambda world, resource_id: (
            ask("get_bucket_ownership_controls", "OwnershipControls")(world, resource_id)
            or {"Rules": [{"ObjectOwnership": None}]}
        )["Rules"][0]["ObjectOwnership"],
        "made": lambda words: "BucketOwnerEnforced",
        "change": lambda words: {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        "changed": lambda words: "BucketOwnerPreferred",
        "drift": put(
            "put_bucket_ownership_controls", OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        ),
        "drifted": {"rule": {"objectOwnership": "ObjectWriter"}},
    },
    "logging": {
        "token": "aws:s3/bucketLogging:BucketLogging",
        "inputs": lambda words: {"bucket": words["bucket"], "targetBucket": words["logs"], "targetPrefix": "a/"},
        "look": lambda world, resource_id: (ask("get_bucket_logging", "LoggingEnabled")(world, resource_id) or {}).get(
            "TargetPrefix"
        ),
        "made": lambda words: "a/",
        "change": lambda words: {"targetPrefix": "b/"},
        "changed": lambda words: "b/",
        "drift": lambda world, resource_id: put(
            "put_bucket_logging",
            BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": f"logs-{world.account}", "TargetPrefix": "c/"}},
        )(world, resource_id),
        "drifted": {"targetPrefix": "c/"},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_lifecycle(lifecycle: Any, name: str) -> None:
    lifecycle(prepare=bucket, replaces=lambda words: [{"bucket": words["logs"]}], **CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_the_setting_of_a_bucket_that_is_gone_is_gone(world: Any, name: str) -> None:
    case, words = CASES[name], bucket(world)
    inputs = world.engine.checked(case["token"], case["inputs"](words))
    resource_id, state = world.engine.create(case["token"], inputs)
    world.boto("s3").delete_bucket(Bucket=resource_id)
    assert world.engine.read(case["token"], resource_id, inputs, state) is None
    world.engine.delete(case["token"], resource_id, inputs, state)


def test_parts_of_a_lifecycle_that_moto_does_not_report_are_no_drift(world: Any) -> None:
    token, words = CASES["lifecycle"]["token"], bucket(world)
    rule = {
        **RULE,
        "filter": {"and": {"prefix": "runs/", "objectSizeGreaterThan": 1024}},
        "noncurrentVersionExpiration": {"noncurrentDays": 3, "newerNoncurrentVersions": 2},
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


def test_a_block_of_public_access_can_outlive_its_resource(world: Any) -> None:
    case, words = CASES["public access"], bucket(world)
    inputs = world.engine.checked(case["token"], {**case["inputs"](words), "skipDestroy": True})
    resource_id, state = world.engine.create(case["token"], inputs)
    world.engine.delete(case["token"], resource_id, inputs, state)
    assert case["look"](world, resource_id)["BlockPublicAcls"] is True
