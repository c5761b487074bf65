"""VPC endpoints, against moto; waiting, which moto never asks for, against a script."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.registry import find
from mlinfra.providers.aws.resource import Made
from tests.providers.aws.types.test_ec2_vpc import tags

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
S3, ECR = "com.amazonaws.us-east-1.s3", "com.amazonaws.us-east-1.ecr.api"


def network(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    vpc, other = (ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    words = {"vpc": vpc, "other": other}
    for number, name in enumerate(("one", "two")):
        words[f"table_{name}"] = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        words[f"subnet_{name}"] = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24")["Subnet"]["SubnetId"]
        words[f"group_{name}"] = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
    return words


def endpoint(world: Any, resource_id: str) -> Any:
    found = world.boto("ec2").describe_vpc_endpoints(VpcEndpointIds=[resource_id])["VpcEndpoints"]
    live = next((item for item in found if item["State"] != "deleted"), None)
    if live is None:
        return None
    policy = json.loads(live["PolicyDocument"])["Statement"][0]
    groups = {group["GroupId"] for group in live["Groups"]}
    return live["ServiceName"], set(live["RouteTableIds"]) | set(live["SubnetIds"]) | groups, policy, tags(live)


def policy(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_gateway_endpoint(lifecycle: Any) -> None:
    words: dict[str, Any] = {}
    lifecycle(
        ENDPOINT,
        prepare=lambda world: words.update(network(world)) or words,
        inputs=lambda words: {
            "vpcId": words["vpc"],
            "serviceName": S3,
            "routeTableIds": [words["table_one"]],
            "policy": policy("s3:GetObject"),
            "tags": {"team": "ml"},
        },
        look=endpoint,
        made=lambda words: (S3, {words["table_one"]}, policy("s3:GetObject")["Statement"][0], {"team": "ml"}),
        outputs=lambda words: {"state": "available", "ownerId": words["account"], "requesterManaged": False},
        change=lambda words: {
            "routeTableIds": [words["table_two"], words["table_one"]],
            "policy": json.dumps(policy("s3:*")),
            "tags": None,
        },
        changed=lambda words: (S3, {words["table_one"], words["table_two"]}, policy("s3:*")["Statement"][0], {}),
        replaces=lambda words: [
            {"vpcId": words["other"]},
            {"serviceName": "com.amazonaws.us-east-1.dynamodb"},
        ],
        drift=lambda world, resource_id: world.boto("ec2").modify_vpc_endpoint(
            VpcEndpointId=resource_id, PolicyDocument=json.dumps(policy("*"))
        ),
        drifted={"policy": json.dumps(policy("*"))},
    )


def test_the_prefix_list_of_a_gateway_endpoint(world: Any) -> None:
    words = network(world)
    inputs = world.engine.checked(ENDPOINT, {"vpcId": words["vpc"], "serviceName": S3})
    _, state = world.engine.create(ENDPOINT, inputs)
    lists = {
        item["PrefixListName"]: item["PrefixListId"]
        for item in world.boto("ec2").describe_prefix_lists()["PrefixLists"]
    }
    assert state["prefixListId"] == lists[S3]


def test_interface_endpoint(lifecycle: Any) -> None:
    words: dict[str, Any] = {}
    lifecycle(
        ENDPOINT,
        prepare=lambda world: words.update(network(world)) or words,
        inputs=lambda words: {
            "vpcId": words["vpc"],
            "serviceName": ECR,
            "vpcEndpointType": "Interface",
            "subnetIds": [words["subnet_one"]],
            "securityGroupIds": [words["group_one"]],
            "privateDnsEnabled": True,
            "policy": policy("ecr:*"),
        },
        look=endpoint,
        made=lambda words: (ECR, {words["subnet_one"], words["group_one"]}, policy("ecr:*")["Statement"][0], {}),
        outputs=lambda words: {"prefixListId": "", "cidrBlocks": []},
        change=lambda words: {
            "subnetIds": [words["subnet_one"], words["subnet_two"]],
            "securityGroupIds": [words["group_two"]],
            "tags": {"team": "ml"},
        },
        changed=lambda words: (
            ECR,
            {words["subnet_one"], words["subnet_two"], words["group_two"]},
            policy("ecr:*")["Statement"][0],
            {"team": "ml"},
        ),
        replaces=lambda words: [{"serviceName": "com.amazonaws.us-east-1.ecr.dkr"}],
        drift=lambda world, resource_id: world.boto("ec2").modify_vpc_endpoint(
            VpcEndpointId=resource_id, PolicyDocument=json.dumps(policy("*"))
        ),
        drifted={"policy": json.dumps(policy("*"))},
    )


def test_what_aws_chooses_is_no_drift(world: Any) -> None:
    words = network(world)
    program = {"vpcId": words["vpc"], "serviceName": ECR, "vpcEndpointType": "Interface"}
    inputs = world.engine.checked(ENDPOINT, {**program, "subnetIds": [words["subnet_one"]]})
    resource_id, state = world.engine.create(ENDPOINT, inputs)
    live = world.boto("ec2").describe_vpc_endpoints(VpcEndpointIds=[resource_id])["VpcEndpoints"][0]
    assert state["networkInterfaceIds"] == live["NetworkInterfaceIds"]
    assert state["dnsEntries"][0]["dnsName"] == live["DnsEntries"][0]["DnsName"]
    assert live["PrivateDnsEnabled"] is False
    world.boto("ec2").modify_vpc_endpoint(VpcEndpointId=resource_id, AddSecurityGroupIds=[words["group_one"]])
    assert world.engine.read(ENDPOINT, resource_id, inputs, state) == (inputs, state)


VPC = {"vpcId": "vpc-1"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (VPC, "serviceName is required"),
    ({**VPC, "serviceName": S3, "subnetIds": ["subnet-1"]}, "of type Interface alone"),
    ({**VPC, "serviceName": S3, "privateDnsEnabled": True}, "of type Interface alone"),
    ({**VPC, "serviceName": ECR, "vpcEndpointType": "Interface", "routeTableIds": ["r"]}, "of type Gateway alone"),
    ({**VPC, "serviceName": ECR, "vpcEndpointType": "GatewayLoadBalancer"}, "one of Gateway, Interface"),
    ({**VPC, "serviceName": ECR, "policy": "everything"}, "must be JSON"),
]


@pytest.mark.parametrize(("inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: Any, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(ENDPOINT, inputs).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


# --------------------------------------------------------------------------------------------- what takes time


class Script:
    """An EC2 that answers DescribeVpcEndpoints with one state after the other, and notes what else it is asked for."""

    def __init__(self, *states: str) -> None:
        self.states, self.asked = list(states), []
        self.seconds, self.cancelled = 5.0, threading.Event()

    def api(self, service: str) -> Script:
        return self

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:us-east-1:1:{resource}"

    def find(self, operation: str, absent: Any, **parameters: Any) -> Any:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        record = {
            "VpcEndpointId": "vpce-1",
            "VpcEndpointType": "Interface",
            "VpcId": "vpc-1",
            "ServiceName": ECR,
            "OwnerId": "1",
            "State": state,
            "LastError": {"Code": "TooMany", "Message": "no address is left in the subnet"},
        }
        return {"VpcEndpoints": [record] if state else []}

    def call(self, operation: str, **parameters: Any) -> Any:
        self.asked.append(operation)
        return {}


PROGRAM = {"vpcId": "vpc-1", "serviceName": ECR, "vpcEndpointType": "Interface", "privateDnsEnabled": False}


def test_an_endpoint_is_waited_for() -> None:
    script: Any = Script("", "", "pending", "pending", "available")
    assert find(ENDPOINT).complete(script, Made("vpce-1"), PROGRAM)["state"] == "available"
    assert script.asked == []


def test_an_endpoint_that_fails_is_told_at_once_with_the_reason() -> None:
    script: Any = Script("pending", "pending", "failed")
    with pytest.raises(AwsError, match="TooMany: no address is left in the subnet"):
        find(ENDPOINT).complete(script, Made("vpce-1"), PROGRAM)
    assert find(ENDPOINT).read(script, "vpce-1", PROGRAM) is None


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (("available", "deleting", "deleting", "deleted"), ["delete_vpc_endpoints"]),
        (("deleting", "deleting", ""), []),
        (("",), []),
    ],
)
def test_the_deletion_of_an_endpoint_is_waited_for(states: tuple[str, ...], asked: list[str]) -> None:
    script: Any = Script(*states)
    find(ENDPOINT).delete(script, "vpce-1", PROGRAM)
    assert (script.asked, script.states) == (asked, [states[-1]])
