"""S3 buckets. Their settings are resource types of their own: `s3_settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.errors import AwsError, taken
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.tags import Tagging

_NAMING: Final = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html: a bucket's name is final"
)
_LOCK: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html: set when the bucket is created"
_GONE: Final = frozenset({"NoSuchBucket", "404"})
_IDEMPOTENT_REGION: Final = "us-east-1"
"""Only here CreateBucket of a bucket that the account owns succeeds, changing nothing (API_CreateBucket)."""

TAGGING: Final = Tagging("Bucket")
BATCH: Final = 1000
"""The most objects that one DeleteObjects call takes."""


class Bucket(Resource):
    """A bucket. Only tags can be changed in place; `forceDestroy` empties it, all versions, before it is deleted."""

    token = "aws:s3/bucket:Bucket"  # noqa: S105 — a type token
    service = "s3"
    fields = (
        Field(
            "bucket",
            pattern=(
                r"(?!xn--|\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]",
                "3 to 63 small letters, digits, dots and hyphens",
            ),
            replaces=_NAMING,
        ),
        Field("forceDestroy", bool, default=False, apart=True),
        Field("objectLockEnabled", bool, default=False, replaces=_LOCK),
        TAGS,
        REGION,
    )
    outputs = ("arn", "bucketDomainName", "bucketRegion", "bucketRegionalDomainName")
    names = ("bucket",)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; in us-east-1 after making sure that it would not succeed on a bucket that is there already."""
        api, name = aws.api(self.service), inputs["bucket"]
        location = None
        if aws.region != _IDEMPOTENT_REGION:
            location = {"LocationConstraint": aws.region}
        elif name in _names_before(aws) and api.find("head_bucket", _GONE, Bucket=name) is not None:
            raise taken(name, "a bucket")
        api.call(
            "create_bucket",
            Bucket=name,
            CreateBucketConfiguration=location,
            ObjectLockEnabledForBucket=inputs["objectLockEnabled"] or None,
        )
        return Made(name, self._outputs(name, aws.region))

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """Tags are a second call."""
        if inputs.get("tags"):
            aws.api(self.service).call(
                "put_bucket_tagging", Bucket=made.id, Tagging={"TagSet": TAGGING.form(inputs["tags"])}
            )

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call where the bucket is known: its tags tell whether it is there. An import asks more."""
        api = aws.api(self.service)
        region = aws.region
        inputs: dict[str, Any] = {"bucket": resource_id}
        try:
            found = api.find("get_bucket_tagging", {"NoSuchTagSet"}, Bucket=resource_id) or {}
            if not known:
                region = (
                    api.call("get_bucket_location", Bucket=resource_id).get("LocationConstraint") or _IDEMPOTENT_REGION
                )
                lock = api.find(
                    "get_object_lock_configuration", {"ObjectLockConfigurationNotFoundError"}, Bucket=resource_id
                )
                inputs["objectLockEnabled"] = lock is not None
        except AwsError as error:
            if error.code in _GONE:
                return None
            raise
        return Live(inputs, self._outputs(resource_id, region), TAGGING.plain(found.get("TagSet")))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Tags are set as a whole; AWS keeps its own (`aws:…`) among them."""
        if change.touches("tags"):
            api, tags = aws.api(self.service), change.new.get("tags")
            if tags:
                api.call("put_bucket_tagging", Bucket=change.id, Tagging={"TagSet": TAGGING.form(tags)})
            else:
                api.call("delete_bucket_tagging", Bucket=change.id)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """A bucket that holds objects is deleted only with `forceDestroy`."""
        api = aws.api(self.service)
        if inputs.get("forceDestroy"):
            _empty(api, resource_id, bypass=inputs.get("objectLockEnabled") is True)
        try:
            api.find("delete_bucket", _GONE, Bucket=resource_id)
        except AwsError as error:
            if error.code != "BucketNotEmpty":
                raise
            raise AwsError(
                error.operation,
                error.code,
                f"bucket {resource_id} holds objects",
                "Empty it, or set forceDestroy on it and update, and delete it then.",
            ) from None

    def autoname(self, name: str, seed: bytes, inputs: Mapping[str, Any]) -> str:
        """In small letters, with hyphens for what a bucket's name cannot hold."""
        return re.sub(r"[^a-z0-9-]+", "-", super().autoname(name, seed, inputs).lower()).strip("-")

    @staticmethod
    def _outputs(name: str, region: str) -> dict[str, Any]:
        return {
            "arn": f"arn:aws:s3:::{name}",
            "bucketDomainName": f"{name}.s3.amazonaws.com",
            "bucketRegion": region,
            "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        }


def _names_before(aws: Aws) -> frozenset[str]:
    """The buckets that the account had when this session first asked: one call for a thousand creates."""
    api = aws.api("s3")
    return aws.session.remember(
        "bucket names", lambda: frozenset(item["Name"] for item in api.pages("list_buckets", "Buckets"))
    )


def _empty(api: Api, bucket: str, bypass: bool) -> None:
    """Delete every version of every object, and every delete marker.

    `bypass` takes what a lock in GOVERNANCE mode keeps too, as the official provider does; one in COMPLIANCE mode
    nobody can go round (user guide, "Locking objects with Object Lock").
    """
    while True:
        found = api.find("list_object_versions", _GONE, Bucket=bucket, MaxKeys=BATCH)
        listed = [] if found is None else [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]
        if not listed:
            return
        keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in listed[:BATCH]]
        answer = api.call(
            "delete_objects",
            Bucket=bucket,
            Delete={"Objects": keys, "Quiet": True},
            BypassGovernanceRetention=bypass or None,
        )
        if errors := answer.get("Errors"):
            raise AwsError(
                "DeleteObjects",
                errors[0].get("Code", "Unknown"),
                f"{len(errors)} objects of {bucket} could not be deleted",
            )


RESOURCES: Final = (Bucket(),)
