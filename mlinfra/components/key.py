"""`Key`: a KMS key that data is encrypted with at rest, and what using one takes."""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from mlinfra.authoring import Component, Many
from mlinfra.components.access import USED_BY_ACCOUNT, Grant, account_id, partition, policy
from mlinfra.components.tags import Tags
from mlinfra.components.targets import needs_aws
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value, join

Service: TypeAlias = Literal[
    "dynamodb", "ec2", "ecr", "elasticfilesystem", "fsx", "lambda", "rds", "s3", "secretsmanager", "sns", "sqs", "ssm"
]
"""Services that use keys for whoever calls them (KMS developer guide, "kms:ViaService")."""

RoleArn = Annotated[str, Field(max_length=600, pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")]

ADMINISTER: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Get*",
    "kms:List*",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What administers a key and uses it for nothing (KMS developer guide, "Default key policy", key administrators); not
`kms:CreateGrant`, by which one could give oneself its use."""

USE: Final = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
"""What uses a key for data (KMS developer guide, "Default key policy", key users)."""


class Key(Component):
    """A symmetric KMS key, for the data of one component or of several.

    It is changed by KMS every `rotation_days`; what was encrypted before stays readable. Nobody gets its use from the
    key alone: a component that reads or writes what is encrypted with it gets the permission that this takes. Losing
    a key loses all data that is encrypted with it: deletion waits `deletion_days`, in which it can be taken back.

    `data = Bucket("data", key=Key("keys"))` encrypts a bucket's objects with it.
    """

    holds_data: ClassVar[bool] = True

    description: str = Field(default="", max_length=500, pattern=r"^[^\x00-\x1f]*$")
    """What it is for, as the AWS console shows it; by default blueprint, environment and name."""

    users: Literal["account", "references"] = "account"
    """Who can be given its use. `account`: every principal of the account, by IAM policies. `references`: roles of this
    blueprint's components that read or write what is encrypted with it, and no one else, administrators of the account
    included; a database or a volume, for which AWS makes grants of its own, cannot have such a key."""

    readers: Many[RoleArn] = ()
    """Further roles that may decrypt with it, where `users` is `references`: ARNs of roles that other stacks made, such
    as `arn:aws:iam::111122223333:role/audit`. They also need an IAM policy that allows it."""

    via: Many[Service] = ()
    """The AWS services through which alone it may be used, such as `["s3"]`; by default any, and direct calls too."""

    rotation_days: int = Field(default=365, ge=90, le=2560)
    """Days after which KMS makes new key material, 90 to 2,560 (KMS API reference, `EnableKeyRotation`)."""

    deletion_days: int | None = Field(default=None, ge=7, le=30)
    """Days between the order to delete it and its deletion, 7 to 30 (KMS API reference, `ScheduleKeyDeletion`); by
    default as the tier says."""

    tags: Tags = Field(default_factory=dict)
    """Further tags."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def arn(self) -> Ref:
        """The key's ARN."""
        return self.output("key", "arn")

    @property
    def key_id(self) -> Ref:
        """The key's id."""
        return self.output("key", "keyId")

    @property
    def alias(self) -> Ref:
        """The key's name: `alias/…`."""
        return self.output("alias", "name")

    def decrypt_grants(self, service: Service | None = None) -> tuple[Grant, ...]:
        """What reading data that is encrypted with it takes, through `service` where one is named."""
        return (decrypting(self.arn, service),)

    def encrypt_grants(self, service: Service | None = None) -> tuple[Grant, ...]:
        """What writing data that is encrypted with it takes, through `service` where one is named."""
        return (encrypting(self.arn, service),)

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The key, and its name."""
        if not needs_aws(scope):
            return
        if self.readers and self.users == "account":
            scope.problem(
                f"key {self.name!r} names readers, but every principal of the account can be given its use already",
                remedy='Write `users="references"`, or leave `readers` out.',
                code="key-readers",
            )
        add_key(
            scope,
            description=self.description,
            users=self.users,
            readers=self.readers,
            via=self.via,
            rotation_days=self.rotation_days,
            deletion_days=self.deletion_days,
            tags=self.tags,
        )


def decrypting(key: Value, service: Service | None = None) -> Grant:
    """Decrypt what is encrypted with a key, given by its ARN.

    Sources: S3 user guide, "Using server-side encryption with AWS KMS keys", permissions; SQS developer guide, "Key
    management", consumer permissions.
    """
    return Grant(("kms:Decrypt",), (key,), _only_via((service,) if service else ()))


def encrypting(key: Value, service: Service | None = None) -> Grant:
    """Encrypt with a key, given by its ARN.

    Services ask KMS for a data key, and decrypt it again for uploads in several parts and to verify it. Sources: as
    `decrypting`, and S3 user guide, "Multipart upload API and permissions".
    """
    return Grant(("kms:Decrypt", "kms:GenerateDataKey"), (key,), _only_via((service,) if service else ()))


def add_key(
    scope: Scope,
    *part: str,
    description: str = "",
    users: Literal["account", "references"] = "account",
    readers: Iterable[str] = (),
    via: Iterable[Service] = (),
    rotation_days: int = 365,
    deletion_days: int | None = None,
    tags: Mapping[str, str] | None = None,
    region: str = "",
) -> Ref:
    """Add a key and its alias to a component, as `part/key` and `part/alias`; returns a reference to the key's ARN.

    `region` is where it lives, if that is not the stack's.
    """
    tier = scope.environment.tier
    place = {"region": region} if region else {}
    local = "-".join((*part, "key"))
    name = scope.label_name(*part)
    key = scope.aws(
        local,
        "aws:kms/key:Key",
        {
            "description": description or f"Data of {name}",
            "enableKeyRotation": True,
            "rotationPeriodInDays": rotation_days,
            "deletionWindowInDays": deletion_days or tier.defaults.key_deletion_days,
            "policy": _policy(scope, users, readers, tuple(via)),
            "tags": {**(tags or {}), **scope.tags},
            **place,
        },
        protect=scope.protected or tier.protected,
    )
    scope.aws(
        "-".join((*part, "alias")),
        "aws:kms/alias:Alias",
        {"name": f"alias/{name}", "targetKeyId": Ref(key.node, ("keyId",)), **place},
    )
    return Ref(key.node, ("arn",))


def _policy(scope: Scope, users: str, readers: Iterable[str], via: tuple[Service, ...]) -> Document:
    """Who administers the key, and who may be given its use.

    The account's root principal stands for all whom IAM policies of the account allow (KMS developer guide, "Default
    key policy"), so no statement names a principal that has to be there first, and none can shut everybody out.
    """
    account = account_id(scope)
    statements = [_statement(scope, account, "AdministeredByTheAccount", ADMINISTER, {})]
    if users == "account":
        made_by_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
        statements += [
            _statement(scope, account, USED_BY_ACCOUNT, USE, _only_via(via)),
            _statement(scope, account, "GrantsByServices", ("kms:CreateGrant",), {**made_by_aws, **_only_via(via)}),
        ]
    for reader in readers:
        condition = {"ArnEquals": {"aws:PrincipalArn": reader}, **_only_via(via)}
        statements.append(_statement(scope, reader.split(":")[4], "", ("kms:Decrypt",), condition))
    return policy(statements)


def _statement(
    scope: Scope, account: Value, sid: str, actions: tuple[str, ...], condition: Mapping[str, Value]
) -> dict[str, Value]:
    return {
        **({"Sid": sid} if sid else {}),
        "Effect": "Allow",
        "Principal": {"AWS": join(f"arn:{partition(scope)}:iam::", account, ":root")},
        "Action": list(actions),
        "Resource": "*",
        **({"Condition": dict(condition)} if condition else {}),
    }


def _only_via(services: Iterable[Service]) -> dict[str, Value]:
    """The condition of a call through one of these services; a key is of one region, so the region may be any."""
    named = [f"{service}.*.amazonaws.com" for service in services]
    return {"StringLike": {"kms:ViaService": named}} if named else {}
