"""Rules of security groups as resources of their own, against moto."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.functions import UNKNOWN
from tests.providers.aws.types.test_ec2_groups import network
from tests.providers.aws.types.test_ec2_vpc import tags

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
BOTH = pytest.mark.parametrize("token", [INGRESS, EGRESS])


def groups(world: Any) -> dict[str, Any]:
    words = network(world)
    ec2 = world.boto("ec2")
    made = [
        ec2.create_security_group(GroupName=name, Description=name, VpcId=words["vpc"])["GroupId"]
        for name in ("one", "two")
    ]
    return {**words, "one": made[0], "two": made[1]}


def rule(world: Any, resource_id: str) -> Any:
    found = [
        item
        for item in world.boto("ec2").describe_security_group_rules()["SecurityGroupRules"]
        if item["SecurityGroupRuleId"] == resource_id
    ]
    if not found:
        return None
    (live,) = found
    peer = live.get("CidrIpv4") or live.get("CidrIpv6") or live.get("PrefixListId")
    peer = peer or live["ReferencedGroupInfo"]["GroupId"]
    ports = live["FromPort"], live["ToPort"]
    return live["IsEgress"], live["IpProtocol"], *ports, peer, live.get("Description") or "", tags(live)


@BOTH
def test_rule(lifecycle: Any, token: str) -> None:
    outward = token == EGRESS
    words: dict[str, Any] = {}
    lifecycle(
        token,
        prepare=lambda world: words.update(groups(world)) or words,
        inputs=lambda words: {
            "securityGroupId": words["one"],
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
            "cidrIpv4": "10.0.0.0/8",
            "description": "the API",
            "tags": {"team": "ml"},
        },
        look=rule,
        made=lambda words: (outward, "tcp", 443, 443, "10.0.0.0/8", "the API", {"team": "ml"}),
        change=lambda words: {
            "ipProtocol": "udp",
            "fromPort": 8000,
            "toPort": 8010,
            "cidrIpv4": "192.168.0.0/16",
            "description": None,
            "tags": {"tier": "dev"},
        },
        changed=lambda words: (outward, "udp", 8000, 8010, "192.168.0.0/16", "", {"tier": "dev"}),
        replaces=lambda words: [
            {"securityGroupId": words["two"]},
            {"cidrIpv4": None, "cidrIpv6": "::/0"},
            {"cidrIpv4": None, "referencedSecurityGroupId": words["peer"]},
        ],
        drift=lambda world, resource_id: world.boto("ec2").modify_security_group_rules(
            GroupId=words["one"],
            SecurityGroupRules=[
                {
                    "SecurityGroupRuleId": resource_id,
                    "SecurityGroupRule": {
                        "IpProtocol": "udp",
                        "FromPort": 8000,
                        "ToPort": 8010,
                        "CidrIpv4": "0.0.0.0/0",
                        "Description": "opened",
                    },
                }
            ],
        ),
        drifted={"cidrIpv4": "0.0.0.0/0", "description": "opened"},
    )


PEERS = ["cidrIpv6", "referencedSecurityGroupId", "prefixListId"]


@BOTH
@pytest.mark.parametrize("name", PEERS)
def test_each_kind_of_peer(world: Any, token: str, name: str) -> None:
    words = groups(world)
    peer = {"cidrIpv6": "2001:db8::/32", "referencedSecurityGroupId": words["peer"], "prefixListId": words["prefixes"]}
    program = {"securityGroupId": words["one"], "ipProtocol": "-1", name: peer[name], "description": "all of it"}
    inputs = world.engine.checked(token, program)
    resource_id, state = world.engine.create(token, inputs)
    assert rule(world, resource_id)[1:] == ("-1", -1, -1, peer[name], "all of it", {})
    assert state["securityGroupRuleId"] == resource_id
    assert state["arn"] == f"arn:aws:ec2:us-east-1:{world.account}:security-group-rule/{resource_id}"
    assert world.engine.read(token, resource_id, inputs, state) == (inputs, state)


def test_another_group_is_another_rule(world: Any) -> None:
    words = groups(world)
    program = {"securityGroupId": words["one"], "ipProtocol": "-1"}
    first, second = (
        world.engine.checked(INGRESS, {**program, "referencedSecurityGroupId": words[name]}) for name in ("peer", "two")
    )
    _, state = world.engine.create(INGRESS, first)
    difference = world.engine.diff(INGRESS, first, second, state)
    assert list(difference.replaces) == ["referencedSecurityGroupId"]
    assert not difference.deleteBeforeReplace


def test_the_number_of_a_protocol_and_bits_behind_a_prefix_are_no_change(world: Any) -> None:
    program = {"securityGroupId": groups(world)["one"], "fromPort": 1, "toPort": 2}
    first = world.engine.checked(INGRESS, {**program, "ipProtocol": "6", "cidrIpv4": "10.9.8.7/8"})
    second = world.engine.checked(INGRESS, {**program, "ipProtocol": "tcp", "cidrIpv4": "10.0.0.0/8"})
    resource_id, state = world.engine.create(INGRESS, first)
    assert world.engine.read(INGRESS, resource_id, first, state) == (first, state)
    assert not world.engine.diff(INGRESS, first, second, state).diffs


def test_a_rule_that_is_there_already(world: Any, failure: Any) -> None:
    words = groups(world)
    program = {"securityGroupId": words["one"], "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8"}
    world.boto("ec2").authorize_security_group_ingress(
        GroupId=words["one"], IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    )
    error, _ = failure(world.engine.create, INGRESS, world.engine.checked(INGRESS, program))
    assert "InvalidPermission.Duplicate" in error.details()
    assert "belongs to somebody else" in error.details()


def test_a_rule_whose_group_is_gone(world: Any) -> None:
    words = groups(world)
    program = {"securityGroupId": words["one"], "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8"}
    inputs = world.engine.checked(INGRESS, program)
    resource_id, state = world.engine.create(INGRESS, inputs)
    world.boto("ec2").delete_security_group(GroupId=words["one"])
    assert world.engine.read(INGRESS, resource_id, inputs, state) is None
    world.engine.delete(INGRESS, resource_id, inputs, state)


def test_a_rule_of_the_other_direction_is_not_imported(world: Any) -> None:
    program = {"securityGroupId": groups(world)["one"], "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8"}
    resource_id, _ = world.engine.create(EGRESS, world.engine.checked(EGRESS, program))
    assert world.engine.read(EGRESS, resource_id) is not None
    assert world.engine.read(INGRESS, resource_id) is None


ALL = {"securityGroupId": "sg-1", "ipProtocol": "-1"}
TCP = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "cidrIpv4": "10.0.0.0/8"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (ALL, "another peer is required"),
    ({**ALL, "cidrIpv4": "10.0.0.0/8", "prefixListId": "pl-1"}, "excludes cidrIpv4"),
    ({**ALL, "cidrIpv4": "10.0.0.0/8", "fromPort": 0, "toPort": 0}, "exclude protocol -1"),
    ({**ALL, "cidrIpv4": "10.0.0.0/40"}, "too large"),
    ({**ALL, "cidrIpv6": "fe80::/200"}, "too large"),
    (TCP, "is required for protocol tcp"),
    ({**TCP, "fromPort": 1}, "is required for protocol tcp"),
    ({**TCP, "fromPort": 443, "toPort": 80}, "from 0 to toPort"),
    ({**TCP, "fromPort": 1, "toPort": 99999}, "from -1 to 65535"),
    ({**TCP, "ipProtocol": "t/cp", "fromPort": 1, "toPort": 1}, "tcp, udp, icmp"),
]


@BOTH
@pytest.mark.parametrize(("inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: Any, token: str, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(token, inputs).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


def test_what_is_not_known_yet_is_not_judged(world: Any) -> None:
    program = {"securityGroupId": UNKNOWN, "referencedSecurityGroupId": UNKNOWN, "ipProtocol": UNKNOWN}
    assert not world.engine.check(INGRESS, {**program, "fromPort": UNKNOWN, "toPort": 3}).failures
