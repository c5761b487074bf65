"""Database instances, against moto."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.graph import Secret
from mlinfra.providers.aws.types import rds_instance
from tests.providers.aws.types.test_rds import a_vpc
from tests.providers.aws.types.unknowns import judged

INSTANCE = "aws:rds/instance:Instance"
BASE = {
    "identifier": "ml-features",
    "engine": "postgres",
    "engineVersion": "17.6",
    "instanceClass": "db.t4g.medium",
    "allocatedStorage": 20,
    "storageType": "gp3",
    "storageEncrypted": True,
    "username": "master",
    "manageMasterUserPassword": True,
    "skipFinalSnapshot": True,
    "applyImmediately": True,
}


def world_of(world: Any) -> dict[str, Any]:
    words = a_vpc(world)
    rds, ec2 = world.boto("rds"), world.boto("ec2")
    for name in ("first", "second"):
        rds.create_db_subnet_group(
            DBSubnetGroupName=name, DBSubnetGroupDescription=name, SubnetIds=words["subnets"][:2]
        )
        rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily="postgres17", Description=name)
    groups = [
        ec2.create_security_group(GroupName=name, Description=name, VpcId=words["vpc"])["GroupId"] for name in "ab"
    ]
    return {**words, "groups": groups}


def instance(world: Any, identifier: str) -> Any:
    try:
        live = world.boto("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "DBInstanceNotFound":
            raise
        return None
    return {
        "engine": (live["Engine"], live["EngineVersion"], live["DBInstanceClass"]),
        "storage": (live["AllocatedStorage"], live.get("MaxAllocatedStorage"), live["StorageEncrypted"]),
        "place": (
            live.get("DBSubnetGroup", {}).get("DBSubnetGroupName"),
            sorted(group["VpcSecurityGroupId"] for group in live["VpcSecurityGroups"]),
            live["PubliclyAccessible"],
            live["MultiAZ"],
        ),
        "backups": (live["BackupRetentionPeriod"], live["PreferredBackupWindow"], live["CopyTagsToSnapshot"]),
        "safety": (live["DeletionProtection"], live["IAMDatabaseAuthenticationEnabled"], "MasterUserSecret" in live),
        "parameters": live["DBParameterGroups"][0]["DBParameterGroupName"],
        "logs": sorted(live.get("EnabledCloudwatchLogsExports") or ()),
        "tags": {tag["Key"]: tag["Value"] for tag in live["TagList"]},
    }


def test_instance(lifecycle: Any) -> None:
    lifecycle(
        INSTANCE,
        prepare=world_of,
        inputs=lambda words: {
            **BASE,
            "maxAllocatedStorage": 100,
            "dbName": "features",
            "dbSubnetGroupName": "first",
            "vpcSecurityGroupIds": words["groups"][:1],
            "parameterGroupName": "first",
            "backupRetentionPeriod": 7,
            "backupWindow": "02:00-03:00",
            "copyTagsToSnapshot": True,
            "iamDatabaseAuthenticationEnabled": True,
            "enabledCloudwatchLogsExports": ["postgresql"],
            "tags": {"team": "ml"},
        },
        look=instance,
        made=lambda words: {
            "engine": ("postgres", "17.6", "db.t4g.medium"),
            "storage": (20, 100, True),
            "place": ("first", words["groups"][:1], False, False),
            "backups": (7, "02:00-03:00", True),
            "safety": (False, True, True),
            "parameters": "first",
            "logs": ["postgresql"],
            "tags": {"team": "ml"},
        },
        outputs=lambda words: {
            "arn": f"arn:aws:rds:us-east-1:{words['account']}:db:ml-features",
            "engineVersionActual": "17.6",
            "status": "available",
        },
        change=lambda words: {
            "engineVersion": "17.7",
            "instanceClass": "db.m7g.large",
            "allocatedStorage": 40,
            "maxAllocatedStorage": 200,
            "dbSubnetGroupName": "second",
            "vpcSecurityGroupIds": words["groups"],
            "parameterGroupName": "second",
            "multiAz": True,
            "backupRetentionPeriod": 30,
            "backupWindow": "04:00-05:00",
            "copyTagsToSnapshot": None,
            "iamDatabaseAuthenticationEnabled": None,
            "enabledCloudwatchLogsExports": ["upgrade"],
            "tags": {"tier": "prod"},
        },
        changed=lambda words: {
            "engine": ("postgres", "17.7", "db.m7g.large"),
            "storage": (40, 200, True),
            "place": ("second", sorted(words["groups"]), False, True),
            "backups": (30, "04:00-05:00", False),
            "safety": (False, False, True),
            "parameters": "second",
            "logs": ["upgrade"],
            "tags": {"tier": "prod"},
        },
        replaces=lambda words: [
            {"identifier": "other"},
            {"engine": "mariadb"},
            {"storageEncrypted": None},
            {"kmsKeyId": f"arn:aws:kms:us-east-1:{words['account']}:key/1"},
            {"dbName": "other"},
            {"username": "other"},
            {"availabilityZone": "us-east-1b"},
            {"masterUserSecretKmsKeyId": f"arn:aws:kms:us-east-1:{words['account']}:key/2"},
        ],
        drift=lambda world, identifier: world.boto("rds").modify_db_instance(
            DBInstanceIdentifier=identifier, BackupRetentionPeriod=1, PubliclyAccessible=True, ApplyImmediately=True
        ),
        drifted={"backupRetentionPeriod": 1, "publiclyAccessible": True},
    )


def small(world: Any, **more: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    inputs = world.engine.checked(INSTANCE, {**BASE, **more})
    resource_id, state = world.engine.create(INSTANCE, inputs)
    return resource_id, inputs, state


def test_rds_keeps_the_master_password(world: Any) -> None:
    _, _, state = small(world)
    (secret,) = state["masterUserSecrets"]
    assert secret["secretStatus"] == "active"
    assert world.boto("secretsmanager").describe_secret(SecretId=secret["secretArn"])["OwningService"] == "rds"


def test_a_password_of_ones_own_stays_secret_and_can_be_changed(world: Any) -> None:
    given = {"password": "correct horse battery", "manageMasterUserPassword": None}
    resource_id, inputs, state = small(world, **given)
    assert inputs["password"] == Secret("correct horse battery")
    assert state["masterUserSecrets"] == []
    other = {**inputs, "password": Secret("staple staple staple")}
    assert list(world.engine.diff(INSTANCE, inputs, other, state).diffs) == ["password"]
    state = world.engine.update(INSTANCE, resource_id, inputs, other, state)
    assert state["password"] == Secret("staple staple staple")
    managed = {**{name: value for name, value in other.items() if name != "password"}, "manageMasterUserPassword": True}
    state = world.engine.update(INSTANCE, resource_id, other, managed, state)
    assert len(state["masterUserSecrets"]) == 1


def test_insights_are_asked_for_and_what_moto_forgets_is_no_drift(world: Any) -> None:
    resource_id, inputs, state = small(world)
    watched = {**inputs, "performanceInsightsEnabled": True, "performanceInsightsRetentionPeriod": 31, "port": 5433}
    difference = world.engine.diff(INSTANCE, inputs, watched, state)
    assert set(difference.diffs) == {"performanceInsightsEnabled", "performanceInsightsRetentionPeriod", "port"}
    assert not difference.replaces
    state = world.engine.update(INSTANCE, resource_id, inputs, watched, state)
    assert world.engine.read(INSTANCE, resource_id, watched, state) == (watched, state)


def test_a_protected_instance_is_not_deleted(world: Any, failure: Any) -> None:
    resource_id, inputs, state = small(world, deletionProtection=True)
    error, _ = failure(world.engine.delete, INSTANCE, resource_id, inputs, state)
    assert "has deletion protection" in error.details()
    assert "Set deletionProtection to false" in error.details()
    assert instance(world, resource_id) is not None
    free = {**inputs, "deletionProtection": False}
    state = world.engine.update(INSTANCE, resource_id, inputs, free, state)
    world.engine.delete(INSTANCE, resource_id, free, state)
    assert instance(world, resource_id) is None


def test_the_last_snapshot_is_taken_and_does_not_replace_another(world: Any, failure: Any) -> None:
    last = {"skipFinalSnapshot": False, "finalSnapshotIdentifier": "ml-features-final"}
    world.engine.delete(INSTANCE, *small(world, **last))
    (snapshot,) = world.boto("rds").describe_db_snapshots(DBSnapshotIdentifier="ml-features-final")["DBSnapshots"]
    assert snapshot["Encrypted"]
    error, _ = failure(world.engine.delete, INSTANCE, *small(world, **last))
    assert "there is a snapshot ml-features-final already" in error.details()
    assert instance(world, "ml-features") is not None


def test_a_version_may_be_given_by_its_beginning(world: Any) -> None:
    resource_id, inputs, state = small(world)
    short = {**inputs, "engineVersion": "17"}
    assert not world.engine.diff(INSTANCE, inputs, short, state).diffs
    assert world.engine.read(INSTANCE, resource_id, short, state)[0]["engineVersion"] == "17"
    assert list(world.engine.diff(INSTANCE, inputs, {**inputs, "engineVersion": "17.60"}, state).diffs)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"allocatedStorage": 25}, "storage cannot be made smaller"),
        ({"engineVersion": "16.9"}, "cannot go back to an older version"),
        ({"engineVersion": "17.5"}, "cannot go back to an older version"),
    ],
)
def test_what_cannot_go_back(world: Any, failure: Any, change: dict[str, Any], says: str) -> None:
    resource_id, inputs, state = small(world, allocatedStorage=30)
    before = instance(world, resource_id)
    error, _ = failure(world.engine.update, INSTANCE, resource_id, inputs, {**inputs, **change}, state)
    assert says in error.details()
    assert instance(world, resource_id) == before


def test_storage_that_grew_by_itself_is_no_drift(world: Any) -> None:
    resource_id, inputs, state = small(world, maxAllocatedStorage=100)
    world.boto("rds").modify_db_instance(DBInstanceIdentifier=resource_id, AllocatedStorage=30, ApplyImmediately=True)
    assert world.engine.read(INSTANCE, resource_id, inputs, state)[0]["allocatedStorage"] == 20


def test_what_was_cut_off_is_taken_over_and_waited_for(elsewhere: Any, unfinished: Any) -> None:
    inputs = elsewhere.engine.checked(INSTANCE, {**BASE, "tags": {"a": "b"}})
    made, outputs = elsewhere.engine.create(INSTANCE, inputs)
    unfinished[f"urn:pulumi:dev::tests::{INSTANCE}::thing"] = set()
    assert elsewhere.engine.create(INSTANCE, inputs) == (made, outputs)


def test_a_name_that_is_taken(world: Any, failure: Any) -> None:
    small(world)
    error, _ = failure(world.engine.create, INSTANCE, world.engine.checked(INSTANCE, BASE))
    assert "belongs to somebody else" in error.details()


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"DBInstanceStatus": "available"}, ""),
        ({"DBInstanceStatus": "storage-optimization"}, ""),
        ({"DBInstanceStatus": "creating"}, "it to be available; it is creating"),
        ({"DBInstanceStatus": "modifying"}, "it to be available; it is modifying"),
        (
            {"DBInstanceStatus": "available", "MasterUserSecret": {"SecretStatus": "creating"}},
            "the secret of its master password",
        ),
        ({"DBInstanceStatus": "available", "MasterUserSecret": {"SecretStatus": "active"}}, ""),
    ],
)
def test_what_is_waited_for(record: dict[str, Any], says: str) -> None:
    assert rds_instance._pending(record) == says


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"engine": None}, "is required of an instance"),
        ({"password": "x" * 8}, "excludes manageMasterUserPassword"),
        ({"manageMasterUserPassword": None}, "or a password is required"),
        ({"allocatedStorage": 10}, "at least 20"),
        ({"storageType": "io2"}, "at least 100"),
        ({"maxAllocatedStorage": 10}, "must not be less than"),
        ({"storageType": "gp2", "storageThroughput": 500}, "gp3 alone"),
        ({"skipFinalSnapshot": False}, "unless skipFinalSnapshot"),
        ({"storageEncrypted": None, "kmsKeyId": "arn:aws:kms:us-east-1:1:key/1"}, "wants storageEncrypted"),
        ({"monitoringInterval": 60}, "is required with a monitoringInterval"),
        ({"monitoringInterval": 7}, "must be one of 0, 1, 5"),
        ({"performanceInsightsRetentionPeriod": 94}, "multiple of 31"),
        ({"backupRetentionPeriod": 36}, "from 0 to 35"),
        ({"backupWindow": "2am"}, "hh:mm-hh:mm"),
        ({"maintenanceWindow": "sunday"}, "ddd:hh:mm"),
        ({"identifier": "a--b"}, "single hyphens"),
        ({"instanceClass": "m5.large"}, "db.t4g.medium"),
        ({"finalSnapshotIdentifier": "a--b"}, "single hyphens"),
        ({"port": 80}, "from 1150"),
    ],
)
def test_what_aws_refuses(world: Any, inputs: dict[str, Any], says: str) -> None:
    merged = {name: value for name, value in {**BASE, **inputs}.items() if value is not None}
    (failed,) = world.engine.check(INSTANCE, merged).failures
    assert says in failed.reason


def test_nothing_unknown_is_judged(world: Any) -> None:
    assert judged(world, INSTANCE, {**BASE, "vpcSecurityGroupIds": ["sg-1"], "tags": {"a": "b"}}) > len(BASE)
