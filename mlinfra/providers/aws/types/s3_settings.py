"""The settings of a bucket that are resource types of their own: one row each.

All are alike: the bucket is the id, one call puts the whole setting, one reads it, one takes it away. AWS has each of
them on every bucket, so putting one overwrites what was there, as with the official provider.
"""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.providers.aws.fields import REGION, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, given, to_aws

BUCKET: Final = Field(
    "bucket", required=True, replaces="https://docs.aws.amazon.com/AmazonS3/latest/API: a setting belongs to one bucket"
)

Record = Mapping[str, Any]


def _put_shape(fields: tuple[Field, ...]) -> Callable[[Record], dict[str, Any]]:
    return lambda inputs: to_aws(fields, inputs)


def _get_shape(fields: tuple[Field, ...]) -> Callable[[Record], dict[str, Any]]:
    return lambda answer: from_aws(fields, answer)


@dataclass(frozen=True)
class BucketSetting(Resource):
    """A row: `put`, `get` and `take` are S3's operations, `absent` the error code of a bucket without the setting.

    `to_s3` makes the parameters of `put` from the inputs, `from_s3` the inputs from the answer of `get`, None where
    the answer says that there is nothing; by default both go by the fields. `take_parameters` are for settings that
    are taken away by putting something else.
    """

    token: str
    settings: tuple[Field, ...]
    put: str
    get: str
    take: str
    absent: str = ""
    to_s3: Callable[[Record], dict[str, Any]] | None = None
    from_s3: Callable[[Record], dict[str, Any] | None] | None = None
    take_parameters: Record | None = None

    service = "s3"
    names = ("bucket",)

    @property
    def fields(self) -> tuple[Field, ...]:  # type: ignore[override]
        """The bucket, the settings, the region."""
        return (BUCKET, *self.settings, REGION)

    def create(self, aws: Aws, inputs: Record) -> Made:
        """Put the setting."""
        self._put(aws, inputs["bucket"], inputs)
        return Made(inputs["bucket"])

    def read(self, aws: Aws, resource_id: str, known: Record) -> Live | None:
        """Get the setting; a bucket that is gone has none."""
        answer = aws.api("s3").find(self.get, {self.absent, "NoSuchBucket"}, Bucket=resource_id)
        found = None if answer is None else (self.from_s3 or _get_shape(self.settings))(answer)
        return None if found is None else Live({"bucket": resource_id, **found})

    def update(self, aws: Aws, change: Change) -> Record:
        """Put the setting again, whole."""
        self._put(aws, change.id, change.new)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Record) -> None:
        """Take it away, unless `skipDestroy` keeps it."""
        if not inputs.get("skipDestroy"):
            aws.api("s3").find(
                self.take, {self.absent, "NoSuchBucket"}, Bucket=resource_id, **(self.take_parameters or {})
            )

    def _put(self, aws: Aws, bucket: str, inputs: Record) -> None:
        aws.api("s3").call(self.put, Bucket=bucket, **(self.to_s3 or _put_shape(self.settings))(inputs))


def _within(key: str, fields: tuple[Field, ...]) -> dict[str, Any]:
    """Shapes for a setting whose fields S3 keeps in one object called `key`."""
    return {
        "to_s3": lambda inputs: {key: to_aws(fields, inputs)},
        "from_s3": lambda answer: from_aws(fields, answer[key]) if answer.get(key) else None,
    }


# ------------------------------------------------------------------------------------------------ encryption

_ENCRYPTION_RULE: Final = (
    Field(
        "applyServerSideEncryptionByDefault",
        (
            Field("sseAlgorithm", required=True, aws="SSEAlgorithm", choices=("AES256", "aws:kms", "aws:kms:dsse")),
            Field("kmsMasterKeyId", aws="KMSMasterKeyID"),
        ),
    ),
    Field("bucketKeyEnabled", bool, default=False),
)
_ENCRYPTION: Final = (Field("rules", _ENCRYPTION_RULE, many=True, required=True),)

# ------------------------------------------------------------------------------------------------ public access

_PUBLIC_ACCESS: Final = (
    Field("blockPublicAcls", bool, default=False),
    Field("blockPublicPolicy", bool, default=False),
    Field("ignorePublicAcls", bool, default=False),
    Field("restrictPublicBuckets", bool, default=False),
    Field("skipDestroy", bool, default=False, apart=True),
)

# ------------------------------------------------------------------------------------------------ lifecycle

_STORAGE_CLASS: Final = Field(
    "storageClass",
    required=True,
    choices=("GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR"),
)
_SIZES: Final = (Field("objectSizeGreaterThan", int, forgotten=True), Field("objectSizeLessThan", int, forgotten=True))
_FILTER: Final = (
    Field("prefix"),
    Field("tag", (Field("key", required=True), Field("value", required=True))),
    Field("and", (Field("prefix"), Field("tags", dict, pairs=("Key", "Value")), *_SIZES)),
    *_SIZES,
)
_RULE: Final = (
    Field("id", required=True, aws="ID"),
    Field("status", required=True, choices=("Enabled", "Disabled")),
    Field("filter", _FILTER, computed=True),  # without one S3 has that of an empty prefix
    Field("prefix"),
    Field("abortIncompleteMultipartUpload", (Field("daysAfterInitiation", int),)),
    Field("expiration", (Field("date"), Field("days", int), Field("expiredObjectDeleteMarker", bool, default=False))),
    Field("transitions", (Field("date"), Field("days", int), _STORAGE_CLASS), many=True, unordered=True),
    Field(
        "noncurrentVersionExpiration",
        (Field("noncurrentDays", int, required=True), Field("newerNoncurrentVersions", int, forgotten=True)),
    ),
    Field(
        "noncurrentVersionTransitions",
        (
            Field("noncurrentDays", int, required=True),
            Field("newerNoncurrentVersions", int, forgotten=True),
            _STORAGE_CLASS,
        ),
        many=True,
        unordered=True,
    ),
)
_LIFECYCLE: Final = (
    Field("rules", _RULE, many=True, required=True),
    Field(
        "transitionDefaultMinimumObjectSize",
        default="all_storage_classes_128K",
        choices=("all_storage_classes_128K", "varies_by_storage_class"),
        forgotten=True,
    ),
)


def _lifecycle_to_s3(inputs: Record) -> dict[str, Any]:
    sent = to_aws(_LIFECYCLE, inputs)
    for rule in sent["Rules"]:
        if "Prefix" not in rule:
            rule.setdefault("Filter", {"Prefix": ""})  # PutBucketLifecycleConfiguration wants one of the two
    return {
        "LifecycleConfiguration": {"Rules": sent["Rules"]},
        "TransitionDefaultMinimumObjectSize": sent.get("TransitionDefaultMinimumObjectSize"),
    }


# ------------------------------------------------------------------------------------------------ logging

_LOGGING: Final = (
    Field("targetBucket", required=True),
    Field("targetPrefix", required=True),
    Field(
        "targetObjectKeyFormat",
        (
            Field(
                "partitionedPrefix",
                (Field("partitionDateSource", required=True, choices=("EventTime", "DeliveryTime")),),
            ),
            Field("simplePrefix", ()),
        ),
    ),
)

# ------------------------------------------------------------------------------------------------ the rows

_VERSIONING: Final = (
    Field(
        "versioningConfiguration",
        (Field("status", required=True, choices=("Enabled", "Suspended")),),
        required=True,
    ),
)
_POLICY: Final = (Field("policy", required=True, document=True),)
_OWNERSHIP_RULE: Final = Field(
    "objectOwnership", required=True, choices=("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")
)

RESOURCES: Final = (
    BucketSetting(
        "aws:s3/bucketVersioning:BucketVersioning",
        _VERSIONING,
        put="put_bucket_versioning",
        get="get_bucket_versioning",
        take="put_bucket_versioning",  # a bucket that once had versions can only be suspended (API_PutBucketVersioning)
        take_parameters={"VersioningConfiguration": {"Status": "Suspended"}},
        from_s3=lambda answer: {
            "versioningConfiguration": {"status": answer["Status"]} if answer.get("Status") else None
        },
    ),
    BucketSetting(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        _ENCRYPTION,
        put="put_bucket_encryption",
        get="get_bucket_encryption",
        take="delete_bucket_encryption",
        absent="ServerSideEncryptionConfigurationNotFoundError",
        **_within("ServerSideEncryptionConfiguration", _ENCRYPTION),
    ),
    BucketSetting(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        _PUBLIC_ACCESS,
        put="put_public_access_block",
        get="get_public_access_block",
        take="delete_public_access_block",
        absent="NoSuchPublicAccessBlockConfiguration",
        **_within("PublicAccessBlockConfiguration", _PUBLIC_ACCESS),
    ),
    BucketSetting(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        _LIFECYCLE,
        put="put_bucket_lifecycle_configuration",
        get="get_bucket_lifecycle_configuration",
        take="delete_bucket_lifecycle",
        absent="NoSuchLifecycleConfiguration",
        to_s3=_lifecycle_to_s3,
        from_s3=lambda answer: from_aws(_LIFECYCLE, answer),
    ),
    BucketSetting(
        "aws:s3/bucketPolicy:BucketPolicy",
        _POLICY,
        put="put_bucket_policy",
        get="get_bucket_policy",
        take="delete_bucket_policy",
        absent="NoSuchBucketPolicy",
    ),
    BucketSetting(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        (Field("rule", (_OWNERSHIP_RULE,), required=True),),
        put="put_bucket_ownership_controls",
        get="get_bucket_ownership_controls",
        take="delete_bucket_ownership_controls",
        absent="OwnershipControlsNotFoundError",
        to_s3=lambda inputs: {"OwnershipControls": {"Rules": [to_aws((_OWNERSHIP_RULE,), inputs["rule"])]}},
        from_s3=lambda answer: {"rule": given(from_aws((_OWNERSHIP_RULE,), answer["OwnershipControls"]["Rules"][0]))},
    ),
    BucketSetting(
        "aws:s3/bucketLogging:BucketLogging",
        _LOGGING,
        put="put_bucket_logging",
        get="get_bucket_logging",
        take="put_bucket_logging",  # an empty status turns it off (API_PutBucketLogging)
        take_parameters={"BucketLoggingStatus": {}},
        to_s3=lambda inputs: {"BucketLoggingStatus": {"LoggingEnabled": to_aws(_LOGGING, inputs)}},
        from_s3=lambda answer: from_aws(_LOGGING, answer["LoggingEnabled"]) if answer.get("LoggingEnabled") else None,
    ),
)
