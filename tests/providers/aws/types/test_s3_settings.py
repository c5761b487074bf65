"""The settings of a bucket, row by row, against moto."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlinfra.functions import UNKNOWN
from tests.providers.aws.types.buckets import adopts, ask, bucket, put, refused
from tests.providers.aws.types.unknowns import judged


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


ANYBODY = {"allowedMethods": ["GET"], "allowedOrigins": ["*"]}

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
    "CORS": {
        "token": "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
        "inputs": lambda words: {
            "bucket": words["bucket"],
            "corsRules": [
                {
                    "id": "page",
                    "allowedMethods": ["GET", "HEAD"],
                    "allowedOrigins": ["https://*.example.com"],
                    "allowedHeaders": ["*"],
                    "exposeHeaders": ["ETag"],
                    "maxAgeSeconds": 600,
                }
            ],
        },
        "look": ask("get_bucket_cors", "CORSRules"),
        "made": lambda words: [
            {
                "ID": "page",
                "AllowedMethods": ["GET", "HEAD"],
                "AllowedOrigins": ["https://*.example.com"],
                "AllowedHeaders": ["*"],
                "ExposeHeaders": ["ETag"],
                "MaxAgeSeconds": 600,
            }
        ],
        "change": lambda words: {"corsRules": [ANYBODY, {"allowedMethods": ["PUT"], "allowedOrigins": ["https://a"]}]},
        "changed": lambda words: [
            {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]},
            {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://a"]},
        ],
        "drift": put(
            "put_bucket_cors",
            CORSConfiguration={"CORSRules": [{"AllowedMethods": ["DELETE"], "AllowedOrigins": ["*"]}]},
        ),
        "drifted": {"corsRules": [{"allowedMethods": ["DELETE"], "allowedOrigins": ["*"]}]},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_lifecycle(lifecycle: Any, name: str) -> None:
    lifecycle(prepare=bucket, replaces=lambda words: [{"bucket": words["logs"]}], **CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_adoption(elsewhere: Any, unfinished: Any, name: str) -> None:
    adopts(elsewhere, unfinished, CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_the_setting_of_a_bucket_that_is_gone_is_gone(world: Any, name: str) -> None:
    case, words = CASES[name], bucket(world)
    inputs = world.engine.checked(case["token"], case["inputs"](words))
    resource_id, state = world.engine.create(case["token"], inputs)
    world.boto("s3").delete_bucket(Bucket=resource_id)
    assert world.engine.read(case["token"], resource_id, inputs, state) is None
    world.engine.delete(case["token"], resource_id, inputs, state)


def test_a_block_of_public_access_can_outlive_its_resource(world: Any) -> None:
    case, words = CASES["public access"], bucket(world)
    inputs = world.engine.checked(case["token"], {**case["inputs"](words), "skipDestroy": True})
    resource_id, state = world.engine.create(case["token"], inputs)
    world.engine.delete(case["token"], resource_id, inputs, state)
    assert case["look"](world, resource_id)["BlockPublicAcls"] is True


def test_the_order_of_cors_rules_counts_and_that_of_their_parts_does_not(world: Any) -> None:
    token, words = CASES["CORS"]["token"], bucket(world)
    first, second = {**ANYBODY, "allowedMethods": ["GET", "PUT"]}, ANYBODY
    inputs = world.engine.checked(token, {"bucket": words["bucket"], "corsRules": [first, second]})
    _, state = world.engine.create(token, inputs)
    turned = {**inputs, "corsRules": [second, first]}
    assert world.engine.diff(token, inputs, turned, state).diffs == ["corsRules"]
    same = {**inputs, "corsRules": [{**first, "allowedMethods": ["PUT", "GET"]}, second]}
    assert not world.engine.diff(token, inputs, same, state).diffs


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_blocked_kinds_of_encryption_are_no_drift_though_moto_does_not_tell(world: Any, algorithm: str) -> None:
    token, words = CASES["encryption"]["token"], bucket(world)
    key = world.boto("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {
        "applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm, "kmsMasterKeyId": key},
        "bucketKeyEnabled": algorithm == "aws:kms",
        "blockedEncryptionTypes": ["SSE-C"],
    }
    inputs = world.engine.checked(token, {"bucket": words["bucket"], "rules": [rule]})
    resource_id, state = world.engine.create(token, inputs)
    assert CASES["encryption"]["look"](world, resource_id) == {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, "KMSMasterKeyID": key},
        "BucketKeyEnabled": algorithm == "aws:kms",
    }
    assert world.engine.read(token, resource_id, inputs, state) == (inputs, state)
    freed = {**inputs, "rules": [{**rule, "blockedEncryptionTypes": ["NONE"]}]}
    assert world.engine.diff(token, inputs, freed, state).diffs == ["rules"]


def test_who_may_read_logs_and_how_they_are_named(world: Any) -> None:
    token, words = CASES["logging"]["token"], bucket(world)
    group = {"type": "Group", "uri": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
    program = {
        "bucket": words["bucket"],
        "targetBucket": words["logs"],
        "targetPrefix": "a/",
        "targetGrants": [{"grantee": group, "permission": "READ"}],
        "targetObjectKeyFormat": {"partitionedPrefix": {"partitionDateSource": "EventTime"}},
    }
    inputs = world.engine.checked(token, program)
    resource_id, state = world.engine.create(token, inputs)
    (grant,) = ask("get_bucket_logging", "LoggingEnabled")(world, resource_id)["TargetGrants"]
    assert (grant["Grantee"]["URI"], grant["Permission"]) == (group["uri"], "READ")
    assert world.engine.read(token, resource_id, inputs, state) == (inputs, state)
    simple = {**inputs, "targetObjectKeyFormat": {"simplePrefix": {}}}
    assert world.engine.diff(token, inputs, simple, state).diffs == ["targetObjectKeyFormat"]


KMS = {"sseAlgorithm": "aws:kms"}
REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "two encryptions": (
        "encryption",
        {"rules": [{"applyServerSideEncryptionByDefault": KMS}] * 2},
        "rules",
        "must be one: a bucket has one default encryption",
    ),
    "a key for AES256": (
        "encryption",
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256", "kmsMasterKeyId": "k"}}]},
        "rules[0].applyServerSideEncryptionByDefault.kmsMasterKeyId",
        "needs an sseAlgorithm of aws:kms",
    ),
    "bucket keys twice over": (
        "encryption",
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms:dsse"}, "bucketKeyEnabled": True}]},
        "rules[0].bucketKeyEnabled",
        "cannot be had with aws:kms:dsse",
    ),
    "no CORS rule": ("CORS", {"corsRules": []}, "corsRules", "must be 1 to 100 rules"),
    "CORS method": (
        "CORS",
        {"corsRules": [{**ANYBODY, "allowedMethods": ["PATCH"]}]},
        "corsRules[0].allowedMethods[0]",
        "must be one of GET, PUT, HEAD, POST, DELETE",
    ),
    "CORS origin": (
        "CORS",
        {"corsRules": [{**ANYBODY, "allowedOrigins": ["https://*.*"]}]},
        "corsRules[0].allowedOrigins[0]",
        "must be a text with one * at most",
    ),
    "two forms of keys": (
        "logging",
        {
            "targetBucket": "logs",
            "targetPrefix": "",
            "targetObjectKeyFormat": {
                "simplePrefix": {},
                "partitionedPrefix": {"partitionDateSource": "EventTime"},
            },
        },
        "targetObjectKeyFormat",
        "must be one of partitionedPrefix and simplePrefix",
    ),
    "grantee": (
        "logging",
        {
            "targetBucket": "logs",
            "targetPrefix": "",
            "targetGrants": [{"grantee": {"type": "Group", "id": "x"}, "permission": "READ"}],
        },
        "targetGrants[0].grantee",
        "needs uri for its type",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_s3_refuses(world: Any, case: str) -> None:
    name, inputs, path, reason = REFUSED[case]
    ((place, text),) = refused(world, CASES[name]["token"], {"bucket": "data", **inputs})
    assert place == path
    assert reason in text


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_not_known_yet_it_can_be_judged(world: Any, case: str) -> None:
    assert judged(world, CASES[REFUSED[case][0]]["token"], {"bucket": "data", **REFUSED[case][1]})


def test_what_is_not_known_yet_is_not_refused(world: Any) -> None:
    unknown: dict[str, dict[str, Any]] = {
        "encryption": {"rules": [{"applyServerSideEncryptionByDefault": UNKNOWN, "bucketKeyEnabled": True}]},
        "CORS": {"corsRules": UNKNOWN},
        "logging": {"targetBucket": UNKNOWN, "targetPrefix": "", "targetGrants": [UNKNOWN]},
    }
    for name, inputs in unknown.items():
        assert refused(world, CASES[name]["token"], {"bucket": UNKNOWN, **inputs}) == []
