"""A platform stack with a network, and a stack that imports it: what AWS has, and the order in which they can go."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TOKEN = "canary-51c0-do-not-tell"
PLATFORM = """
from mlinfra import Blueprint, Environment, FlowLogs, Key, Network, Params, blueprint


@blueprint("platform", version="1.0.0")
def platform(env: Environment, p: Params) -> Blueprint:
    logs = FlowLogs(days=14, key=Key("logs"))
    network = Network("net", cidr="10.40.0.0/16", nat="per-zone", interface_endpoints=["sts"], flow_logs=logs)
    return Blueprint(network, outputs={"network": network.exported})
"""
KEYS = f"""
from mlinfra import Blueprint, Bucket, Environment, FlowLogs, Network, Params, Raw, Secret, blueprint


@blueprint("keys", version="1.0.0")
def keys(env: Environment, p: Params) -> Blueprint:
    topic = Raw("topic", type="aws:sns/topic:Topic", inputs={{"name": "keys"}})
    logs = FlowLogs(bucket=Bucket("logs", key="own"), traffic="rejected", interval=60)
    quiet = Network("quiet", cidr="10.41.0.0/20", zones=1, public=False, gateway_endpoints=[], flow_logs=logs)
    return Blueprint(topic, quiet, outputs={{"access": {{"topic": topic.output("arn"), "token": Secret("{TOKEN}")}}}})
"""
APP = """
from mlinfra import Blueprint, Environment, ExistingNetwork, Field, Network, Params, Raw, SecretStr, blueprint


class Access(Params):
    topic: str = Field(examples=["arn:aws:sns:us-east-1:111122223333:keys"])
    token: SecretStr


class AppParams(Params):
    network: ExistingNetwork
    access: Access


@blueprint("app", version="1.0.0")
def app(env: Environment, p: AppParams) -> Blueprint:
    network = Network("net", existing=p.network)
    group = Raw(
        "group",
        type="aws:ec2/securityGroup:SecurityGroup",
        inputs={"name": "app", "vpcId": network.vpc_id, "tags": {"subnets": str(len(network.private_subnet_ids))}},
    )
    value = {"name": "/app/token", "type": "SecureString", "value": p.access.token, "description": p.access.topic}
    token = Raw("token", type="aws:ssm/parameter:Parameter", inputs=value)
    return Blueprint(network, group, token, outputs={"vpc": network.vpc_id, "group": group.output("id")})
"""
IMPORTS: dict[str, Any] = {"network": "platform-dev.network", "access": {"stack": "keys-dev", "output": "access"}}


def write(lab: Lab, stack: str, **changes: Any) -> None:
    blueprint = stack.partition("-")[0]
    lab.stack(stack, blueprint=blueprint, environment={"name": "shared", "tier": "dev"}, **changes)


def importing(lab: Lab, **network: Any) -> None:
    write(lab, "app-dev", imports={**IMPORTS, "network": {"stack": "platform-dev", "output": "network", **network}})


def told(lab: Lab, *arguments: str, code: int = 1) -> list[dict[str, Any]]:
    """The diagnostics of a command."""
    return lab.run(*arguments, "--json", code=code).lines("diagnostic")


@pytest.fixture(scope="module")
def world(lab: Lab) -> Lab:
    """The three stacks; the two that are imported are up."""
    for name, text in {"platform": PLATFORM, "keys": KEYS, "app": APP}.items():
        lab.blueprint(name, text)
    write(lab, "platform-dev")
    write(lab, "keys-dev", state={"backend": "files"})
    write(lab, "app-dev", imports=IMPORTS)
    return lab


def test_before_the_others_are_up(world: Lab) -> None:
    found = told(world, "preview", "--stack", "app-dev")
    assert [(item["code"], item["location"]["file"]) for item in found] == [
        ("import-not-up", "stacks/app-dev.yaml")
    ] * 2
    assert "stack app-dev imports 'network' from stack platform-dev, which is not up" in str(found)
    assert "stack app-dev imports 'access' from stack keys-dev, which is not up" in str(found)
    checked = told(world, "validate", "--stack", "app-dev", code=0)
    assert {(item["code"], item["severity"]) for item in checked} == {("import-not-up", "warning")}


def test_a_network_as_aws_has_it(world: Lab) -> None:
    report = world.report("up", "--stack", "platform-dev", "--yes")
    network = report["outputs"]["network"]
    assert set(report["outputs"]) == {"network"}
    ec2, logs, iam = world.clients("platform-dev", "ec2", "logs", "iam")
    vpc = network["vpc_id"]
    mine = [{"Name": "vpc-id", "Values": [vpc]}]
    (found,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert found["CidrBlock"] == network["cidr"] == "10.40.0.0/16"
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        value = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
        assert value[attribute[:1].upper() + attribute[1:]]["Value"] is True
    _subnets(ec2, mine, network)
    _routes(ec2, mine, network)
    _endpoints(ec2, mine, network)
    groups = {item["GroupName"]: item for item in ec2.describe_security_groups(Filters=mine)["SecurityGroups"]}
    assert groups["default"]["IpPermissions"] == groups["default"]["IpPermissionsEgress"] == []
    (flow,) = ec2.describe_flow_logs(Filter=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    assert (flow["TrafficType"], flow["LogDestinationType"]) == ("ALL", "cloud-watch-logs")
    assert flow["MaxAggregationInterval"] == 600
    (group,) = logs.describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 14
    assert group["kmsKeyId"].startswith("arn:aws:kms:us-east-1:")
    assert flow["LogDestination"].removesuffix(":*") == group["arn"].removesuffix(":*")
    role = iam.get_role(RoleName=flow["DeliverLogsPermissionArn"].rpartition("/")[2])["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}


def _subnets(ec2: Any, mine: list[Any], network: Any) -> None:
    subnets = {item["SubnetId"]: item for item in ec2.describe_subnets(Filters=mine)["Subnets"]}
    assert set(subnets) == {*network["private_subnet_ids"], *network["public_subnet_ids"]}
    assert [subnets[item]["CidrBlock"] for item in network["private_subnet_ids"]] == ["10.40.0.0/19", "10.40.32.0/19"]
    assert [subnets[item]["AvailabilityZone"] for item in network["private_subnet_ids"]] == network["zones"]
    assert network["zones"] == ["us-east-1a", "us-east-1b"]
    roles = {"private": "kubernetes.io/role/internal-elb", "public": "kubernetes.io/role/elb"}
    for kind, role in roles.items():
        for identity in network[f"{kind}_subnet_ids"]:
            tags = {item["Key"]: item["Value"] for item in subnets[identity]["Tags"]}
            assert (tags[role], tags["mlinfra:owner"]) == ("1", "tests")
            assert subnets[identity]["MapPublicIpOnLaunch"] is False


def _routes(ec2: Any, mine: list[Any], network: Any) -> None:
    """Each private subnet goes out by the NAT gateway of its zone, the public ones by the internet gateway."""
    tables = ec2.describe_route_tables(Filters=mine)["RouteTables"]
    follows = {item.get("SubnetId"): table for table in tables for item in table["Associations"]}
    gateways = {item["NatGatewayId"]: item for item in ec2.describe_nat_gateways(Filter=mine)["NatGateways"]}
    assert len(gateways) == 2
    for private, public in zip(network["private_subnet_ids"], network["public_subnet_ids"], strict=True):
        (out,) = _out(follows[private])
        assert gateways[out["NatGatewayId"]]["SubnetId"] == public
        (out,) = _out(follows[public])
        assert out["GatewayId"].startswith("igw-")


def _out(table: Any) -> list[Any]:
    return [route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]


def _endpoints(ec2: Any, mine: list[Any], network: Any) -> None:
    found = {item["ServiceName"]: item for item in ec2.describe_vpc_endpoints(Filters=mine)["VpcEndpoints"]}
    assert set(found) == {f"com.amazonaws.us-east-1.{service}" for service in ("s3", "dynamodb", "sts")}
    assert len(found["com.amazonaws.us-east-1.s3"]["RouteTableIds"]) == 3
    sts = found["com.amazonaws.us-east-1.sts"]
    assert sorted(sts["SubnetIds"]) == sorted(network["private_subnet_ids"])
    (group,) = ec2.describe_security_groups(GroupIds=[item["GroupId"] for item in sts["Groups"]])["SecurityGroups"]
    assert group["IpPermissionsEgress"] == []
    ranges = {
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], item["CidrIp"])
        for rule in group["IpPermissions"]
        for item in rule["IpRanges"]
    }
    assert ranges == {("tcp", 443, 443, item) for item in network["private_cidrs"]}


def test_a_stack_that_imports_it(world: Lab) -> None:
    world.report("up", "--stack", "keys-dev", "--yes")
    report = world.report("up", "--stack", "app-dev", "--yes")
    exported = world.run("outputs", "--stack", "platform-dev", "--json").lines("outputs")[0]["outputs"]
    assert set(exported) == {"network"}
    assert report["outputs"]["vpc"] == exported["network"]["vpc_id"]
    ec2, ssm = world.clients("app-dev", "ec2", "ssm")
    (group,) = ec2.describe_security_groups(GroupIds=[report["outputs"]["group"]])["SecurityGroups"]
    assert group["VpcId"] == exported["network"]["vpc_id"]
    parameter = ssm.get_parameter(Name="/app/token", WithDecryption=True)["Parameter"]
    assert parameter["Value"] == TOKEN
    assert not world.report("up", "--stack", "app-dev", "--yes")["changes"]


def test_a_network_whose_logs_are_in_a_bucket(world: Lab) -> None:
    ec2, s3 = world.clients("keys-dev", "ec2", "s3")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.41.0.0/20"]}])["Vpcs"]
    (flow,) = ec2.describe_flow_logs(Filter=[{"Name": "resource-id", "Values": [vpc["VpcId"]]}])["FlowLogs"]
    assert (flow["TrafficType"], flow["MaxAggregationInterval"], flow["LogDestinationType"]) == ("REJECT", 60, "s3")
    policy = json.loads(s3.get_bucket_policy(Bucket=flow["LogDestination"].rpartition(":")[2])["Policy"])
    writers = [item for item in policy["Statement"] if item["Principal"] == {"Service": "delivery.logs.amazonaws.com"}]
    assert [item["Action"] for item in writers] == ["s3:PutObject", ["s3:GetBucketAcl", "s3:ListBucket"]]
    gateways = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])
    assert gateways["InternetGateways"] == []


def test_the_secret_is_nowhere_else(world: Lab) -> None:
    local = world.root / ".mlinfra" / "local"  # what stands in for AWS itself
    for path in world.written():
        assert path.is_relative_to(local) or TOKEN.encode() not in path.read_bytes(), path
    for arguments in (("outputs", "--stack", "keys-dev"), ("graph", "--stack", "app-dev", "--json")):
        assert TOKEN not in world.run(*arguments).out


def test_an_output_that_is_missing_or_too_old(world: Lab) -> None:
    importing(world, version=">=1.1")
    (found,) = told(world, "preview", "--stack", "app-dev")
    assert found["code"] == "import-version"
    assert (
        "from stack platform-dev at >=1.1, but what that stack gives out was made by platform@1.0.0" in found["summary"]
    )
    importing(world, output="networks")
    (found,) = told(world, "preview", "--stack", "app-dev")
    assert found["code"] == "import-no-output"
    assert "from stack platform-dev, which has no output 'networks'" in found["summary"]
    importing(world, version=">=1.1")
    world.blueprint("platform", PLATFORM.replace('"1.0.0"', '"1.1.0"'))
    world.report("up", "--stack", "platform-dev", "--yes")
    assert not world.report("preview", "--stack", "app-dev")["changes"]


def test_the_order_in_which_they_go(world: Lab) -> None:
    (found,) = told(world, "destroy", "--stack", "platform-dev", "--yes")
    assert found["code"] == "imported"
    assert "stack platform-dev is imported by app-dev, which is up" in found["summary"]
    assert found["location"]["file"] == "stacks/app-dev.yaml"
    for stack in ("app-dev", "platform-dev", "keys-dev"):
        assert world.report("destroy", "--stack", stack, "--yes")["succeeded"]
    ec2, logs = world.clients("platform-dev", "ec2", "logs")
    assert [item["CidrBlock"] for item in ec2.describe_vpcs()["Vpcs"] if not item["IsDefault"]] == []
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    assert {item["State"] for item in gateways} <= {"deleted"}
    assert ec2.describe_addresses()["Addresses"] == []
    assert logs.describe_log_groups()["logGroups"] == []
    assert yaml.safe_load((world.root / "stacks" / "app-dev.yaml").read_text())["imports"]
