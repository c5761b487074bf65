"""What is left, in a real moto and a real cluster: everything that somebody made, and nothing else."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlinfra.diagnostics import MlinfraError
from mlinfra.local.accounts import SECRET_KEY, access_key
from mlinfra.local.leaks import Leak, LeakScan
from mlinfra.local.moto import Moto
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster

ACCOUNT = "333333333333"
OWNED = {"kubernetes.io/cluster/prod": "owned"}


@pytest.fixture
def scan(home: Path, tmp_path: Path) -> Iterator[LeakScan]:
    """A scan of a local AWS that nobody has used yet."""
    project = Project(tmp_path)
    moto = Moto(project.folder("local", "moto"))
    moto.ensure()
    begun = LeakScan(project, {})
    begun.begin()
    yield begun
    moto.stop()


@pytest.fixture
def client(scan: LeakScan, tmp_path: Path) -> Any:
    server = Moto(Project(tmp_path).folder("local", "moto")).running()
    assert server is not None

    def make(service: str, region: str = "us-east-1") -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=server.endpoint,
            region_name=region,
            aws_access_key_id=access_key(ACCOUNT),
            aws_secret_access_key=SECRET_KEY,
            config=Config(proxies={}, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    return make


def found(scan: LeakScan) -> dict[str, Leak]:
    return {leak.type: leak for leak in scan.left()}


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def test_an_account_that_was_only_looked_at_holds_nothing(scan: LeakScan, client: Any) -> None:
    client("ec2").describe_vpcs()
    client("iam").list_policies()
    client("kms").list_keys()
    client("rds").describe_db_parameter_groups()
    client("ssm").get_parameters_by_path(Path="/aws/service")
    client("sts").get_caller_identity()
    assert scan.left() == []


def test_what_controllers_make_is_found_and_named(scan: LeakScan, client: Any) -> None:
    """A load balancer and a volume that no state knows of, tagged as the controllers of a cluster tag them."""
    ec2 = client("ec2")
    subnets = [item["SubnetId"] for item in ec2.describe_subnets()["Subnets"]][:2]
    balancer = client("elbv2").create_load_balancer(
        Name="k8s-api", Subnets=subnets, Tags=pairs({**OWNED, "service.k8s.aws/stack": "ml/api"})
    )["LoadBalancers"][0]
    classic = client("elb").create_load_balancer(
        LoadBalancerName="a1b2",
        Listeners=[{"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 80}],
        Subnets=subnets,
        Tags=pairs({**OWNED, "kubernetes.io/service-name": "ml/old"}),
    )
    tags = {**OWNED, "kubernetes.io/created-for/pvc/name": "data", "kubernetes.io/created-for/pvc/namespace": "ml"}
    volume = ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=8, TagSpecifications=[{"ResourceType": "volume", "Tags": pairs(tags)}]
    )
    left = found(scan)
    assert classic
    # A classic load balancer has a security group made for it, in AWS too.
    assert set(left) == {"elbv2 LoadBalancer", "elb LoadBalancer", "ec2 Volume", "ec2 SecurityGroup"}
    assert left["elbv2 LoadBalancer"].arn == balancer["LoadBalancerArn"]
    assert left["elbv2 LoadBalancer"].owner == "cluster prod: a controller in it made it for Service ml/api"
    assert left["elb LoadBalancer"].id == "a1b2"
    assert left["elb LoadBalancer"].owner == "cluster prod: a controller in it made it for Service ml/old"
    assert left["ec2 Volume"].id == volume["VolumeId"]
    assert left["ec2 Volume"].owner == "cluster prod: a controller in it made it for PersistentVolumeClaim ml/data"
    assert left["ec2 Volume"].where == "AWS us-east-1"
    assert left["ec2 Volume"].tags == tags


def test_every_service_and_region_is_looked_through(scan: LeakScan, client: Any) -> None:
    client("s3").create_bucket(Bucket="forgotten")
    client("sqs", "eu-west-1").create_queue(QueueName="forgotten", tags={"mlinfra:component": "queue"})
    client("logs").create_log_group(logGroupName="/forgotten")
    client("iam").create_role(RoleName="forgotten", AssumeRolePolicyDocument="{}")
    client("dynamodb").create_table(
        TableName="forgotten",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("ecr").create_repository(repositoryName="forgotten")
    left = found(scan)
    assert {"s3 Bucket", "sqs Queue", "logs LogGroup", "iam Role", "dynamodb Table", "ecr Repository"} <= set(left)
    assert left["sqs Queue"].where == "AWS eu-west-1"
    assert left["sqs Queue"].owner == "component queue, which destroy has left"
    assert left["s3 Bucket"].id == "forgotten"
    assert left["s3 Bucket"].owner == ""


def test_what_was_deleted_is_not_left(scan: LeakScan, client: Any) -> None:
    """Not even what AWS shows for a while, or what moto keeps of a network that is gone."""
    kms, ec2, secrets = client("kms"), client("ec2"), client("secretsmanager")
    kms.schedule_key_deletion(KeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    secrets.create_secret(Name="s", SecretString="x")
    secrets.delete_secret(SecretId="s")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc, VpcEndpointType="Interface", ServiceName="com.amazonaws.us-east-1.s3", SubnetIds=[subnet]
    )["VpcEndpoint"]["VpcEndpointId"]
    instance = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    assert {"ec2 VPC", "ec2 Subnet", "ec2 Instance", "ec2 VPCEndPoint"} <= set(found(scan))
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    assert scan.left() == []


def database(client: Any) -> Any:
    """A database whose password AWS keeps, under a key of its own, and whose settings are AWS's own, too."""
    rds = client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="online",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="root",
        ManageMasterUserPassword=True,
    )
    return rds


def test_keys_and_settings_that_aws_made_for_itself_are_not_left(scan: LeakScan, client: Any) -> None:
    """What a service makes when it first needs it is AWS's; what a user makes is not, whatever it is called."""
    rds, kms = database(client), client("kms")
    (live,) = rds.describe_db_instances()["DBInstances"]
    own = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/awsome", TargetKeyId=own["KeyId"])
    rds.create_db_parameter_group(
        DBParameterGroupName="default-17", DBParameterGroupFamily="postgres17", Description="of a user"
    )
    assert {key["KeyArn"] for key in kms.list_keys()["Keys"]} == {own["Arn"], live["MasterUserSecret"]["KmsKeyId"]}
    left = [(leak.type, leak.id) for leak in scan.left()]
    assert [entry for entry in left if entry[0] in ("kms Key", "rds DBParameterGroup")] == [
        ("kms Key", own["KeyId"]),
        ("rds DBParameterGroup", "default-17"),
    ]


@pytest.mark.parametrize("kept", [False, True])
def test_backups_that_outlive_their_database_are_left(scan: LeakScan, client: Any, kept: bool) -> None:
    """AWS deletes automated backups with their instance, unless the deletion says that it must not."""
    rds = database(client)
    assert set(found(scan)) == {"rds DBInstance", "rds DBSnapshot", "secretsmanager Secret"}
    rds.delete_db_instance(DBInstanceIdentifier="online", SkipFinalSnapshot=True, DeleteAutomatedBackups=not kept)
    assert set(found(scan)) == ({"rds DBSnapshot"} if kept else set())


def test_a_cluster_of_eks_is_found(scan: LeakScan, client: Any) -> None:
    ec2, iam = client("ec2"), client("iam")
    subnets = [item["SubnetId"] for item in ec2.describe_subnets()["Subnets"]][:2]
    service = {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [service]})
    role = iam.create_role(RoleName="eks", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    eks = client("eks")
    eks.create_cluster(
        name="prod", roleArn=role, resourcesVpcConfig={"subnetIds": subnets}, tags={"mlinfra:component": "train"}
    )
    eks.describe_cluster(name="prod")
    left = found(scan)
    assert left["eks cluster"].id == "prod"
    assert left["eks cluster"].owner == "component train, which destroy has left"
    eks.delete_cluster(name="prod")
    iam.delete_role(RoleName="eks")
    assert scan.left() == []


def test_nobody_without_the_token_is_told(scan: LeakScan, tmp_path: Path) -> None:
    server = Moto(Project(tmp_path).folder("local", "moto")).running()
    assert server is not None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        opener.open(f"{server.endpoint}/mlinfra/held")


def test_an_aws_that_does_not_run_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(MlinfraError, match="does not say what it holds"):
        LeakScan(Project(tmp_path), {}).left()


# ------------------------------------------------------------------------------------------------ the cluster


def test_everything_in_a_cluster_that_was_not_there_before(project: Project, cluster: Cluster) -> None:
    Moto(project.folder("local", "moto")).ensure()
    scan = LeakScan(project, {"staging": cluster})
    scan.begin()
    assert [leak for leak in scan.left() if leak.where.startswith("cluster")] == []

    def make(kind: str, path: str, name: str, **more: Any) -> None:
        metadata = {"name": name, **more.pop("metadata", {})}
        version = "v1" if path.startswith("/api/v1") else path.removeprefix("/apis/").rpartition("/")[0]
        cluster.request("POST", path, {"apiVersion": version, "kind": kind, "metadata": metadata, **more})

    make("Namespace", "/api/v1/namespaces", "forgotten", metadata={"labels": {"mlinfra.dev/component": "train"}})
    make("ConfigMap", "/api/v1/namespaces/default/configmaps", "forgotten", data={"a": "b"})
    make("PriorityClass", "/apis/scheduling.k8s.io/v1/priorityclasses", "forgotten", value=1)
    claim = {"namespace": "ml", "name": "data", "kind": "PersistentVolumeClaim", "apiVersion": "v1"}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/nowhere"},
        "claimRef": claim,
        "persistentVolumeReclaimPolicy": "Retain",
    }
    make("PersistentVolume", "/api/v1/persistentvolumes", "forgotten", spec=spec)
    left = {leak.type: leak for leak in scan.left() if leak.where == "cluster staging"}
    try:
        assert {kind: leak.id for kind, leak in left.items()} == {
            "Namespace": "forgotten",
            "ConfigMap": "default/forgotten",
            "PriorityClass (scheduling.k8s.io)": "forgotten",
            "PersistentVolume": "forgotten",
        }
        assert left["Namespace"].owner == "component train, which destroy has left"
        assert left["PersistentVolume"].owner == "made for PersistentVolumeClaim ml/data"
    finally:
        cluster.delete("v1", "Namespace", "forgotten")
        cluster.delete("v1", "ConfigMap", "forgotten", "default")
        cluster.delete("scheduling.k8s.io/v1", "PriorityClass", "forgotten")
        cluster.delete("v1", "PersistentVolume", "forgotten")
    assert [leak for leak in scan.left() if leak.where.startswith("cluster")] == []
