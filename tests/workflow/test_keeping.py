"""What a destroy leaves: stores, their settings, and what both need."""

from __future__ import annotations

from typing import Any

from mlinfra.workflow.keeping import kept_by_destroy


def item(name: str, token: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"urn": f"u::{name}", "type": token, "dependencies": [f"u::{other}" for other in needs], **more}


STATE = [
    item("stack", "pulumi:pulumi:Stack"),
    item("@aws", "pulumi:providers:aws", parent="u::stack"),
    item("data", "mlinfra:component:Bucket", parent="u::stack"),
    item("data/bucket", "aws:s3/bucket:Bucket", parent="u::data", provider="u::@aws::id"),
    item("data/policy", "aws:s3/bucketPolicy:BucketPolicy", "data/bucket", parent="u::data"),
    item("data/encryption", "aws:s3/bucketServerSideEncryptionConfiguration:B", "data/bucket", "key/key"),
    item("key/key", "aws:kms/key:Key", parent="u::key"),
    item("key/alias", "aws:kms/alias:Alias", "key/key"),
    item("key", "mlinfra:component:Key", parent="u::stack"),
    item("job/role", "aws:iam/role:Role"),
    item("job/access", "aws:iam/rolePolicy:RolePolicy", "job/role", "data/bucket"),
    item("job/setting", "aws:s3/bucketNotification:BucketNotification", "data/bucket"),
    item("db/instance", "aws:rds/instance:Instance", "db/group"),
    item("db/group", "aws:rds/subnetGroup:SubnetGroup", "net/subnet"),
    item("db/parameters", "aws:rds/parameterGroup:ParameterGroup"),
    item("net/subnet", "aws:ec2/subnet:Subnet", "net/vpc"),
    item("net/vpc", "aws:ec2/vpc:Vpc"),
    item("net/nat", "aws:ec2/natGateway:NatGateway", "net/subnet"),
]


def kept(*holding: str) -> set[str]:
    return {urn.removeprefix("u::") for urn in kept_by_destroy(STATE, {f"u::{name}" for name in holding})}


def test_a_store_keeps_its_settings_and_what_they_need() -> None:
    assert kept("data/bucket") == {
        "stack", "@aws", "data", "data/bucket", "data/policy", "data/encryption", "key/key", "key",
    }  # fmt: skip


def test_a_database_keeps_its_network_and_not_what_that_is_for() -> None:
    assert kept("db/instance") == {"db/instance", "db/group", "net/subnet", "net/vpc"}


def test_a_key_keeps_its_alias() -> None:
    assert kept("key/key") >= {"key/key", "key/alias"}


def test_nothing_is_kept_for_nothing() -> None:
    assert kept() == set()
    assert kept("not-there") == set()
