"""One S3 bucket with what every bucket of ours has: private, encrypted, over TLS only, tidied up.

A `Bucket` comes to one of these, and to further ones for its access logs and its replica.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlinfra.components.access import policy
from mlinfra.components.bucket_lifecycle import Lifecycle
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

_SSE = "s3:x-amz-server-side-encryption"
_KEY_ID = f"{_SSE}-aws-kms-key-id"
_CUSTOMER = f"{_SSE}-customer-algorithm"


@dataclass(frozen=True, slots=True)
class Store:
    """What such a bucket is given; `part` tells the further ones apart, `region` is empty for the stack's own.

    `after` are nodes that are made before it and deleted after it; `emptied` says that what is in it goes with it in
    every tier.
    """

    tags: Mapping[str, str]
    lifecycle: Lifecycle
    part: str = ""
    region: str = ""
    key: Ref | None = None
    versioning: bool = True
    locked: bool = False
    emptied: bool = False
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """References to what was added; `versioned` are the nodes to wait for before anything that wants versions."""

    bucket: Ref
    arn: Ref
    policy: str
    versioned: tuple[str, ...]


def add_store(scope: Scope, store: Store) -> Stored:
    """Add the bucket, and one resource for each of its settings, as the AWS provider has them since version 4."""
    tier = scope.environment.tier
    place = {"region": store.region} if store.region else {}
    prefix = f"{store.part}-" if store.part else ""

    def add(setting: str, kind: str, inputs: Mapping[str, Value], *after: str) -> Ref:
        token = f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}"
        return scope.aws(prefix + setting, token, {"bucket": bucket, **inputs, **place}, depends_on=after)

    bucket = scope.aws(
        f"{prefix}bucket",
        "aws:s3/bucket:Bucket",
        {
            "bucket": scope.global_name(*([store.part] if store.part else [])),
            "forceDestroy": store.emptied or tier.defaults.empty_on_delete,
            "tags": {**store.tags},
            **({"objectLockEnabled": True} if store.locked else {}),
            **place,
        },
        protect=scope.protected or tier.protected,
        depends_on=store.after,
    )
    arn = Ref(bucket.node, ("arn",))
    add("encryption", "BucketServerSideEncryptionConfiguration", {"rules": [_encryption(store.key)]})
    blocked = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    block = add("public-access-block", "BucketPublicAccessBlock", dict.fromkeys(blocked, True))
    add("ownership", "BucketOwnershipControls", {"rule": {"objectOwnership": "BucketOwnerEnforced"}})
    statements = [only_over_tls(arn), *(only_this_key(arn, store.key) if store.key else ())]
    # S3 answers OperationAborted when the policy and the block are set at once.
    allowed = add("policy", "BucketPolicy", {"policy": policy(statements)}, block.node)
    versioned: tuple[str, ...] = ()
    if store.versioning:
        enabled = {"versioningConfiguration": {"status": "Enabled"}}
        versioned = (add("versioning", "BucketVersioning", enabled).node,)
    rules = store.lifecycle.rules(versioning=store.versioning)
    # Rules about old versions want versioning first, says the provider's documentation.
    add("lifecycle", "BucketLifecycleConfiguration", {"rules": rules}, *versioned)
    return Stored(bucket, arn, allowed.node, versioned)


def _encryption(key: Ref | None) -> dict[str, Value]:
    """The default encryption: S3's own keys, or a KMS key, asked for a bucket key once and not for each object.

    Source: S3 user guide, "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys".
    """
    if key is None:
        return {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}
    return {"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}


def only_over_tls(arn: Value) -> dict[str, Value]:
    """Source: S3 user guide, "Security best practices for Amazon S3": enforce encryption of data in transit."""
    return {
        "Sid": "OnlyOverTLS",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, join(arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def only_this_key(arn: Value, key: Value) -> list[dict[str, Value]]:
    """No upload that asks for another encryption than the bucket's.

    One that asks for none gets the bucket's; S3 looks at the policy before it applies that (S3 user guide, "Setting
    default server-side encryption behavior"), so that each statement asks first whether there is such a header. One
    that asks for `aws:kms` and names no key would get AWS's own key (S3 API reference, `PutObject`).
    """

    def deny(sid: str, condition: Mapping[str, Value]) -> dict[str, Value]:
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": join(arn, "/*"),
            "Condition": dict(condition),
        }

    return [
        deny("OnlyByKMS", {"Null": {_SSE: "false"}, "StringNotEquals": {_SSE: "aws:kms"}}),
        deny("OnlyByThisKey", {"Null": {_KEY_ID: "false"}, "ArnNotEquals": {_KEY_ID: key}}),
        deny("NotByTheDefaultKey", {"Null": {_KEY_ID: "true"}, "StringEquals": {_SSE: "aws:kms"}}),
        deny("NotByKeysOfClients", {"Null": {_CUSTOMER: "false"}}),
    ]
