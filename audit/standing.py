"""Reasons for findings that no blueprint can answer: they are the account's, or AWS itself leaves no other way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LANDING = "a setting of the whole account, which is its landing zone's; a stack in it must not change it for others"

ACCOUNT: Final[Mapping[str, str]] = {
    "iam_password_policy_": f"{_LANDING}. mlinfra makes no users, so nobody has a password",
    "iam_check_saml_providers_sts": _LANDING,
    "iam_root_": _LANDING,
    "iam_no_root_access_key": _LANDING,
    "iam_avoid_root_usage": _LANDING,
    "iam_securityaudit_role_created": f"{_LANDING}: who may audit it, for one",
    "iam_support_role_created": f"{_LANDING}: who may ask AWS for support, for one",
    "ecr_registry_": f"{_LANDING}. Each repository of mlinfra scans on push by itself",
    "s3_account_level_public_access_blocks": f"{_LANDING}. Each bucket of mlinfra blocks public access by itself",
    "rds_instance_event_subscription_": f"{_LANDING}: one subscription is for all databases of the account",
    "rds_instance_critical_event_subscription": f"{_LANDING}: one subscription is for all databases of the account",
    "vpc_different_regions": "a question about all networks of the account; a stack is in one region",
}
"""Checks about the account, by the beginning of their names."""

_LOGS = "logs-bucket"
_REPLICA = "replica-bucket"

STANDING: Final[Mapping[tuple[str, str], str]] = {
    ("s3_bucket_no_mfa_delete", ""): (
        "the root user alone can turn MFA delete on, with the device at hand (S3 user guide, “Configuring MFA "
        "delete”). Versions are kept, and no update deletes a bucket unless the stack file gives it up by name"
    ),
    ("s3_bucket_kms_encryption", _LOGS): (
        "S3 delivers access logs to a bucket with SSE-S3 alone (S3 user guide, “Enabling Amazon S3 server access "
        "logging”)"
    ),
    ("s3_bucket_server_access_logging_enabled", _LOGS): (
        "a log of its own deliveries would never end (S3 user guide, “Enabling Amazon S3 server access logging”)"
    ),
    ("s3_bucket_event_notifications_enabled", _LOGS): "nothing is started by a log that was delivered",
    ("s3_bucket_object_lock", _LOGS): "S3 delivers no logs to a bucket with a default retention (same page)",
    ("s3_bucket_cross_region_replication", _LOGS): "logs tell of one bucket, and stay beside it",
    ("s3_bucket_cross_region_replication", _REPLICA): "it is the replica",
    ("s3_bucket_event_notifications_enabled", _REPLICA): "nothing is started twice for one object",
    ("s3_bucket_server_access_logging_enabled", _REPLICA): (
        "S3 alone writes to it, and no component is given leave to read it"
    ),
    ("iam_role_cross_service_confused_deputy_prevention", "replication-role"): (
        "the trust policy that S3 asks for has no condition (S3 user guide, “Setting up permissions for live "
        "replication”). The role can copy from the one bucket to the other, and nothing else"
    ),
}
"""Checks that a part of a component fails whatever a blueprint says: (check, name of the part within the component),
"" for any part. The reason names the AWS document that it comes from."""

MOTO: Final[Mapping[str, str]] = {
    "rds_instance_certificate_expiration": "moto lacks the call that tells of certificates (DescribeCertificates)",
    "rds_instance_deprecated_engine_version": (
        "moto keeps the major version as it was asked for; AWS takes its newest minor one, which is in its list"
    ),
}
"""Checks that fail because moto answers otherwise than AWS."""

FIXED: Final[Mapping[str, str]] = {
    "s3_bucket_secure_transport_policy": "`Bucket`: a policy that refuses what does not come over TLS",
    "s3_bucket_level_public_access_block": "`Bucket`: public access is blocked in every classification",
    "s3_bucket_acl_prohibited": "`Bucket`: the owner owns every object, ACLs are off",
    "s3_bucket_kms_encryption": "`Bucket`: a key of its own, or the one that it is given",
    "kms_cmk_rotation_enabled": "`Key`: rotates once a year",
    "ecr_repositories_scan_images_on_push_enabled": "`ImageRepository`: scans on push",
    "ecr_repositories_tag_immutability": "`ImageRepository`: tags are immutable",
    "ecr_repositories_lifecycle_policy_enabled": "`ImageRepository`: as many images as the tier keeps",
    "vpc_flow_logs_enabled": "`Network`: flow logs",
    "vpc_endpoint_for_ec2_enabled": 'the blueprint: `interface_endpoints=["ec2", …]`',
    "iam_role_cross_service_confused_deputy_prevention": "roles of workloads and of flow logs name the account",
    "rds_instance_storage_encrypted": "`Database`: encrypted, by a key of its own where it is given one",
    "rds_instance_no_public_access": "`Database`: in private subnets",
    "rds_instance_backup_enabled": "`Database`: backed up every day",
    "rds_instance_deletion_protection": "`Database`: on in prod",
    "rds_instance_transport_encrypted": "`Database`: TLS only",
    "rds_instance_iam_authentication_enabled": "`Database`: programs sign in with their roles",
}
"""What is the way it is so that these checks pass, and where."""


def account_reason(check: str) -> str:
    """Why a check is the account's affair; empty where it is not."""
    return next((reason for beginning, reason in ACCOUNT.items() if check.startswith(beginning)), "")


def standing_reason(check: str, part: str) -> str:
    """Why a part of a component fails a check whatever its blueprint says; empty where it could pass."""
    return STANDING.get((check, part)) or STANDING.get((check, ""), "")
