"""Internet gateways, addresses and NAT gateways, against moto; waiting, which moto never asks for, against a script."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.registry import find
from mlinfra.providers.aws.resource import Made
from tests.providers.aws.types.test_ec2_vpc import tags

GATEWAY, EIP, NAT = "aws:ec2/internetGateway:InternetGateway", "aws:ec2/eip:Eip", "aws:ec2/natGateway:NatGateway"


def two_vpcs(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    return {name: ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"] for name in ("one", "two")}


def described(world: Any, operation: str, key: str, absent: str, **ids: list[str]) -> Any:
    try:
        found = getattr(world.boto("ec2"), operation)(**ids)[key]
    except ClientError as error:
        if error.response["Error"]["Code"] != absent:
            raise
        return None
    return found[0] if found else None


def gateway(world: Any, resource_id: str) -> Any:
    live = described(
        world,
        "describe_internet_gateways",
        "InternetGateways",
        "InvalidInternetGatewayID.NotFound",
        InternetGatewayIds=[resource_id],
    )
    return live and ([item["VpcId"] for item in live["Attachments"]], tags(live))


def test_internet_gateway(lifecycle: Any) -> None:
    words: dict[str, Any] = {}
    lifecycle(
        GATEWAY,
        prepare=lambda world: words.update(two_vpcs(world)) or words,
        inputs=lambda words: {"vpcId": words["one"], "tags": {"team": "ml"}},
        look=gateway,
        made=lambda words: ([words["one"]], {"team": "ml"}),
        outputs=lambda words: {"ownerId": words["account"]},
        change=lambda words: {"vpcId": words["two"], "tags": {"tier": "dev"}},
        changed=lambda words: ([words["two"]], {"tier": "dev"}),
        drift=lambda world, resource_id: world.boto("ec2").detach_internet_gateway(
            InternetGatewayId=resource_id, VpcId=words["two"]
        ),
        drifted={"vpcId": None},
    )


def test_a_gateway_without_a_vpc_leaves_its_attachment_to_others(world: Any) -> None:
    inputs = world.engine.checked(GATEWAY, {"tags": {"team": "ml"}})
    resource_id, state = world.engine.create(GATEWAY, inputs)
    assert gateway(world, resource_id) == ([], {"team": "ml"})
    world.boto("ec2").attach_internet_gateway(InternetGatewayId=resource_id, VpcId=two_vpcs(world)["one"])
    assert world.engine.read(GATEWAY, resource_id, inputs, state) == (inputs, state)
    world.engine.delete(GATEWAY, resource_id, inputs, state)
    assert gateway(world, resource_id) is None


def a_subnet(world: Any) -> str:
    vpc = world.boto("ec2").create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    return str(world.boto("ec2").create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"])


def interfaces(world: Any) -> dict[str, Any]:
    ec2, subnet = world.boto("ec2"), a_subnet(world)
    made = [ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"] for _ in range(2)]
    return {"one": made[0]["NetworkInterfaceId"], "two": made[1]["NetworkInterfaceId"]}


def address(world: Any, resource_id: str) -> Any:
    live = described(
        world, "describe_addresses", "Addresses", "InvalidAllocationID.NotFound", AllocationIds=[resource_id]
    )
    return live and (live["Domain"], live.get("NetworkInterfaceId"), tags(live))


def test_eip(lifecycle: Any) -> None:
    lifecycle(
        EIP,
        prepare=interfaces,
        inputs=lambda words: {"domain": "vpc", "networkInterface": words["one"], "tags": {"team": "ml"}},
        look=address,
        made=lambda words: ("vpc", words["one"], {"team": "ml"}),
        change=lambda words: {"networkInterface": words["two"], "tags": None},
        changed=lambda words: ("vpc", words["two"], {}),
        drift=lambda world, resource_id: world.boto("ec2").disassociate_address(
            AssociationId=world.boto("ec2").describe_addresses(AllocationIds=[resource_id])["Addresses"][0][
                "AssociationId"
            ]
        ),
        drifted={"networkInterface": None},
    )


@pytest.mark.parametrize(("region", "place"), [("us-east-1", "compute-1"), ("eu-west-1", "eu-west-1.compute")])
def test_the_name_of_an_address(world: Any, region: str, place: str) -> None:
    inputs = world.engine.checked(EIP, {"region": region})
    resource_id, state = world.engine.create(EIP, inputs)
    assert state["allocationId"] == resource_id
    assert state["publicDns"] == f"ec2-{state['publicIp'].replace('.', '-')}.{place}.amazonaws.com"
    assert state["arn"] == f"arn:aws:ec2:{region}:{world.account}:elastic-ip/{resource_id}"


def places(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    allocations = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2)]
    return {"subnet": a_subnet(world), "other": a_subnet(world), "one": allocations[0], "two": allocations[1]}


def nat(world: Any, resource_id: str) -> Any:
    found = world.boto("ec2").describe_nat_gateways(NatGatewayIds=[resource_id])["NatGateways"]
    if not found or found[0]["State"] == "deleted":
        return None
    (at,) = found[0]["NatGatewayAddresses"]
    return found[0]["SubnetId"], found[0]["ConnectivityType"], at.get("AllocationId"), tags(found[0])


def test_nat_gateway(lifecycle: Any) -> None:
    lifecycle(
        NAT,
        prepare=places,
        inputs=lambda words: {"subnetId": words["subnet"], "allocationId": words["one"], "tags": {"team": "ml"}},
        look=nat,
        made=lambda words: (words["subnet"], "public", words["one"], {"team": "ml"}),
        change=lambda words: {"tags": {"tier": "dev"}},
        changed=lambda words: (words["subnet"], "public", words["one"], {"tier": "dev"}),
        replaces=lambda words: [
            {"subnetId": words["other"]},
            {"allocationId": words["two"]},
            {"connectivityType": "private", "allocationId": None},
        ],
        drift=lambda world, resource_id: world.boto("ec2").create_tags(
            Resources=[resource_id], Tags=[{"Key": "theirs", "Value": "1"}]
        ),
        drifted={"tags": {"tier": "dev", "theirs": "1"}},
    )


def test_a_private_nat_gateway(world: Any) -> None:
    inputs = world.engine.checked(NAT, {"subnetId": a_subnet(world), "connectivityType": "private"})
    resource_id, state = world.engine.create(NAT, inputs)
    assert nat(world, resource_id)[1:3] == ("private", None)
    assert (state["publicIp"], state["associationId"]) == ("", "")
    assert world.engine.read(NAT, resource_id, inputs, state) == (inputs, state)


def test_an_address_is_free_again_when_its_nat_gateway_is_gone(world: Any) -> None:
    words = places(world)
    address_inputs = world.engine.checked(EIP, {})
    allocation, address_state = world.engine.create(EIP, address_inputs)
    first = world.engine.checked(NAT, {"subnetId": words["subnet"], "allocationId": allocation})
    one, state = world.engine.create(NAT, first)
    assert state["publicIp"] == address_state["publicIp"]
    assert world.engine.read(EIP, allocation, address_inputs, address_state) == (address_inputs, address_state)
    world.engine.delete(NAT, one, first, state)
    assert not world.boto("ec2").describe_addresses(AllocationIds=[allocation])["Addresses"][0].get("AssociationId")
    second = world.engine.checked(NAT, {"subnetId": words["other"], "allocationId": allocation})
    two, _ = world.engine.create(NAT, second)
    assert nat(world, two)[0] == words["other"]


def test_a_nat_gateway_that_never_was_can_be_deleted(world: Any) -> None:
    inputs = world.engine.checked(NAT, {"subnetId": a_subnet(world), "connectivityType": "private"})
    world.engine.delete(NAT, "nat-00000000000000000", inputs, {})


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (NAT, {"connectivityType": "private"}, "subnetId"),
    (NAT, {"subnetId": "s"}, "allocationId"),
    (NAT, {"subnetId": "s", "allocationId": "e", "connectivityType": "private"}, "excludes a private"),
    (NAT, {"subnetId": "s", "connectivityType": "both"}, "one of public, private"),
    (NAT, {"subnetId": "s", "allocationId": "e", "availabilityMode": "regional"}, "not supported"),
    (EIP, {"instance": "i-1", "networkInterface": "eni-1"}, "excludes instance"),
    (EIP, {"domain": "standard"}, "one of vpc"),
]


@pytest.mark.parametrize(("token", "inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: Any, token: str, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(token, inputs).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


# --------------------------------------------------------------------------------------------- what takes time


class Script:
    """An EC2 that answers DescribeNatGateways with one state after the other, and notes what else it is asked for."""

    def __init__(self, *states: str) -> None:
        self.states, self.asked = list(states), []
        self.region, self.seconds, self.cancelled = "us-east-1", 5.0, threading.Event()

    def api(self, service: str) -> Script:
        return self

    def find(self, operation: str, absent: Any, **parameters: Any) -> Any:
        if operation != "describe_nat_gateways":
            self.asked.append(operation)
            return {}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        record = {
            "NatGatewayId": "nat-1",
            "SubnetId": "subnet-1",
            "ConnectivityType": "private",
            "State": state,
            "FailureCode": "Gateway.NotAttached",
            "FailureMessage": "the VPC has no internet gateway",
            "NatGatewayAddresses": [{"NetworkInterfaceId": "eni-1"}],
        }
        return {"NatGateways": [record] if state else []}


PRIVATE = {"subnetId": "subnet-1", "connectivityType": "private"}


def test_a_nat_gateway_is_waited_for() -> None:
    script: Any = Script("", "pending", "pending", "available")
    made = find(NAT).complete(script, Made("nat-1"), PRIVATE)
    assert script.states == ["available"]
    assert made == {"associationId": "", "networkInterfaceId": "eni-1", "publicIp": ""}


def test_a_nat_gateway_that_fails_is_told_at_once_with_the_reason() -> None:
    script: Any = Script("pending", "failed")
    with pytest.raises(AwsError, match=r"Gateway\.NotAttached: the VPC has no internet gateway"):
        find(NAT).complete(script, Made("nat-1"), PRIVATE)
    assert find(NAT).read(script, "nat-1", PRIVATE) is None


def test_the_deletion_of_a_nat_gateway_is_waited_for() -> None:
    script: Any = Script("available", "deleting", "deleting", "deleted")
    find(NAT).delete(script, "nat-1", PRIVATE)
    assert (script.asked, script.states) == (["delete_nat_gateway"], ["deleted"])


def test_a_deletion_that_was_begun_is_waited_for_and_not_asked_for_again() -> None:
    script: Any = Script("deleting", "deleting", "")
    find(NAT).delete(script, "nat-1", PRIVATE)
    assert (script.asked, script.states) == ([], [""])
