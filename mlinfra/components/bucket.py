"""`Bucket`: an S3 bucket that is private, encrypted, versioned and reached over TLS only."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlinfra.components.access import DataStore, Grant, policy
from mlinfra.components.targets import needs_aws
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

TagValue = Annotated[str, Field(max_length=256, pattern=r"^[\w\s.:/=+@-]*$")]
TagKey = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\w\s.:/=+@-]+$")]

ABORT_UPLOAD_DAYS = 7
MOST_TAGS = 40
"""S3 takes 50 tags on a bucket (S3 user guide, "Using cost allocation S3 bucket tags"); the rest are for our own."""


class Bucket(DataStore):
    """An S3 bucket.

    Public access is blocked whatever the classification says; ACLs are off; objects are encrypted with S3's own keys;
    uploads that were never finished go after 7 days. A bucket is protected from deletion in the prod tier, and where
    the stack protects it.
    """

    holds_data: ClassVar[bool] = True

    classification: Literal["public", "internal", "confidential", "pii"] = "internal"
    """How sensitive the data is; a tag, which policies and reviewers go by."""

    versioning: bool = True
    """Whether S3 keeps what is overwritten or deleted."""

    old_version_days: int | None = Field(default=None, ge=1, le=36500)
    """Days that overwritten and deleted objects are kept; by default as the tier says."""

    expire_days: int | None = Field(default=None, ge=1, le=36500)
    """Days after which objects go; by default they stay."""

    infrequent_days: int | None = Field(default=None, ge=30, le=36500)
    """Days after which objects move to the cheaper class STANDARD_IA, 30 at the least (S3 user guide, "Transitioning
    objects"); by default they do not."""

    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=MOST_TAGS)
    """Further tags."""

    @field_validator("tags")
    @classmethod
    def _not_reserved(cls, tags: dict[str, str]) -> dict[str, str]:
        reserved = sorted(key for key in tags if key.lower().startswith(("aws:", "mlinfra:")))
        if reserved:
            raise ValueError(f"{', '.join(reserved)}: the prefixes `aws:` and `mlinfra:` are reserved")
        return tags

    @model_validator(mode="after")
    def _moved_before_gone(self) -> Self:
        if self.expire_days and self.infrequent_days and self.infrequent_days >= self.expire_days:
            raise ValueError(
                f"objects would move to STANDARD_IA after {self.infrequent_days} days, "
                f"but are gone after {self.expire_days}"
            )
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def arn(self) -> Ref:
        """The bucket's ARN."""
        return self.output("bucket", "arn")

    @property
    def bucket_name(self) -> Ref:
        """The bucket's physical name."""
        return self.output("bucket")

    @property
    def uri(self) -> Value:
        """`s3://` and the bucket's name."""
        return join("s3://", self.bucket_name)

    # ------------------------------------------------------------------------------------ access

    def read_grants(self) -> tuple[Grant, ...]:
        """Get objects, list the bucket (Service Authorization Reference, "Actions … for Amazon S3")."""
        return (Grant(("s3:GetObject",), (join(self.arn, "/*"),)), Grant(("s3:ListBucket",), (self.arn,)))

    def write_grants(self) -> tuple[Grant, ...]:
        """Put objects, in one piece or in several (S3 user guide, "Multipart upload API and permissions")."""
        actions = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
        return (Grant(actions, (join(self.arn, "/*"),)), Grant(("s3:ListBucketMultipartUploads",), (self.arn,)))

    def variables(self) -> dict[str, Value]:
        """`DATA_URI` for a bucket `data`."""
        return {f"{self.identity.replace('-', '_').upper()}_URI": self.uri}

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The bucket, and one resource for each of its settings, as the AWS provider has them since version 4."""
        if not needs_aws(scope):
            return
        tier = scope.environment.tier
        bucket = scope.aws(
            "bucket",
            "aws:s3/bucket:Bucket",
            {
                "bucket": scope.global_name(),
                "forceDestroy": tier.defaults.empty_on_delete,
                "tags": {**self.tags, **scope.tags, "mlinfra:classification": self.classification},
            },
            protect=scope.protected or tier.protected,
        )
        self._privacy(scope, bucket)
        after: tuple[str, ...] = ()
        if self.versioning:
            version = {"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}
            after = (scope.aws("versioning", "aws:s3/bucketVersioning:BucketVersioning", version).node,)
        scope.aws(
            "lifecycle",
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            {"bucket": bucket, "rules": self._rules(self.old_version_days or tier.defaults.old_version_days)},
            depends_on=after,  # rules about old versions want versioning first, says the provider's documentation
        )

    def _privacy(self, scope: Scope, bucket: Ref) -> None:
        scope.aws(
            "encryption",
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            {"bucket": bucket, "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        )
        blocked = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        block = scope.aws(
            "public-access-block",
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            {"bucket": bucket, **dict.fromkeys(blocked, True)},
        )
        scope.aws(
            "ownership",
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            {"bucket": bucket, "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        )
        scope.aws(
            "policy",
            "aws:s3/bucketPolicy:BucketPolicy",
            {"bucket": bucket, "policy": policy([self._tls_only()])},
            depends_on=(block.node,),  # S3 answers OperationAborted when both are set at once
        )

    def _tls_only(self) -> dict[str, Value]:
        """Source: S3 user guide, "Security best practices for Amazon S3": enforce encryption of data in transit."""
        return {
            "Sid": "OnlyOverTLS",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [self.arn, join(self.arn, "/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }

    def _rules(self, old_version_days: int) -> list[Value]:
        """Lifecycle rules. An empty prefix means every object."""
        everything = {"status": "Enabled", "filter": {"prefix": ""}}
        rules: list[Value] = [
            {
                "id": "tidy",
                **everything,
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": ABORT_UPLOAD_DAYS},
                "noncurrentVersionExpiration": {"noncurrentDays": old_version_days},
            }
        ]
        if self.infrequent_days:
            transition = {"days": self.infrequent_days, "storageClass": "STANDARD_IA"}
            rules.append({"id": "infrequent", **everything, "transitions": [transition]})
        if self.expire_days:
            rules.append({"id": "expire", **everything, "expiration": {"days": self.expire_days}})
        return rules
