"""Security groups, against moto."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.providers.aws.types.ec2_permissions import as_sent, from_record, from_rules, to_rules
from tests.providers.aws.conftest import World, urn
from tests.providers.aws.types.test_ec2_vpc import tags

GROUP, DEFAULT = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"


def network(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    vpc, other = (ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    peer = ec2.create_security_group(GroupName="peer", Description="peer", VpcId=vpc)["GroupId"]
    prefixes = ec2.create_managed_prefix_list(PrefixListName="p", MaxEntries=1, AddressFamily="IPv4")["PrefixList"]
    return {"vpc": vpc, "other": other, "peer": peer, "prefixes": prefixes["PrefixListId"]}


def record(world: Any, group: str) -> Any:
    try:
        return world.boto("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidGroup.NotFound":
            raise
        return None


def passing(listed: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """What a group lets pass, as protocol, first port, and peer."""
    peers = {
        "IpRanges": "CidrIp",
        "Ipv6Ranges": "CidrIpv6",
        "UserIdGroupPairs": "GroupId",
        "PrefixListIds": "PrefixListId",
    }
    return {
        (entry["IpProtocol"], entry.get("FromPort"), peer[key])
        for entry in listed
        for kind, key in peers.items()
        for peer in entry.get(kind, ())
    }


def group(world: Any, resource_id: str) -> Any:
    live = record(world, resource_id)
    if live is None:
        return None
    return live["GroupName"], passing(live["IpPermissions"]), passing(live["IpPermissionsEgress"]), tags(live)


def rule(protocol: str, first: int, last: int, **peers: Any) -> dict[str, Any]:
    return {"protocol": protocol, "fromPort": first, "toPort": last, **peers}


def test_group(lifecycle: Any) -> None:
    lifecycle(
        GROUP,
        prepare=network,
        inputs=lambda words: {
            "name": "api",
            "vpcId": words["vpc"],
            "ingress": [
                rule("tcp", 443, 443, cidrBlocks=["10.0.0.0/8", "192.168.7.0/16"], ipv6CidrBlocks=["2001:db8::/32"]),
                rule("6", 8080, 8090, securityGroups=[words["peer"]], description="from the peer"),
            ],
            "egress": [rule("-1", 0, 0, cidrBlocks=["0.0.0.0/0"])],
            "tags": {"team": "ml"},
        },
        look=group,
        made=lambda words: (
            "api",
            {
                ("tcp", 443, "10.0.0.0/8"),
                ("tcp", 443, "192.168.0.0/16"),
                ("tcp", 443, "2001:db8::/32"),
                ("tcp", 8080, words["peer"]),
            },
            {("-1", None, "0.0.0.0/0")},
            {"team": "ml"},
        ),
        outputs=lambda words: {"ownerId": words["account"]},
        change=lambda words: {
            "ingress": [
                rule("tcp", 8080, 8090, securityGroups=[words["peer"]], description="from the other side"),
                rule("udp", 53, 53, prefixListIds=[words["prefixes"]], description="forgotten by the emulator"),
            ],
            "egress": [rule("tcp", 443, 443, cidrBlocks=["0.0.0.0/0"])],
            "tags": None,
        },
        changed=lambda words: (
            "api",
            {("tcp", 8080, words["peer"]), ("udp", 53, words["prefixes"])},
            {("tcp", 443, "0.0.0.0/0")},
            {},
        ),
        replaces=lambda words: [{"name": "other"}, {"description": "for the API"}, {"vpcId": words["other"]}],
        drift=lambda world, resource_id: world.boto("ec2").authorize_security_group_egress(
            GroupId=resource_id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        ),
        drifted={
            "egress": [
                rule("-1", 0, 0, cidrBlocks=["0.0.0.0/0"]),
                rule("tcp", 443, 443, cidrBlocks=["0.0.0.0/0"]),
            ]
        },
    )


def test_nothing_goes_out_of_a_group_unless_it_is_said(world: Any) -> None:
    inputs = world.engine.checked(GROUP, {"vpcId": network(world)["vpc"]})
    resource_id, state = world.engine.create(GROUP, inputs)
    assert inputs["name"].startswith("thing-")
    assert group(world, resource_id) == (inputs["name"], set(), set(), {})
    assert world.engine.read(GROUP, resource_id, inputs, state) == (inputs, state)
    world.boto("ec2").authorize_security_group_ingress(
        GroupId=resource_id, IpProtocol="tcp", FromPort=1, ToPort=1, CidrIp="10.0.0.0/8"
    )
    assert world.engine.read(GROUP, resource_id, inputs, state) == (inputs, state), "rules are left to others"


def test_a_group_names_itself(world: Any) -> None:
    program = {"vpcId": network(world)["vpc"], "ingress": [rule("-1", 0, 0, self=True)]}
    inputs = world.engine.checked(GROUP, program)
    resource_id, state = world.engine.create(GROUP, inputs)
    assert group(world, resource_id)[1] == {("-1", None, resource_id)}
    assert world.engine.read(GROUP, resource_id, inputs, state) == (inputs, state)


def test_rules_put_together_otherwise_are_no_change(world: Any) -> None:
    words = network(world)
    one = [rule("tcp", 1, 2, cidrBlocks=["10.0.0.0/8", "10.1.0.0/16"])]
    two = [rule("6", 1, 2, cidrBlocks=["10.1.5.5/16"]), rule("TCP", 1, 2, cidrBlocks=["10.0.0.0/8"])]
    first, second = (
        world.engine.checked(GROUP, {"name": "n", "vpcId": words["vpc"], "ingress": it}) for it in (one, two)
    )
    _, state = world.engine.create(GROUP, first)
    assert not world.engine.diff(GROUP, first, second, state).diffs


def test_a_name_that_is_taken(world: Any, failure: Any) -> None:
    inputs = world.engine.checked(GROUP, {"name": "peer", "vpcId": network(world)["vpc"]})
    error, _ = failure(world.engine.create, GROUP, inputs)
    assert "InvalidGroup.Duplicate" in error.details()
    assert "belongs to somebody else" in error.details()


def test_a_group_loses_its_rules_before_it_goes_if_told_so(world: Any) -> None:
    ec2, words = world.boto("ec2"), network(world)
    program = {"vpcId": words["vpc"], "revokeRulesOnDelete": True, "ingress": [rule("-1", 0, 0, self=True)]}
    inputs = world.engine.checked(GROUP, program)
    resource_id, state = world.engine.create(GROUP, inputs)
    ec2.authorize_security_group_egress(
        GroupId=resource_id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    world.engine.delete(GROUP, resource_id, inputs, state)
    assert record(world, resource_id) is None


# ------------------------------------------------------------------------------------------------ the default group


def default_of(world: Any, vpc: str) -> Any:
    mine = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    return world.boto("ec2").describe_security_groups(Filters=mine)["SecurityGroups"][0]


def default_group(world: Any, resource_id: str) -> Any:
    live = record(world, resource_id)
    found = {tag["Key"]: tag["Value"] for tag in live["Tags"]}
    inward = {(*item[:2], "SELF" if item[2] == resource_id else item[2]) for item in passing(live["IpPermissions"])}
    return inward, passing(live["IpPermissionsEgress"]), found


def test_the_default_group_is_closed(lifecycle: Any) -> None:
    lifecycle(
        DEFAULT,
        prepare=network,
        inputs=lambda words: {"vpcId": words["vpc"], "tags": {"Name": "closed"}},
        look=default_group,
        made=lambda words: (set(), set(), {"Name": "closed"}),
        outputs=lambda words: {"name": "default", "ownerId": words["account"]},
        change=lambda words: {"ingress": [rule("-1", 0, 0, self=True)], "tags": None},
        changed=lambda words: ({("-1", None, "SELF")}, set(), {}),
        replaces=lambda words: [{"vpcId": words["other"]}],
        drift=lambda world, resource_id: world.boto("ec2").authorize_security_group_egress(
            GroupId=resource_id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        ),
        drifted={"egress": [rule("-1", 0, 0, cidrBlocks=["0.0.0.0/0"])]},
        lasting=True,
    )


def test_the_default_group_is_that_of_the_vpc(world: Any) -> None:
    words = network(world)
    own = default_of(world, words["vpc"])
    resource_id, _ = world.engine.create(DEFAULT, world.engine.checked(DEFAULT, {"vpcId": words["vpc"]}))
    assert resource_id == own["GroupId"]
    assert own["IpPermissionsEgress"]
    assert not default_of(world, words["vpc"])["IpPermissionsEgress"]
    assert default_of(world, words["other"])["IpPermissionsEgress"], "another VPC's is left alone"


def test_the_default_group_of_the_default_vpc(world: Any) -> None:
    inputs = world.engine.checked(DEFAULT, {"tags": {"a": "b"}})
    resource_id, state = world.engine.create(DEFAULT, inputs)
    vpcs = world.boto("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert resource_id == default_of(world, vpcs[0]["VpcId"])["GroupId"]
    assert world.engine.read(DEFAULT, resource_id, inputs, state) == (inputs, state)


def test_a_vpc_that_is_not_there_has_no_default_group(world: Any, failure: Any) -> None:
    inputs = world.engine.checked(DEFAULT, {"vpcId": "vpc-00000000000000000"})
    error, _ = failure(world.engine.create, DEFAULT, inputs)
    assert "vpc-00000000000000000 has no default security group" in error.details()


def test_the_default_group_after_a_create_that_was_cut_off(elsewhere: World, unfinished: dict[str, set[str]]) -> None:
    inputs = elsewhere.engine.checked(DEFAULT, {"vpcId": network(elsewhere)["vpc"], "tags": {"a": "b"}})
    unfinished[urn(DEFAULT)] = set()
    made, state = elsewhere.engine.create(DEFAULT, inputs)
    assert elsewhere.engine.create(DEFAULT, inputs) == (made, state)
    assert default_group(elsewhere, made) == (set(), set(), {"a": "b"})


# ------------------------------------------------------------------------------------------------------ refusals

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (GROUP, {"name": "sg-mine"}, "1 to 255"),
    (GROUP, {"description": "zu groß"}, "1 to 255"),
    (GROUP, {"description": ""}, "1 to 255"),
    (GROUP, {"ingress": [rule("tcp", 443, 99999, cidrBlocks=["0.0.0.0/0"])]}, "from -1 to 65535"),
    (GROUP, {"ingress": [rule("tcp", 443, 80, cidrBlocks=["0.0.0.0/0"])]}, "from 0 to toPort"),
    (GROUP, {"egress": [rule("-1", 443, 443, cidrBlocks=["0.0.0.0/0"])]}, "must be 0"),
    (DEFAULT, {"ingress": [rule("all", 1, 2, self=True)]}, "must be 0"),
    (GROUP, {"ingress": [rule("tcp", 1, 1, cidrBlocks=["everyone"])]}, "an IPv4 range"),
    (GROUP, {"namePrefix": "a"}, "not supported"),
]


@pytest.mark.parametrize(("token", "inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: Any, token: str, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(token, inputs).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


# --------------------------------------------------------------------------------------- permissions, whatever they are

RANGES = st.lists(st.ip_addresses(v=4).map(lambda at: f"{at}/32"), max_size=3)
PORTS = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(sorted)
RULES = st.lists(
    st.builds(
        lambda protocol, ports, ranges, groups, own, text: {
            **rule(protocol, *((0, 0) if protocol == "-1" else ports), cidrBlocks=ranges, securityGroups=groups),
            "self": own,
            "description": text,
        },
        st.sampled_from(["tcp", "udp", "6", "-1", "all", "icmp"]).map(str),
        PORTS,
        RANGES,
        st.lists(st.sampled_from(["sg-1", "sg-2"]), max_size=2),
        st.booleans(),
        st.sampled_from(["", "why"]),
    ).filter(lambda it: it["protocol"] != "all" or (it["fromPort"], it["toPort"]) == (0, 0)),
    max_size=4,
)


@given(RULES)
def test_rules_say_the_same_after_a_way_through_aws(rules: list[dict[str, Any]]) -> None:
    permissions = from_rules(rules)
    listed = [as_sent(item, "sg-own") for item in permissions]
    assert from_record(listed, "sg-own") == permissions
    assert from_rules(to_rules(permissions)) == permissions
