"""What all resources of EC2 share: the mark in the creating call, and what a create that was cut off left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from mlinfra.providers.aws.identifying import MARK, mark
from mlinfra.providers.aws.registry import RESOURCES, find
from mlinfra.providers.aws.types.ec2 import Ec2
from tests.providers.aws.conftest import Unfinished, World, urn
from tests.providers.aws.types.unknowns import less_known

ROLE = "arn:aws:iam::111122223333:role/flow-logs"
IMAGE = "ami-0d27e0fb3bac4d724"


def network(world: World) -> dict[str, str]:
    ec2 = world.boto("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"]
    return {
        "vpc": vpc,
        "subnet": subnet,
        "gateway": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "interface": ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"],
        "group": ec2.create_security_group(GroupName="one", Description="one", VpcId=vpc)["GroupId"],
        "table": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "logs": f"arn:aws:logs:us-east-1:{world.account}:log-group:flow",
    }


Words = dict[str, str]
OUT = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


@dataclass(frozen=True)
class Case:
    """A type: what a program says, and how the call that makes it looks with no more than the mark and what it must.

    `once` is the error code with which EC2 refuses a second one like it.
    """

    token: str
    inputs: Callable[[Words], dict[str, Any]]
    half: Callable[[Any, Words, list[Any]], str]
    once: str = ""


CASES = [
    Case(
        "aws:ec2/vpc:Vpc",
        lambda words: {"cidrBlock": "10.9.0.0/16", "enableDnsHostnames": True},
        lambda ec2, words, tags: ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"],
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        lambda words: {"vpcId": words["vpc"], "cidrBlock": "10.7.9.0/24", "mapPublicIpOnLaunch": True},
        lambda ec2, words, tags: ec2.create_subnet(VpcId=words["vpc"], CidrBlock="10.7.9.0/24", TagSpecifications=tags)[
            "Subnet"
        ]["SubnetId"],
        "InvalidSubnet.Conflict",
    ),
    Case(
        "aws:ec2/internetGateway:InternetGateway",
        lambda words: {"vpcId": words["vpc"]},
        lambda ec2, words, tags: ec2.create_internet_gateway(TagSpecifications=tags)["InternetGateway"][
            "InternetGatewayId"
        ],
    ),
    Case(
        "aws:ec2/eip:Eip",
        lambda words: {"networkInterface": words["interface"]},
        lambda ec2, words, tags: ec2.allocate_address(Domain="vpc", TagSpecifications=tags)["AllocationId"],
    ),
    Case(
        "aws:ec2/natGateway:NatGateway",
        lambda words: {"subnetId": words["subnet"], "connectivityType": "private"},
        lambda ec2, words, tags: ec2.create_nat_gateway(
            SubnetId=words["subnet"], ConnectivityType="private", TagSpecifications=tags
        )["NatGateway"]["NatGatewayId"],
    ),
    Case(
        "aws:ec2/routeTable:RouteTable",
        lambda words: {
            "vpcId": words["vpc"],
            "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": words["gateway"]}],
        },
        lambda ec2, words, tags: ec2.create_route_table(VpcId=words["vpc"], TagSpecifications=tags)["RouteTable"][
            "RouteTableId"
        ],
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda words: {
            "vpcId": words["vpc"],
            "serviceName": "com.amazonaws.us-east-1.s3",
            "routeTableIds": [words["table"]],
        },
        lambda ec2, words, tags: ec2.create_vpc_endpoint(
            VpcId=words["vpc"],
            ServiceName="com.amazonaws.us-east-1.s3",
            VpcEndpointType="Gateway",
            TagSpecifications=tags,
        )["VpcEndpoint"]["VpcEndpointId"],
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda words: {"name": "two", "description": "two", "vpcId": words["vpc"]},
        lambda ec2, words, tags: ec2.create_security_group(
            GroupName="two", Description="two", VpcId=words["vpc"], TagSpecifications=tags
        )["GroupId"],
        "InvalidGroup.Duplicate",
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        lambda words: {
            "securityGroupId": words["group"],
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
            "cidrIpv4": "0.0.0.0/0",
            "description": "all the world",
        },
        lambda ec2, words, tags: ec2.authorize_security_group_ingress(
            GroupId=words["group"], IpPermissions=OUT, TagSpecifications=tags
        )["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        "InvalidPermission.Duplicate",
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        lambda words: {
            "securityGroupId": words["group"],
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
            "cidrIpv4": "0.0.0.0/0",
        },
        lambda ec2, words, tags: ec2.authorize_security_group_egress(
            GroupId=words["group"], IpPermissions=OUT, TagSpecifications=tags
        )["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        "InvalidPermission.Duplicate",
    ),
    Case(
        "aws:ec2/flowLog:FlowLog",
        lambda words: {
            "vpcId": words["vpc"],
            "trafficType": "ALL",
            "logDestination": words["logs"],
            "iamRoleArn": ROLE,
        },
        lambda ec2, words, tags: ec2.create_flow_logs(
            ResourceIds=[words["vpc"]],
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogDestination=words["logs"],
            DeliverLogsPermissionArn=ROLE,
            TagSpecifications=tags,
        )["FlowLogIds"][0],
        "FlowLogAlreadyExists",
    ),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        lambda words: {"name": "gpu", "imageId": IMAGE, "instanceType": "g5.xlarge"},
        lambda ec2, words, tags: ec2.create_launch_template(
            LaunchTemplateName="gpu",
            LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "g5.xlarge"},
            TagSpecifications=tags,
        )["LaunchTemplate"]["LaunchTemplateId"],
        "InvalidLaunchTemplateName.AlreadyExistsException",
    ),
    Case(
        "aws:ec2/instance:Instance",
        lambda words: {
            "ami": IMAGE,
            "instanceType": "m5.large",
            "subnetId": words["subnet"],
            "vpcSecurityGroupIds": [words["group"]],
            "instanceInitiatedShutdownBehavior": "terminate",
        },
        lambda ec2, words, tags: ec2.run_instances(
            ImageId=IMAGE,
            InstanceType="m5.large",
            NetworkInterfaces=[
                {
                    "DeviceIndex": 0,
                    "SubnetId": words["subnet"],
                    "Groups": [words["group"]],
                    "DeleteOnTermination": True,
                }
            ],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=tags,
        )["Instances"][0]["InstanceId"],
    ),
]
EACH = pytest.mark.parametrize("case", CASES, ids=[case.token.rpartition(":")[2] for case in CASES])


def records(world: World, kind: Ec2) -> dict[str, Any]:
    """All that EC2 has of a type and does not call gone, by id."""
    found = getattr(world.boto("ec2"), kind.listing.operation)()[kind.listing.key]
    if kind.listing.key == "Reservations":
        found = [machine for reservation in found for machine in reservation["Instances"]]
    return {item[kind.listing.id]: item for item in found if kind.state(item) not in kind.gone}


def test_every_marked_type_is_a_case() -> None:
    marked = {kind.token for kind in RESOURCES.values() if isinstance(kind, Ec2) and kind.marked}
    assert marked == {case.token for case in CASES}


@EACH
def test_what_was_made_is_taken_over(elsewhere: World, unfinished: Unfinished, case: Case) -> None:
    engine, kind, words = elsewhere.engine, find(case.token), network(elsewhere)
    assert isinstance(kind, Ec2)
    inputs = engine.checked(case.token, {**case.inputs(words), "tags": {"team": "ml"}})
    made, state = engine.create(case.token, inputs)
    before = records(elsewhere, kind)
    unfinished[urn(case.token)] = set()
    assert engine.create(case.token, inputs) == (made, state)
    assert records(elsewhere, kind) == before, "nothing is made, and what others have is as it was"
    assert engine.read(case.token, made, inputs, state) == (inputs, state)
    tagged = {tag["Key"]: tag["Value"] for tag in before[made]["Tags"]}
    assert tagged == {"team": "ml", MARK: mark(elsewhere.account, urn(case.token))}


@EACH
def test_what_was_cut_off_half_way_is_completed(elsewhere: World, unfinished: Unfinished, case: Case) -> None:
    engine, kind, words = elsewhere.engine, find(case.token), network(elsewhere)
    assert isinstance(kind, Ec2)
    own = [{"Key": MARK, "Value": mark(elsewhere.account, urn(case.token))}]
    half = case.half(elsewhere.boto("ec2"), words, [{"ResourceType": kind.thing, "Tags": own}])
    before = set(records(elsewhere, kind))
    unfinished[urn(case.token)] = set()
    inputs = engine.checked(case.token, {**case.inputs(words), "tags": {"team": "ml"}})
    made, state = engine.create(case.token, inputs)
    assert made == half
    assert set(records(elsewhere, kind)) == before
    assert engine.read(case.token, made, inputs, state) == (inputs, state)
    imported, outputs = engine.read(case.token, made) or ({}, {})
    assert not engine.diff(case.token, imported, inputs, outputs).diffs, "an import finds all of it"


@EACH
def test_what_bears_another_mark_is_somebody_elses(elsewhere: World, unfinished: Unfinished, case: Case) -> None:
    engine, kind, words = elsewhere.engine, find(case.token), network(elsewhere)
    assert isinstance(kind, Ec2)
    inputs = engine.checked(case.token, case.inputs(words))
    other = [{"Key": MARK, "Value": mark(elsewhere.account, urn(case.token, "another"))}]
    theirs = case.half(elsewhere.boto("ec2"), words, [{"ResourceType": kind.thing, "Tags": other}])
    before = records(elsewhere, kind)[theirs]
    unfinished[urn(case.token)] = set()
    if case.once:
        with pytest.raises(grpc.RpcError, match=case.once):
            engine.create(case.token, inputs)
    else:
        assert engine.create(case.token, inputs)[0] != theirs
    assert records(elsewhere, kind)[theirs] == before


@EACH
def test_what_is_being_replaced_is_not_it(elsewhere: World, unfinished: Unfinished, case: Case) -> None:
    kind, words = find(case.token), network(elsewhere)
    assert isinstance(kind, Ec2)
    inputs = elsewhere.engine.checked(case.token, case.inputs(words))
    old, state = elsewhere.engine.create(case.token, inputs)
    unfinished[urn(case.token)] = {old}
    elsewhere.engine.delete(case.token, old, inputs, state)
    new, _ = elsewhere.engine.create(case.token, inputs)
    assert new != old
    assert elsewhere.engine.create(case.token, inputs)[0] == new
    assert old not in records(elsewhere, kind)


RULES = [{"protocol": "tcp", "fromPort": 1, "toPort": 2, "cidrBlocks": ["10.0.0.0/8"], "securityGroups": ["sg-1"]}]
ROUTES = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}]
UNSURE: list[tuple[str, dict[str, Any]]] = [
    *(
        (
            case.token,
            case.inputs(dict.fromkeys(("vpc", "subnet", "interface", "group", "table", "logs", "gateway"), "x")),
        )
        for case in CASES
    ),
    ("aws:ec2/securityGroup:SecurityGroup", {"vpcId": "vpc-1", "ingress": RULES, "egress": RULES}),
    ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"vpcId": "vpc-1", "ingress": RULES}),
    ("aws:ec2/routeTable:RouteTable", {"vpcId": "vpc-1", "routes": ROUTES}),
    ("aws:ec2/route:Route", {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}),
    ("aws:ec2/routeTableAssociation:RouteTableAssociation", {"routeTableId": "rtb-1", "subnetId": "subnet-1"}),
]


@pytest.mark.parametrize(("token", "program"), UNSURE)
def test_what_is_not_known_yet_is_a_difference_and_no_failure(world: World, token: str, program: Any) -> None:
    known = world.engine.checked(token, program)
    for name, value in known.items():
        for part in less_known(value) if not name.startswith("__") else ():
            inputs = world.engine.checked(token, {**program, name: part})
            assert list(world.engine.diff(token, known, inputs, {}).diffs) == [name]
            assert world.engine.create(token, inputs, preview=True)


def test_what_aws_let_out_of_a_group_that_was_cut_off_is_taken_back(elsewhere: World, unfinished: Unfinished) -> None:
    case = next(case for case in CASES if case.token.endswith(":SecurityGroup"))
    words, ec2 = network(elsewhere), elsewhere.boto("ec2")
    own = [{"Key": MARK, "Value": mark(elsewhere.account, urn(case.token))}]
    half = case.half(ec2, words, [{"ResourceType": "security-group", "Tags": own}])
    assert ec2.describe_security_groups(GroupIds=[half])["SecurityGroups"][0]["IpPermissionsEgress"]
    unfinished[urn(case.token)] = set()
    elsewhere.engine.create(case.token, elsewhere.engine.checked(case.token, case.inputs(words)))
    assert not ec2.describe_security_groups(GroupIds=[half])["SecurityGroups"][0]["IpPermissionsEgress"]
