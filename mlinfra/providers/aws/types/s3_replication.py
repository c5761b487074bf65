"""Replication of a bucket's objects into other buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.resource import Aws
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.types.s3_settings import BucketSetting, Record, Refusals, several

_MINUTES: Final = (Field("minutes", int, required=True, choices=(15,)),)
"""Source: API_ReplicationTimeValue: 15 is the only value."""

_STATUS: Final = Field("status", required=True, choices=("Enabled", "Disabled"))
_DESTINATION: Final = (
    Field("bucket", required=True, pattern=(r"arn:aws[\w-]*:s3:::.+", "the ARN of a bucket")),
    Field("account", pattern=(r"\d{12}", "the 12 digits of an account")),
    Field(
        "storageClass",
        choices=(
            "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER",
            "DEEP_ARCHIVE", "GLACIER_IR",
        ),
    ),
    Field("accessControlTranslation", (Field("owner", required=True, choices=("Destination",)),)),
    Field("encryptionConfiguration", (Field("replicaKmsKeyId", required=True, aws="ReplicaKmsKeyID"),)),
    Field("metrics", (_STATUS, Field("eventThreshold", _MINUTES))),
    Field("replicationTime", (_STATUS, Field("time", _MINUTES, required=True))),
)  # fmt: skip
_FILTER: Final = (
    Field("prefix"),
    Field("tag", (Field("key", required=True), Field("value", required=True))),
    Field("and", (Field("prefix"), Field("tags", dict, pairs=("Key", "Value")))),
)
_RULE: Final = (
    Field("id", aws="ID", computed=True, pattern=(r".{1,255}", "1 to 255 characters")),
    Field("priority", int, computed=True, bounds=(0, 2_147_483_647)),
    _STATUS,
    Field("destination", _DESTINATION, required=True),
    Field("filter", _FILTER, forgotten=True),
    Field("prefix", forgotten=True),
    Field("deleteMarkerReplication", (_STATUS,), forgotten=True),
    Field("existingObjectReplication", (_STATUS,), forgotten=True),
    Field(
        "sourceSelectionCriteria",
        (Field("replicaModifications", (_STATUS,)), Field("sseKmsEncryptedObjects", (_STATUS,))),
        forgotten=True,
    ),
)
_REPLICATION: Final = (
    Field("role", required=True, pattern=(r"arn:aws[\w-]*:iam::\d{12}:role/.+", "the ARN of a role")),
    Field("rules", _RULE, many=True, required=True),
    Field("token", apart=True, secret=True),
)
_TOLD: Final = tuple(field for field in _RULE if not field.forgotten)


def _to_s3(inputs: Record) -> dict[str, Any]:
    """Rules with a filter have a priority and say what becomes of delete markers (API_ReplicationRule)."""
    sent = to_aws(_REPLICATION, inputs)
    for rule in sent["Rules"]:
        if "Filter" in rule:
            rule.setdefault("Priority", 0)
            rule.setdefault("DeleteMarkerReplication", {"Status": "Disabled"})
        else:
            rule.setdefault("Prefix", "")
    return {"ReplicationConfiguration": sent, "Token": inputs.get("token")}


def _from_s3(answer: Record) -> dict[str, Any]:
    """Without what moto makes up: for it no rule has a filter or replicates delete markers."""
    found = answer["ReplicationConfiguration"]
    rules = [
        {name: value for name, value in from_aws(_TOLD, rule).items() if value is not None} for rule in found["Rules"]
    ]
    return {"role": found["Role"], "rules": rules}


def _refusals(inputs: Record) -> Refusals:
    rules = inputs["rules"]
    if not isinstance(rules, list):
        return
    if not 1 <= len(rules) <= 1000:
        yield ("rules",), "must be 1 to 1000 rules (API_PutBucketReplication)"
    priorities: set[int] = set()
    for index, rule in enumerate(rules):
        if not isinstance(rule, Mapping):
            continue
        priority = rule.get("priority")
        if priority in priorities:
            yield ("rules", index, "priority"), "must be unique among the rules"
        if isinstance(priority, int):
            priorities.add(priority)
        for refusals in (_scope_refusals(rule), _destination_refusals(rule)):
            for path, reason in refusals:
                yield ("rules", index, *path), reason


def _scope_refusals(rule: Record) -> Refusals:
    """Sources: API_ReplicationRule, API_ReplicationRuleFilter."""
    if len(several(rule, ("filter", "prefix"))) > 1:
        yield ("prefix",), "cannot be had with filter, which has one of its own"
    if len(several(rule.get("filter"), ("and", "prefix", "tag"))) > 1:
        yield ("filter",), "must be one of and, prefix, tag"
    if rule.get("filter") is None:
        for name in several(rule, ("deleteMarkerReplication", "priority")):
            yield (name,), "needs a filter; {} is one for all objects"


def _destination_refusals(rule: Record) -> Refusals:
    """Sources: API_Destination, API_ReplicationTime."""
    destination = rule["destination"]
    if not isinstance(destination, Mapping):
        return
    if several(destination, ("accessControlTranslation",)) and destination.get("account") is None:
        yield ("destination", "account"), "is required with accessControlTranslation"
    timed = destination.get("replicationTime")
    if isinstance(timed, Mapping) and timed["status"] == "Enabled" and destination.get("metrics") is None:
        yield ("destination", "metrics"), "is required with replicationTime"
    criteria = rule.get("sourceSelectionCriteria")
    encrypted = criteria.get("sseKmsEncryptedObjects") if isinstance(criteria, Mapping) else None
    wanted = isinstance(encrypted, Mapping) and encrypted["status"] == "Enabled"
    if wanted and destination.get("encryptionConfiguration") is None:
        yield ("destination", "encryptionConfiguration"), "is required with sseKmsEncryptedObjects"
    if encrypted is None and criteria is not UNKNOWN and several(destination, ("encryptionConfiguration",)):
        path = ("sourceSelectionCriteria", "sseKmsEncryptedObjects")
        yield path, "is required with the destination's encryptionConfiguration"


class _Replication(BucketSetting):
    """S3 looks at the destinations when it is told of them; moto does not, so that is done here."""

    def put_setting(self, aws: Aws, bucket: str, inputs: Record) -> None:
        """Put it, unless a destination is not there or has no versions.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-requirements.html
        """
        for name in dict.fromkeys(rule["destination"]["bucket"].rpartition(":")[2] for rule in inputs["rules"]):
            found = aws.api(self.service).find("get_bucket_versioning", {"NoSuchBucket", "404"}, Bucket=name)
            if found is None or found.get("Status") != "Enabled":
                lacks = "exist" if found is None else "have versioning enabled"
                raise AwsError("PutBucketReplication", "InvalidRequest", f"the destination bucket {name} must {lacks}")
        super().put_setting(aws, bucket, inputs)


RESOURCES: Final = (
    _Replication(
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        _REPLICATION,
        put="put_bucket_replication",
        get="get_bucket_replication",
        take="delete_bucket_replication",
        absent="ReplicationConfigurationNotFoundError",
        to_s3=_to_s3,
        from_s3=_from_s3,
        refuses=_refusals,
    ),
)
