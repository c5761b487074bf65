"""Route tables, routes and associations, against moto."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.functions import UNKNOWN
from mlinfra.wire.values import decode
from tests.providers.aws.conftest import World, urn
from tests.providers.aws.types.test_ec2_vpc import tags

TABLE, ROUTE = "aws:ec2/routeTable:RouteTable", "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"


def network(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    vpc, other = (ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24")["Subnet"]["SubnetId"] for number in (1, 2)]
    prefixes = ec2.create_managed_prefix_list(PrefixListName="p", MaxEntries=1, AddressFamily="IPv4")["PrefixList"]
    return {
        "vpc": vpc,
        "other": other,
        "subnet": subnets[0],
        "second": subnets[1],
        "gateway": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "nat": ec2.create_nat_gateway(SubnetId=subnets[0], ConnectivityType="private")["NatGateway"]["NatGatewayId"],
        "egress": ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"][
            "EgressOnlyInternetGatewayId"
        ],
        "interface": ec2.create_network_interface(SubnetId=subnets[0])["NetworkInterface"]["NetworkInterfaceId"],
        "table": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "table2": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "prefixes": prefixes["PrefixListId"],
    }


def live_table(world: Any, table: str) -> Any:
    try:
        return world.boto("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidRouteTableID.NotFound":
            raise
        return None


def routes_of(world: Any, table: str) -> dict[str, str]:
    words = ("GatewayId", "NatGatewayId", "EgressOnlyInternetGatewayId", "NetworkInterfaceId")
    return {
        next(value for key, value in route.items() if key.startswith("Destination")): next(
            route[word] for word in words if word in route
        )
        for route in live_table(world, table)["Routes"]
        if route.get("GatewayId") != "local"
    }


def table(world: Any, resource_id: str) -> Any:
    live = live_table(world, resource_id)
    return live and (live["VpcId"], routes_of(world, resource_id), tags(live))


def test_route_table(lifecycle: Any) -> None:
    lifecycle(
        TABLE,
        prepare=network,
        inputs=lambda words: {
            "vpcId": words["vpc"],
            "routes": [
                {"ipv6CidrBlock": "::/0", "egressOnlyGatewayId": words["egress"]},
                {"cidrBlock": "0.0.0.0/0", "gatewayId": words["gateway"]},
            ],
            "tags": {"tier": "public"},
        },
        look=table,
        made=lambda words: (
            words["vpc"],
            {"0.0.0.0/0": words["gateway"], "::/0": words["egress"]},
            {"tier": "public"},
        ),
        outputs=lambda words: {"ownerId": words["account"]},
        change=lambda words: {
            "routes": [
                {"cidrBlock": "0.0.0.0/0", "natGatewayId": words["nat"]},
                {"destinationPrefixListId": words["prefixes"], "gatewayId": words["gateway"]},
            ],
            "tags": {"tier": "private"},
        },
        changed=lambda words: (
            words["vpc"],
            {"0.0.0.0/0": words["nat"], words["prefixes"]: words["gateway"]},
            {"tier": "private"},
        ),
        replaces=lambda words: [{"vpcId": words["other"]}],
        drift=lambda world, resource_id: world.boto("ec2").create_tags(
            Resources=[resource_id], Tags=[{"Key": "tier", "Value": "theirs"}]
        ),
        drifted={"tags": {"tier": "theirs"}},
    )


def test_routes_that_were_changed_are_mended(world: Any) -> None:
    ec2, words = world.boto("ec2"), network(world)
    inputs = world.engine.checked(
        TABLE, {"vpcId": words["vpc"], "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": words["gateway"]}]}
    )
    resource_id, state = world.engine.create(TABLE, inputs)
    ec2.create_route(RouteTableId=resource_id, DestinationCidrBlock="192.168.0.0/16", GatewayId=words["gateway"])
    ec2.replace_route(RouteTableId=resource_id, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=words["nat"])
    live, live_state = world.engine.read(TABLE, resource_id, inputs, state)
    assert {route["cidrBlock"] for route in live["routes"]} == {"0.0.0.0/0", "192.168.0.0/16"}
    world.engine.update(TABLE, resource_id, live, inputs, live_state)
    assert routes_of(world, resource_id) == {"0.0.0.0/0": words["gateway"]}


def test_a_table_without_routes_leaves_them_to_others(world: Any) -> None:
    words = network(world)
    inputs = world.engine.checked(TABLE, {"vpcId": words["vpc"]})
    resource_id, state = world.engine.create(TABLE, inputs)
    world.boto("ec2").create_route(
        RouteTableId=resource_id, DestinationCidrBlock="0.0.0.0/0", GatewayId=words["gateway"]
    )
    assert world.engine.read(TABLE, resource_id, inputs, state) == (inputs, state)


def test_the_routes_of_endpoints_are_not_the_tables(world: Any) -> None:
    words = network(world)
    inputs = world.engine.checked(
        TABLE, {"vpcId": words["vpc"], "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": words["gateway"]}]}
    )
    resource_id, state = world.engine.create(TABLE, inputs)
    world.boto("ec2").create_vpc_endpoint(
        VpcId=words["vpc"],
        ServiceName="com.amazonaws.us-east-1.s3",
        VpcEndpointType="Gateway",
        RouteTableIds=[resource_id],
    )
    assert len(routes_of(world, resource_id)) == 2
    assert world.engine.read(TABLE, resource_id, inputs, state) == (inputs, state)


def test_a_table_that_was_made_but_not_completed_is_kept_and_completed(world: Any, failure: Any) -> None:
    words = network(world)
    wrong, right = (
        world.engine.checked(TABLE, {"vpcId": words["vpc"], "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": it}]})
        for it in ("igw-00000000", words["gateway"])
    )
    error, kept = failure(world.engine.create, TABLE, wrong)
    assert "InvalidInternetGatewayID.NotFound" in error.details()
    assert live_table(world, kept.id)["VpcId"] == words["vpc"]
    state = decode(kept.properties)
    failure(world.engine.update, TABLE, kept.id, wrong, wrong, state)
    state = world.engine.update(TABLE, kept.id, wrong, right, state)
    assert routes_of(world, kept.id) == {"0.0.0.0/0": words["gateway"]}
    assert world.engine.read(TABLE, kept.id, right, state) is not None
    whole = world.engine.update(TABLE, kept.id, right, right, state)
    assert world.engine.read(TABLE, kept.id, right, whole) == (right, whole)


def route(world: Any, resource_id: str) -> Any:
    table, _, destination = resource_id.partition("_")
    return routes_of(world, table).get(destination)


ROUTES = [
    ("destinationCidrBlock", "0.0.0.0/0", "10.9.0.0/16"),
    ("destinationIpv6CidrBlock", "::/0", "2001:db8::/32"),
]


@pytest.mark.parametrize(("name", "destination", "other"), ROUTES)
def test_route(lifecycle: Any, name: str, destination: str, other: str) -> None:
    words: dict[str, Any] = {}
    drifted: dict[str, Any] = {}

    def prepare(world: Any) -> dict[str, Any]:
        words.update(network(world))
        drifted.update({"networkInterfaceId": None, "gatewayId": words["gateway"]})
        return words

    lifecycle(
        ROUTE,
        prepare=prepare,
        inputs=lambda words: {"routeTableId": words["table"], name: destination, "gatewayId": words["gateway"]},
        look=route,
        made=lambda words: words["gateway"],
        outputs=lambda words: {"state": "active", "origin": "CreateRoute"},
        change=lambda words: {"gatewayId": None, "networkInterfaceId": words["interface"]},
        changed=lambda words: words["interface"],
        replaces=lambda words: [{"routeTableId": words["table2"]}, {name: other}],
        drift=lambda world, resource_id: world.boto("ec2").replace_route(
            RouteTableId=words["table"], GatewayId=words["gateway"], **{name[:1].upper() + name[1:]: destination}
        ),
        drifted=drifted,
    )


def test_a_route_to_a_prefix_list(world: Any) -> None:
    words = network(world)
    inputs = world.engine.checked(
        ROUTE,
        {"routeTableId": words["table"], "destinationPrefixListId": words["prefixes"], "natGatewayId": words["nat"]},
    )
    resource_id, state = world.engine.create(ROUTE, inputs)
    assert resource_id == f"{words['table']}_{words['prefixes']}"
    assert route(world, resource_id) == words["nat"]
    assert world.engine.read(ROUTE, resource_id, inputs, state) == (inputs, state)
    world.engine.delete(ROUTE, resource_id, inputs, state)
    assert world.engine.read(ROUTE, resource_id, inputs, state) is None


@pytest.mark.parametrize(("name", "destination"), [(name, destination) for name, destination, _ in ROUTES])
def test_a_route_of_somebody_else_is_not_overwritten(world: Any, failure: Any, name: str, destination: str) -> None:
    words = network(world)
    parameter = name[:1].upper() + name[1:]
    world.boto("ec2").create_route(RouteTableId=words["table"], GatewayId=words["gateway"], **{parameter: destination})
    inputs = world.engine.checked(
        ROUTE, {"routeTableId": words["table"], name: destination, "networkInterfaceId": words["interface"]}
    )
    error, _ = failure(world.engine.create, ROUTE, inputs)
    assert "belongs to somebody else" in error.details()
    assert routes_of(world, words["table"]) == {destination: words["gateway"]}


def test_a_route_whose_table_is_gone(world: Any) -> None:
    words = network(world)
    inputs = world.engine.checked(
        ROUTE, {"routeTableId": words["table"], "destinationCidrBlock": "0.0.0.0/0", "gatewayId": words["gateway"]}
    )
    resource_id, state = world.engine.create(ROUTE, inputs)
    world.boto("ec2").delete_route_table(RouteTableId=words["table"])
    assert world.engine.read(ROUTE, resource_id, inputs, state) is None
    world.engine.delete(ROUTE, resource_id, inputs, state)


def table_of(world: Any, follower: str) -> Any:
    for item in world.boto("ec2").describe_route_tables()["RouteTables"]:
        if any(follower in (at.get("SubnetId"), at.get("GatewayId")) for at in item["Associations"]):
            return item["RouteTableId"]
    return None


@pytest.mark.parametrize("name", ["subnet", "gateway"])
def test_association(lifecycle: Any, name: str) -> None:
    words: dict[str, Any] = {}
    drifted: dict[str, Any] = {}

    def prepare(world: Any) -> dict[str, Any]:
        words.update(network(world))
        drifted.update({"routeTableId": words["table"]})
        return words

    def elsewhere(world: Any, follower: str) -> None:
        (association,) = [
            at["RouteTableAssociationId"]
            for item in world.boto("ec2").describe_route_tables()["RouteTables"]
            for at in item["Associations"]
            if follower in (at.get("SubnetId"), at.get("GatewayId"))
        ]
        world.boto("ec2").replace_route_table_association(AssociationId=association, RouteTableId=words["table"])

    lifecycle(
        ASSOCIATION,
        prepare=prepare,
        inputs=lambda words: {f"{name}Id": words[name], "routeTableId": words["table"]},
        look=table_of,
        made=lambda words: words["table"],
        change=lambda words: {"routeTableId": words["table2"]},
        changed=lambda words: words["table2"],
        replaces=lambda words: [{"subnetId": words["second"]}] if name == "subnet" else [],
        drift=elsewhere,
        drifted=drifted,
    )


def test_an_association_is_imported_by_subnet_and_table(world: Any) -> None:
    words = network(world)
    world.boto("ec2").associate_route_table(RouteTableId=words["table"], SubnetId=words["subnet"])
    inputs, _ = world.engine.read(ASSOCIATION, f"{words['subnet']}/{words['table']}")
    assert inputs == {"subnetId": words["subnet"], "routeTableId": words["table"]}


def test_an_association_of_somebody_else_is_not_taken_over(world: Any, failure: Any) -> None:
    words = network(world)
    world.boto("ec2").associate_route_table(RouteTableId=words["table"], SubnetId=words["subnet"])
    inputs = world.engine.checked(ASSOCIATION, {"subnetId": words["subnet"], "routeTableId": words["table2"]})
    error, _ = failure(world.engine.create, ASSOCIATION, inputs)
    assert "belongs to somebody else" in error.details()
    assert table_of(world, words["subnet"]) == words["table"]


# ------------------------------------------------------------------------------------ creates that were cut off


def test_a_route_is_found_by_table_destination_and_target(elsewhere: World, unfinished: dict[str, set[str]]) -> None:
    words, engine = network(elsewhere), elsewhere.engine
    inputs = engine.checked(
        ROUTE, {"routeTableId": words["table"], "destinationCidrBlock": "0.0.0.0/0", "gatewayId": words["gateway"]}
    )
    made, outputs = engine.create(ROUTE, inputs)
    unfinished[urn(ROUTE)] = set()
    assert engine.create(ROUTE, inputs) == (made, outputs)
    other = engine.checked(
        ROUTE, {"routeTableId": words["table"], "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": words["nat"]}
    )
    with pytest.raises(Exception, match="belongs to somebody else"):
        engine.create(ROUTE, other)
    assert routes_of(elsewhere, words["table"]) == {"0.0.0.0/0": words["gateway"]}


def test_an_association_is_found_by_what_it_joins(elsewhere: World, unfinished: dict[str, set[str]]) -> None:
    words, engine = network(elsewhere), elsewhere.engine
    inputs = engine.checked(ASSOCIATION, {"subnetId": words["subnet"], "routeTableId": words["table"]})
    made, outputs = engine.create(ASSOCIATION, inputs)
    unfinished[urn(ASSOCIATION)] = set()
    assert engine.create(ASSOCIATION, inputs) == (made, outputs)
    other = engine.checked(ASSOCIATION, {"subnetId": words["subnet"], "routeTableId": words["table2"]})
    with pytest.raises(Exception, match="belongs to somebody else"):
        engine.create(ASSOCIATION, other)
    assert table_of(elsewhere, words["subnet"]) == words["table"]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (TABLE, {"vpcId": "v", "routes": [{"gatewayId": "g"}]}, "another destination is required"),
    (TABLE, {"vpcId": "v", "routes": [{"cidrBlock": "0.0.0.0/0"}]}, "another target is required"),
    (TABLE, {"vpcId": "v", "propagatingVgws": ["vgw-1"]}, "not supported"),
    (ROUTE, {"routeTableId": "t", "gatewayId": "g"}, "another destination is required"),
    (ROUTE, {"routeTableId": "t", "destinationCidrBlock": "0.0.0.0/0"}, "another target is required"),
    (
        ROUTE,
        {"routeTableId": "t", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "g", "natGatewayId": "n"},
        "excludes gatewayId",
    ),
    (ROUTE, {"routeTableId": "t", "destinationCidrBlock": "0.0.0.0/33", "gatewayId": "g"}, "too large"),
    (ASSOCIATION, {"routeTableId": "t"}, "or gatewayId is required"),
    (ASSOCIATION, {"routeTableId": "t", "subnetId": "s", "gatewayId": "g"}, "excludes subnetId"),
]


@pytest.mark.parametrize(("token", "inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: Any, token: str, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(token, inputs).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


def test_what_is_not_known_yet_is_not_judged(world: Any) -> None:
    route = {"routeTableId": UNKNOWN, "destinationCidrBlock": UNKNOWN, "natGatewayId": UNKNOWN}
    assert not world.engine.check(ROUTE, route).failures
    table = {"vpcId": UNKNOWN, "routes": [{"cidrBlock": "0.0.0.0/0", "natGatewayId": UNKNOWN}]}
    assert not world.engine.check(TABLE, table).failures
    assert not world.engine.check(ASSOCIATION, {"routeTableId": UNKNOWN, "subnetId": UNKNOWN}).failures
