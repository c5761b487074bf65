"""A bucket's copy in another region: the bucket there, and the role by which S3 copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mlinfra.components.access import Grant, admit, policy
from mlinfra.components.bucket_options import Replica
from mlinfra.components.bucket_store import Store, Stored, add_store
from mlinfra.components.key import add_key, decrypting
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

PART: Final = "replica"


@dataclass(frozen=True, slots=True)
class Source:
    """The bucket that is copied: what was added for it, what it was given, and who may use its keys."""

    stored: Stored
    store: Store
    users: Literal["account", "references"]
    readers: tuple[str, ...] = ()


def add_replica(scope: Scope, source: Source, replica: Replica) -> None:
    """Add the bucket in the other region, like the first in all that S3 does not copy, and the replication.

    Its resources are of the stack's own provider, with `region` set: an instance for the region would start the
    official plugin a second time.
    """
    key = None
    if source.store.key is not None:
        key = add_key(
            scope,
            PART,
            users=source.users,
            readers=source.readers,
            via=("s3",),
            region=replica.region,
            tags=source.store.tags,
        )
    copy = add_store(
        scope,
        Store(
            tags=source.store.tags,
            lifecycle=source.store.lifecycle,
            part=PART,
            region=replica.region,
            key=key,
            locked=source.store.locked,
        ),
    )
    role, allowed = _role(scope, source, copy, key)
    destination: dict[str, Value] = {"bucket": copy.arn, "storageClass": replica.storage_class}
    rule: dict[str, Value] = {
        "id": "everything",
        "status": "Enabled",
        "priority": 0,
        "filter": {"prefix": ""},
        "deleteMarkerReplication": {"status": "Enabled"},
        "destination": destination,
    }
    if key is not None:  # what is encrypted by KMS is left out otherwise
        destination["encryptionConfiguration"] = {"replicaKmsKeyId": key}
        rule["sourceSelectionCriteria"] = {"sseKmsEncryptedObjects": {"status": "Enabled"}}
    scope.aws(
        "replication",
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        {"bucket": source.stored.bucket, "role": Ref(role.node, ("arn",)), "rules": [rule]},
        depends_on=(*source.stored.versioned, *copy.versioned, allowed.node),
    )


def _role(scope: Scope, source: Source, copy: Stored, key: Ref | None) -> tuple[Ref, Ref]:
    """The role by which S3 copies, with exactly what that takes.

    Sources: S3 user guide, "Setting up permissions for live replication", which names no condition for the trust
    policy, and "Replicating encrypted objects", bucket keys among them.
    """
    trust = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = scope.aws(
        "replication-role",
        "aws:iam/role:Role",
        {
            "name": scope.label_name("replication", limit=64),
            "description": f"S3 copies bucket {scope.component.name}, stack {scope.environment.name}",
            "assumeRolePolicy": policy([trust]),
            "tags": scope.tags,
        },
    )
    grants = _grants(source, copy, key)
    admit(scope, grants, role)
    statements = [grant.statement() for grant in grants]
    inputs = {"role": role, "name": "replication", "policy": policy(statements)}
    return role, scope.aws("replication-policy", "aws:iam/rolePolicy:RolePolicy", inputs)


def _grants(source: Source, copy: Stored, key: Ref | None) -> list[Grant]:
    read = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
    if source.store.locked:  # S3 user guide, "Object Lock considerations", replication
        read += ["s3:GetObjectRetention", "s3:GetObjectLegalHold"]
    grants = [
        Grant(("s3:GetReplicationConfiguration", "s3:ListBucket"), (source.stored.arn,)),
        Grant(tuple(read), (join(source.stored.arn, "/*"),)),
        Grant(("s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"), (join(copy.arn, "/*"),)),
    ]
    if key is not None and source.store.key is not None:
        into = decrypting(key, "s3")
        grants += [decrypting(source.store.key, "s3"), Grant(("kms:Decrypt", "kms:Encrypt"), (key,), into.condition)]
    return grants
