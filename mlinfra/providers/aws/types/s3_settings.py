"""The settings of a bucket that are resource types of their own: one row each.

What is longer has a module of its own: `s3_lifecycle`, `s3_notifications`, `s3_replication`. All are alike: the bucket
is the id, one call puts the whole setting, one reads it, one takes it away. AWS has each of them on every bucket, so
putting one overwrites what was there, as with the official provider.
"""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, given, to_aws

BUCKET: Final = Field(
    "bucket", required=True, replaces="https://docs.aws.amazon.com/AmazonS3/latest/API: a setting belongs to one bucket"
)

Record = Mapping[str, Any]
Refusals = Iterator[tuple[Path, str]]


def _put_shape(fields: tuple[Field, ...]) -> Callable[[Record], dict[str, Any]]:
    return lambda inputs: to_aws(fields, inputs)


def _get_shape(fields: tuple[Field, ...]) -> Callable[[Record], dict[str, Any]]:
    return lambda answer: from_aws(fields, answer)


@dataclass(frozen=True)
class BucketSetting(Resource):
    """A row: `put`, `get` and `take` are S3's operations, `absent` the error code of a bucket without the setting.

    `to_s3` makes the parameters of `put` from the inputs, `from_s3` the inputs from the answer of `get`, None where
    the answer says that there is nothing; by default both go by the fields. `take_parameters` are for settings that
    are taken away by putting something else. `refuses` is `refusals` of the row.
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
    refuses: Callable[[Record], Refusals] | None = None

    service = "s3"
    names = ("bucket",)

    @property
    def fields(self) -> tuple[Field, ...]:  # type: ignore[override]
        """The bucket, the settings, the region."""
        return (BUCKET, *self.settings, REGION)

    def refusals(self, inputs: Record) -> Refusals:
        """What the row says."""
        return self.refuses(inputs) if self.refuses else iter(())

    def create(self, aws: Aws, inputs: Record) -> Made:
        """Put the setting."""
        self.put_setting(aws, inputs["bucket"], inputs)
        return Made(inputs["bucket"])

    def read(self, aws: Aws, resource_id: str, known: Record) -> Live | None:
        """Get the setting; a bucket that is gone has none."""
        answer = aws.api("s3").find(self.get, {self.absent, "NoSuchBucket"}, Bucket=resource_id)
        found = None if answer is None else (self.from_s3 or _get_shape(self.settings))(answer)
        return None if found is None else Live({"bucket": resource_id, **found})

    def update(self, aws: Aws, change: Change) -> Record:
        """Put the setting again, whole."""
        self.put_setting(aws, change.id, change.new)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Record) -> None:
        """Take it away, unless `skipDestroy` keeps it."""
        if not inputs.get("skipDestroy"):
            aws.api("s3").find(
                self.take, {self.absent, "NoSuchBucket"}, Bucket=resource_id, **(self.take_parameters or {})
            )

    def put_setting(self, aws: Aws, bucket: str, inputs: Record) -> None:
        """One call."""
        aws.api("s3").call(self.put, Bucket=bucket, **(self.to_s3 or _put_shape(self.settings))(inputs))


def several(record: Any, names: tuple[str, ...]) -> list[str]:
    """Which of these parts `record` has; empty where it is not known, and without what is not known."""
    if not isinstance(record, Mapping):
        return []
    return [name for name in names if record.get(name) is not None and record[name] is not UNKNOWN]


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
    Field("blockedEncryptionTypes", many=True, unordered=True, forgotten=True, choices=("NONE", "SSE-C")),
)
_ENCRYPTION: Final = (Field("rules", _ENCRYPTION_RULE, many=True, required=True),)


def _encryption_to_s3(inputs: Record) -> dict[str, Any]:
    sent = to_aws(_ENCRYPTION, inputs)
    for rule in sent["Rules"]:
        if "BlockedEncryptionTypes" in rule:
            rule["BlockedEncryptionTypes"] = {"EncryptionType": rule["BlockedEncryptionTypes"]}
    return {"ServerSideEncryptionConfiguration": sent}


def _encryption_from_s3(answer: Record) -> dict[str, Any]:
    rules = [
        {**rule, "BlockedEncryptionTypes": (rule.get("BlockedEncryptionTypes") or {}).get("EncryptionType")}
        for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]
    ]
    return from_aws(_ENCRYPTION, {"Rules": rules})


def _encryption_refusals(inputs: Record) -> Refusals:
    """Sources: API_ServerSideEncryptionByDefault; user guide, "Using DSSE-KMS": no bucket keys with it."""
    rules = inputs["rules"]
    if not isinstance(rules, list):
        return
    if len(rules) != 1:
        yield ("rules",), "must be one: a bucket has one default encryption"
    for index, rule in enumerate(rules):
        default = rule.get("applyServerSideEncryptionByDefault") if isinstance(rule, Mapping) else None
        algorithm = default.get("sseAlgorithm") if isinstance(default, Mapping) else None
        if algorithm == "AES256" and several(default, ("kmsMasterKeyId",)):
            path = ("rules", index, "applyServerSideEncryptionByDefault", "kmsMasterKeyId")
            yield path, "needs an sseAlgorithm of aws:kms or aws:kms:dsse"
        if algorithm == "aws:kms:dsse" and rule.get("bucketKeyEnabled") is True:
            yield ("rules", index, "bucketKeyEnabled"), "cannot be had with aws:kms:dsse"


# ------------------------------------------------------------------------------------------------ public access

_PUBLIC_ACCESS: Final = (
    Field("blockPublicAcls", bool, default=False),
    Field("blockPublicPolicy", bool, default=False),
    Field("ignorePublicAcls", bool, default=False),
    Field("restrictPublicBuckets", bool, default=False),
    Field("skipDestroy", bool, default=False, apart=True),
)

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
        forgotten=True,
    ),
    Field(
        "targetGrants",
        (
            Field(
                "grantee",
                (
                    Field("type", required=True, choices=("CanonicalUser", "AmazonCustomerByEmail", "Group")),
                    Field("id", aws="ID", default=""),
                    Field("emailAddress", default=""),
                    Field("uri", aws="URI", default=""),
                ),
                required=True,
            ),
            Field("permission", required=True, choices=("FULL_CONTROL", "READ", "WRITE")),
        ),
        many=True,
        unordered=True,
    ),
)
_GRANTEES: Final = {"CanonicalUser": "id", "AmazonCustomerByEmail": "emailAddress", "Group": "uri"}


def _logging_refusals(inputs: Record) -> Refusals:
    """Sources: API_TargetObjectKeyFormat, API_Grantee."""
    if len(several(inputs.get("targetObjectKeyFormat"), ("partitionedPrefix", "simplePrefix"))) > 1:
        yield ("targetObjectKeyFormat",), "must be one of partitionedPrefix and simplePrefix"
    grants = inputs.get("targetGrants")
    for index, grant in enumerate(grants if isinstance(grants, list) else ()):
        grantee = grant.get("grantee") if isinstance(grant, Mapping) else None
        if (
            isinstance(grantee, Mapping)
            and grantee["type"] in _GRANTEES
            and grantee.get(_GRANTEES[grantee["type"]]) in (None, "")
        ):
            yield ("targetGrants", index, "grantee"), f"needs {_GRANTEES[grantee['type']]} for its type"


# ------------------------------------------------------------------------------------------------ CORS

_WILDCARD: Final = (r"[^*]*\*?[^*]*", "a text with one * at most")
_CORS: Final = (
    Field(
        "corsRules",
        (
            Field("id", aws="ID", pattern=(r".{1,255}", "1 to 255 characters")),
            Field("allowedMethods", many=True, required=True, unordered=True, choices=(
                "GET", "PUT", "HEAD", "POST", "DELETE",
            )),
            Field("allowedOrigins", many=True, required=True, unordered=True, pattern=_WILDCARD),
            Field("allowedHeaders", many=True, unordered=True, pattern=_WILDCARD),
            Field("exposeHeaders", many=True, unordered=True),
            Field("maxAgeSeconds", int),
        ),
        many=True,
        required=True,
        aws="CORSRules",
    ),
)  # fmt: skip
"""The order of the rules counts: S3 takes the first that fits (user guide, "Using cross-origin resource sharing")."""


def _cors_refusals(inputs: Record) -> Refusals:
    """Source: API_PutBucketCors: up to 100 rules."""
    if isinstance(inputs["corsRules"], list) and not 1 <= len(inputs["corsRules"]) <= 100:
        yield ("corsRules",), "must be 1 to 100 rules"


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
        to_s3=_encryption_to_s3,
        from_s3=_encryption_from_s3,
        refuses=_encryption_refusals,
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
        refuses=_logging_refusals,
    ),
    BucketSetting(
        "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
        _CORS,
        put="put_bucket_cors",
        get="get_bucket_cors",
        take="delete_bucket_cors",
        absent="NoSuchCORSConfiguration",
        to_s3=lambda inputs: {"CORSConfiguration": to_aws(_CORS, inputs)},
        refuses=_cors_refusals,
    ),
)
