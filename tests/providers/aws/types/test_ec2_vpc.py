"""VPCs and subnets, against moto."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.identifying import MARK
from mlinfra.providers.aws.types.ec2 import canonical

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"


def tags(record: dict[str, Any]) -> dict[str, str]:
    found = {tag["Key"]: tag["Value"] for tag in record["Tags"]}
    assert found.pop(MARK), "it can be found again"
    return found


def attribute(world: Any, vpc: str, name: str) -> bool:
    answer = world.boto("ec2").describe_vpc_attribute(VpcId=vpc, Attribute=name)
    return bool(answer[name[:1].upper() + name[1:]]["Value"])


def vpc(world: Any, resource_id: str) -> Any:
    try:
        live = world.boto("ec2").describe_vpcs(VpcIds=[resource_id])["Vpcs"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidVpcID.NotFound":
            raise
        return None
    switches = [attribute(world, resource_id, name) for name in ("enableDnsSupport", "enableDnsHostnames")]
    ipv6 = [item for item in live["Ipv6CidrBlockAssociationSet"] if item["Ipv6CidrBlockState"]["State"] == "associated"]
    return live["CidrBlock"], *switches, len(ipv6), tags(live)


def test_vpc(lifecycle: Any) -> None:
    lifecycle(
        VPC,
        inputs=lambda words: {"cidrBlock": "10.7.0.0/16", "enableDnsHostnames": True, "tags": {"Name": "ml"}},
        look=vpc,
        made=lambda words: ("10.7.0.0/16", True, True, 0, {"Name": "ml"}),
        outputs=lambda words: {"ownerId": words["account"], "ipv6CidrBlock": "", "ipv6AssociationId": ""},
        change=lambda words: {
            "enableDnsHostnames": None,
            "enableDnsSupport": False,
            "assignGeneratedIpv6CidrBlock": True,
            "tags": {"Name": "other"},
        },
        changed=lambda words: ("10.7.0.0/16", False, False, 1, {"Name": "other"}),
        replaces=lambda words: [{"cidrBlock": "10.8.0.0/16"}, {"instanceTenancy": "dedicated"}],
        drift=lambda world, resource_id: world.boto("ec2").modify_vpc_attribute(
            VpcId=resource_id, EnableDnsSupport={"Value": True}
        ),
        drifted={"enableDnsSupport": True},
    )


def test_what_aws_gives_a_vpc_is_among_its_outputs(world: Any) -> None:
    ec2 = world.boto("ec2")
    inputs = world.engine.checked(VPC, {"cidrBlock": "10.7.0.0/16", "assignGeneratedIpv6CidrBlock": True})
    resource_id, state = world.engine.create(VPC, inputs)
    mine = [{"Name": "vpc-id", "Values": [resource_id]}]
    assert [group["GroupId"] for group in ec2.describe_security_groups(Filters=mine)["SecurityGroups"]] == [
        state["defaultSecurityGroupId"]
    ]
    assert [table["RouteTableId"] for table in ec2.describe_route_tables(Filters=mine)["RouteTables"]] == [
        state["mainRouteTableId"]
    ]
    assert [acl["NetworkAclId"] for acl in ec2.describe_network_acls(Filters=mine)["NetworkAcls"]] == [
        state["defaultNetworkAclId"]
    ]
    assert state["arn"] == f"arn:aws:ec2:us-east-1:{world.account}:vpc/{resource_id}"
    assert ipaddress.ip_network(state["ipv6CidrBlock"]).prefixlen == 56

    without = world.engine.checked(VPC, {"cidrBlock": "10.7.0.0/16"})
    state = world.engine.update(VPC, resource_id, inputs, without, state)
    assert (state["ipv6CidrBlock"], state["ipv6AssociationId"]) == ("", "")
    assert world.engine.read(VPC, resource_id, without, state) == (without, state)


def test_a_vpc_becomes_one_of_the_default_tenancy_in_place(world: Any) -> None:
    dedicated = world.engine.checked(VPC, {"cidrBlock": "10.7.0.0/16", "instanceTenancy": "dedicated"})
    shared = world.engine.checked(VPC, {"cidrBlock": "10.7.0.0/16"})
    resource_id, state = world.engine.create(VPC, dedicated)
    assert not world.engine.diff(VPC, dedicated, shared, state).replaces
    world.engine.update(VPC, resource_id, dedicated, shared, state)
    assert world.boto("ec2").describe_vpcs(VpcIds=[resource_id])["Vpcs"][0]["InstanceTenancy"] == "default"


def test_a_vpc_that_is_still_needed_is_not_deleted(world: Any, failure: Any) -> None:
    inputs = world.engine.checked(VPC, {"cidrBlock": "10.7.0.0/16"})
    resource_id, state = world.engine.create(VPC, inputs)
    world.boto("ec2").create_subnet(VpcId=resource_id, CidrBlock="10.7.0.0/24")
    error, _ = failure(world.engine.delete, VPC, resource_id, inputs, state)
    assert "DependencyViolation" in error.details()
    assert vpc(world, resource_id) is not None


def network(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    made = ec2.create_vpc(CidrBlock="10.7.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    (ipv6,) = ec2.describe_vpcs(VpcIds=[made["VpcId"]])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"]
    blocks = list(ipaddress.ip_network(ipv6["Ipv6CidrBlock"]).subnets(new_prefix=64))
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    return {"vpc": made["VpcId"], "other": other, "first": str(blocks[0]), "second": str(blocks[1])}


def subnet(world: Any, resource_id: str) -> Any:
    try:
        live = world.boto("ec2").describe_subnets(SubnetIds=[resource_id])["Subnets"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidSubnetID.NotFound":
            raise
        return None
    ipv6 = [item["Ipv6CidrBlock"] for item in live["Ipv6CidrBlockAssociationSet"]]
    return (
        live["CidrBlock"],
        live["AvailabilityZone"],
        live["MapPublicIpOnLaunch"],
        live["AssignIpv6AddressOnCreation"],
        live["PrivateDnsNameOptionsOnLaunch"]["EnableResourceNameDnsARecord"],
        ipv6,
        tags(live),
    )


def test_subnet(lifecycle: Any) -> None:
    lifecycle(
        SUBNET,
        prepare=network,
        inputs=lambda words: {
            "vpcId": words["vpc"],
            "cidrBlock": "10.7.1.0/24",
            "availabilityZone": "us-east-1b",
            "mapPublicIpOnLaunch": True,
            "ipv6CidrBlock": words["first"],
            "assignIpv6AddressOnCreation": True,
            "tags": {"tier": "public"},
        },
        look=subnet,
        made=lambda words: ("10.7.1.0/24", "us-east-1b", True, True, False, [words["first"]], {"tier": "public"}),
        outputs=lambda words: {"ownerId": words["account"]},
        change=lambda words: {
            "mapPublicIpOnLaunch": None,
            "ipv6CidrBlock": words["second"],
            "enableResourceNameDnsARecordOnLaunch": True,
            "enableDns64": True,
            "privateDnsHostnameTypeOnLaunch": "resource-name",
            "tags": None,
        },
        changed=lambda words: ("10.7.1.0/24", "us-east-1b", False, True, True, [words["second"]], {}),
        replaces=lambda words: [
            {"cidrBlock": "10.7.2.0/24"},
            {"vpcId": words["other"], "cidrBlock": "10.8.1.0/24"},
            {"availabilityZone": "us-east-1c"},
        ],
        drift=lambda world, resource_id: world.boto("ec2").modify_subnet_attribute(
            SubnetId=resource_id, MapPublicIpOnLaunch={"Value": True}
        ),
        drifted={"mapPublicIpOnLaunch": True},
    )


def test_a_subnet_loses_its_ipv6_range(world: Any) -> None:
    words = network(world)
    plain = {"vpcId": words["vpc"], "cidrBlock": "10.7.1.0/24"}
    dual = world.engine.checked(SUBNET, {**plain, "ipv6CidrBlock": words["first"], "assignIpv6AddressOnCreation": True})
    resource_id, state = world.engine.create(SUBNET, dual)
    single = world.engine.checked(SUBNET, plain)
    state = world.engine.update(SUBNET, resource_id, dual, single, state)
    assert subnet(world, resource_id)[3] is False
    assert subnet(world, resource_id)[5] == []
    assert state["ipv6CidrBlockAssociationId"] == ""
    assert world.engine.read(SUBNET, resource_id, single, state) == (single, state)


def test_the_zone_that_aws_chooses_is_no_drift(world: Any) -> None:
    inputs = world.engine.checked(SUBNET, {"vpcId": network(world)["vpc"], "cidrBlock": "10.7.1.0/24"})
    resource_id, state = world.engine.create(SUBNET, inputs)
    assert "availabilityZone" not in inputs
    assert world.engine.read(SUBNET, resource_id, inputs, state) == (inputs, state)
    imported, _ = world.engine.read(SUBNET, resource_id)
    assert imported["availabilityZone"].startswith("us-east-1")


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (VPC, {}, "cidrBlock"),
    (VPC, {"cidrBlock": "10.0.0.0/8"}, "/16 to /28"),
    (VPC, {"cidrBlock": "10.0.0.0/29"}, "/16 to /28"),
    (VPC, {"cidrBlock": "10.0.0.300/16"}, "too large"),
    (VPC, {"cidrBlock": "ten"}, "an IPv4 range"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "host"}, "one of default, dedicated"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": False, "enableDnsHostnames": True}, "needs enableDnsSup"),
    (VPC, {"cidrBlock": "10.0.0.0/16", "ipv4IpamPoolId": "ipam-1"}, "not supported"),
    (SUBNET, {"cidrBlock": "10.0.0.0/24"}, "is required"),
    (SUBNET, {"vpcId": "vpc-1"}, "is required"),
    (SUBNET, {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/30"}, "/16 to /28"),
    (SUBNET, {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "ipv6CidrBlock": "2001:db8::/32"}, "/44 to /64"),
    (SUBNET, {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "assignIpv6AddressOnCreation": True}, "needs ipv6CidrB"),
    (
        SUBNET,
        {"vpcId": "v", "cidrBlock": "10.0.0.0/24", "availabilityZone": "us-east-1a", "availabilityZoneId": "use1-az1"},
        "excludes availabilityZone",
    ),
]


@pytest.mark.parametrize(("token", "inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: Any, token: str, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(token, inputs).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


def test_what_is_not_known_yet_is_not_judged(world: Any) -> None:
    assert not world.engine.check(SUBNET, {"vpcId": UNKNOWN, "cidrBlock": UNKNOWN, "ipv6CidrBlock": UNKNOWN}).failures
    assert not world.engine.check(
        VPC, {"cidrBlock": UNKNOWN, "enableDnsSupport": UNKNOWN, "enableDnsHostnames": UNKNOWN}
    ).failures


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_range_means_its_prefix_alone(address: Any, bits: int) -> None:
    length = min(bits, address.max_prefixlen)
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    assert canonical(f"{address}/{length}") == str(network) == canonical(str(network))


@given(st.text(max_size=20))
def test_what_is_no_range_stays_as_it_is(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        assert canonical(text) == text


def test_other_bits_behind_the_prefix_are_no_change(world: Any) -> None:
    loose, strict = (world.engine.checked(VPC, {"cidrBlock": block}) for block in ("10.7.3.4/16", "10.7.0.0/16"))
    _, state = world.engine.create(VPC, loose)
    assert not world.engine.diff(VPC, loose, strict, state).diffs
