"""Databases and image repositories through the real engine: boto3 and kubectl read back what a blueprint says."""

from __future__ import annotations

import base64
import json
import os
import signal

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

IMAGE = "registry.example.com/team/postgres@sha256:" + "0123456789abcdef" * 4
BLUEPRINT = f"""
from mlinfra import (
    Blueprint, Database, Endpoint, Environment, ImageRepository, Key, Network, NodePool, Params, TrainingCluster,
    blueprint,
)


class Values(Params):
    storage: int = 20
    work_mem: str = "65536"
    untagged: int = 14


@blueprint("stores", version="1.0.0")
def stores(env: Environment, p: Values) -> Blueprint:
    key = Key("keys")
    images = ImageRepository("images", key=key, pull_accounts=["111122223333"], untagged_days=p.untagged)
    pool = NodePool("cpu", instance_type="m6i.xlarge", min=1, max=2)
    cluster = TrainingCluster("team", repository=images, pools=[pool])
    features = Database(
        "features",
        network=Network("net", zones=2, nat="none", flow_logs=None),
        key=key,
        storage_gib=p.storage,
        parameters={{"work_mem": p.work_mem}},
        standby=True,
        backup_days=14,
        final_snapshot=True,
    )
    small = Database("small", place="cluster", cluster=cluster, image="{IMAGE}")
    api = Endpoint("api", cluster=cluster, image="{IMAGE}", reads=[features, small])
    return Blueprint(api, outputs={{"host": features.host, "small": small.host, "sql": features.setup_sql}})
"""


def test_what_is_made_changed_and_taken_away(lab: Lab) -> None:
    lab.blueprint("stores", BLUEPRINT)
    lab.stack("dev", blueprint="stores")
    made = lab.report("up", "--stack", "dev", "--yes")
    assert made["outputs"]["small"] == "small.stores-dev-team.svc"
    _is_as_the_blueprint_says(lab, storage=20, work_mem="65536")
    _may_be_reached(lab)
    assert set(lab.report("up", "--stack", "dev", "--yes", "--refresh")["counts"]) == {"same"}

    record = json.loads((lab.root / ".mlinfra" / "local" / "moto" / "server.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    lab.run("up", "--stack", "dev", "--yes")
    _is_as_the_blueprint_says(lab, storage=20, work_mem="65536")
    _may_be_reached(lab)
    assert set(lab.report("up", "--stack", "dev", "--yes")["counts"]) == {"same"}

    lab.stack("dev", blueprint="stores", params={"storage": 50, "work_mem": "131072", "untagged": 3})
    counts = lab.report("up", "--stack", "dev", "--yes")["counts"]
    assert counts["update"] == 3
    assert set(counts) == {"same", "update"}
    _is_as_the_blueprint_says(lab, storage=50, work_mem="131072")

    lab.run("destroy", "--stack", "dev", "--yes")
    rds, ecr, secrets = lab.clients("dev", "rds", "ecr", "secretsmanager")
    assert rds.describe_db_instances()["DBInstances"] == []
    assert rds.describe_db_subnet_groups()["DBSubnetGroups"] == []
    (last,) = rds.describe_db_snapshots(DBSnapshotIdentifier="stores-dev-features-final")["DBSnapshots"]
    assert last["Encrypted"]
    assert ecr.describe_repositories()["repositories"] == []
    assert secrets.list_secrets()["SecretList"] == []


def _is_as_the_blueprint_says(lab: Lab, *, storage: int, work_mem: str) -> None:
    rds, kms, ecr, logs = lab.clients("dev", "rds", "kms", "ecr", "logs")
    key = kms.describe_key(KeyId="alias/stores-dev-keys")["KeyMetadata"]["Arn"]
    (live,) = rds.describe_db_instances()["DBInstances"]
    assert live["DBInstanceIdentifier"] == "stores-dev-features"
    assert (live["Engine"], live["EngineVersion"], live["DBInstanceClass"]) == ("postgres", "17", "db.t4g.micro")
    assert (live["AllocatedStorage"], live["MaxAllocatedStorage"]) == (storage, storage * 5)
    assert (live["StorageType"], live["StorageEncrypted"], live["KmsKeyId"]) == ("gp3", True, key)
    assert (live["MultiAZ"], live["PubliclyAccessible"], live["BackupRetentionPeriod"]) == (True, False, 14)
    assert live["IAMDatabaseAuthenticationEnabled"]
    assert live["MasterUserSecret"]["KmsKeyId"] == key
    assert sorted(live["EnabledCloudwatchLogsExports"]) == ["postgresql", "upgrade"]
    assert {tag["Key"]: tag["Value"] for tag in live["TagList"]}["mlinfra:component"] == "features"
    assert len(live["DBSubnetGroup"]["Subnets"]) == 2
    group = live["DBParameterGroups"][0]["DBParameterGroupName"]
    settings = rds.describe_db_parameters(DBParameterGroupName=group)["Parameters"]
    assert {item["ParameterName"]: item["ParameterValue"] for item in settings} == {
        "rds.force_ssl": "1",
        "work_mem": work_mem,
    }
    named = logs.describe_log_groups(logGroupNamePrefix="/aws/rds/")["logGroups"]
    assert {item["logGroupName"].rpartition("/")[2]: item["retentionInDays"] for item in named} == {
        "postgresql": 30,
        "upgrade": 30,
    }
    (repository,) = ecr.describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}
    policy = json.loads(ecr.get_repository_policy(repositoryName="stores-dev-images")["policyText"])
    assert policy["Statement"][0]["Principal"] == {"AWS": ["arn:aws:iam::111122223333:root"]}
    kept = json.loads(ecr.get_lifecycle_policy(repositoryName="stores-dev-images")["lifecyclePolicyText"])
    assert kept["rules"][0]["selection"]["countNumber"] == (14 if storage == 20 else 3)


def _may_be_reached(lab: Lab) -> None:
    """By the endpoint, and by nothing else."""
    rds, ec2, iam = lab.clients("dev", "rds", "ec2", "iam")
    (live,) = rds.describe_db_instances()["DBInstances"]
    (group,) = [item["VpcSecurityGroupId"] for item in live["VpcSecurityGroups"]]
    (firewall,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert firewall["IpPermissionsEgress"] == []
    assert {rule["FromPort"] for rule in firewall["IpPermissions"]} == {5432}
    reachable = {item["CidrIp"] for rule in firewall["IpPermissions"] for item in rule["IpRanges"]}
    subnets = ec2.describe_subnets(SubnetIds=[item["SubnetIdentifier"] for item in live["DBSubnetGroup"]["Subnets"]])
    assert reachable == {subnet["CidrBlock"] for subnet in subnets["Subnets"]}
    written = iam.get_role_policy(RoleName="stores-dev-api", PolicyName="access")["PolicyDocument"]
    (statement,) = written["Statement"]
    account = live["DBInstanceArn"].split(":")[4]
    user = f"arn:aws:rds-db:us-east-1:{account}:dbuser:{live['DbiResourceId']}/reader"
    assert (statement["Action"], statement["Resource"]) == (["rds-db:connect"], [user])

    where = ("--namespace", "stores-dev-team")
    policies = lab.kubectl("dev", "get", "networkpolicy", *where)["items"]
    own = {item["metadata"]["name"] for item in policies if "." not in item["metadata"]["name"]}
    assert own == {"small", "api-to-small"}, "beside those with a dot, which close the namespace"
    (pod,) = lab.kubectl("dev", "get", "pods", "-l", "mlinfra.dev/component=small", *where)["items"]
    assert pod["status"]["phase"] == "Running"
    password = base64.b64decode(lab.kubectl("dev", "get", "secret", "small", *where)["data"]["password"]).decode()
    assert len(password) == 32
    deployment = lab.kubectl("dev", "get", "deployment", "api", *where)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item for item in container["env"]}
    assert env["SMALL_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "small", "key": "password"}
    assert env["FEATURES_HOST"]["value"] == live["Endpoint"]["Address"]
