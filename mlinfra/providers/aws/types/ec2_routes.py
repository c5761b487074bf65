"""Route tables, single routes, and which subnet or gateway follows which table."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.functions import Unknown, holds
from mlinfra.graph import Path
from mlinfra.providers.aws.errors import taken
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.types.ec2 import (
    API,
    IPV4,
    IPV6,
    Ec2,
    Listing,
    canonical,
    range_refusals,
    tags_of,
)

_TABLE_FINAL: Final = f"{API}/API_CreateRouteTable.html: there is no call that moves a route table to another VPC"
_ROUTE_FINAL: Final = f"{API}/API_ReplaceRoute.html: what is replaced is the target, in one table, for one destination"
_PLACE_FINAL: Final = f"{API}/API_ReplaceRouteTableAssociation.html: what is replaced is the table, not who follows it"

TABLES: Final = Listing(
    "describe_route_tables",
    "RouteTables",
    "RouteTableId",
    "RouteTableIds",
    frozenset({"InvalidRouteTableID.NotFound"}),
)

TARGETS: Final = {
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}
"""Where a route can lead: pulumi_aws's names and EC2's."""

_DESTINATIONS: Final = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_GONE_ROUTE: Final = TABLES.absent | {"InvalidRoute.NotFound"}


def _sent(names: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {parameter: values[name] for name, parameter in names.items() if values.get(name)}


def _destination(record: Mapping[str, Any]) -> tuple[str, Any]:
    """What a route is for, as the parameter that names it and its value."""
    found = ((parameter, record.get(parameter)) for parameter in _DESTINATIONS.values())
    return next((item for item in found if item[1]), ("", ""))


def _is_ours(route: Mapping[str, Any]) -> bool:
    """Not the VPC's own routes, nor those of gateway endpoints or virtual private gateways."""
    by_us = route.get("Origin", "CreateRoute") == "CreateRoute"
    return by_us and route.get("GatewayId") != "local" and not str(route.get("GatewayId", "")).startswith("vpce-")


def _exactly_one(inputs: Mapping[str, Any], names: Mapping[str, str], what: str, path: Path) -> Iterator[Any]:
    given = [name for name in names if inputs.get(name) is not None]
    if not given:
        yield (*path, next(iter(names))), f"or another {what} is required: {', '.join(names)}"
    for name in given[1:]:
        yield (*path, name), f"excludes {given[0]}: a route has one {what}"


_INLINE: Final = {"cidrBlock": "DestinationCidrBlock", "ipv6CidrBlock": "DestinationIpv6CidrBlock",
                  "destinationPrefixListId": "DestinationPrefixListId"}  # fmt: skip


class RouteTable(Ec2):
    """A route table. `routes`, where it is given, is all of its routes; else they are left to `Route`."""

    token = "aws:ec2/routeTable:RouteTable"  # noqa: S105 — a type token
    listing = TABLES
    thing = "route-table"
    fields = (
        Field("vpcId", required=True, replaces=_TABLE_FINAL),
        Field(
            "routes",
            (
                Field("cidrBlock", pattern=IPV4),
                Field("ipv6CidrBlock", pattern=IPV6),
                Field("destinationPrefixListId"),
                *(Field(name) for name in TARGETS),
            ),
            many=True,
            unordered=True,
            computed=True,
            apart=True,
        ),
        TAGS,
        REGION,
    )
    outputs = ("arn", "ownerId")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateRoute: each route has one destination and one target."""
        routes = inputs.get("routes")
        for index, route in enumerate(routes if isinstance(routes, list) else ()):
            if isinstance(route, Mapping):
                yield from _exactly_one(route, _INLINE, "destination", ("routes", index))
                yield from _exactly_one(route, TARGETS, "target", ("routes", index))

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """Routes of which only bits behind a prefix are other."""
        if name != "routes" or not (isinstance(old, list) and isinstance(new, list)):
            return False
        if holds(old, Unknown) or holds(new, Unknown):
            return False
        return _by_destination(old) == _by_destination(new)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; its routes are for `complete`."""
        sent = self.specified(inputs)
        found = aws.api("ec2").call("create_route_table", VpcId=inputs["vpcId"], TagSpecifications=sent)["RouteTable"]
        table = found["RouteTableId"]
        return Made(table, {"arn": aws.arn("ec2", f"route-table/{table}"), "ownerId": found["OwnerId"]})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        names = _INLINE | TARGETS
        routes = [
            {name: route[key] for name, key in names.items() if route.get(key)}
            for route in record.get("Routes", ())
            if _is_ours(route)
        ]
        outputs = {"arn": aws.arn("ec2", f"route-table/{resource_id}"), "ownerId": record["OwnerId"]}
        return Live({"vpcId": record["VpcId"], "routes": routes}, outputs, tags_of(record))

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each route that, by what AWS has, is too many, other, or missing."""
        if not change.touches("routes"):
            return {}
        api, live = aws.api("ec2"), self.read(aws, change.id, change.new)
        old = _by_destination(live.inputs["routes"] if live else ())
        new = _by_destination(change.new.get("routes") or ())
        for parameter, value in sorted(old.keys() - new.keys()):
            api.find("delete_route", _GONE_ROUTE, RouteTableId=change.id, **{parameter: value})
        for (parameter, value), targets in new.items():
            if old.get((parameter, value)) != targets:
                operation = "replace_route" if (parameter, value) in old else "create_route"
                api.call(operation, RouteTableId=change.id, **{parameter: value}, **targets)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; its routes go too."""
        aws.api("ec2").find("delete_route_table", self.listing.absent, RouteTableId=resource_id)


def _by_destination(routes: Any) -> dict[tuple[str, Any], dict[str, Any]]:
    """The targets of inline routes, by destination."""
    found = {}
    for route in routes:
        ((parameter, value),) = _sent(_INLINE, route).items()
        found[parameter, canonical(value)] = _sent(TARGETS, route)
    return found


class Route(Resource):
    """One route of a table. Its id is `TABLE_DESTINATION`, which is also what it is imported by."""

    token = "aws:ec2/route:Route"  # noqa: S105 — a type token
    service = "ec2"
    fields = (
        Field("routeTableId", required=True, replaces=_ROUTE_FINAL),
        Field("destinationCidrBlock", pattern=IPV4, replaces=_ROUTE_FINAL),
        Field("destinationIpv6CidrBlock", pattern=IPV6, replaces=_ROUTE_FINAL),
        Field("destinationPrefixListId", replaces=_ROUTE_FINAL),
        *(Field(name) for name in TARGETS),
        REGION,
    )
    outputs = ("origin", "state")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateRoute: one destination, one target."""
        yield from _exactly_one(inputs, _DESTINATIONS, "destination", ())
        yield from _exactly_one(inputs, TARGETS, "target", ())
        yield from range_refusals(inputs.get("destinationCidrBlock"), ("destinationCidrBlock",), 0, 32)
        yield from range_refusals(inputs.get("destinationIpv6CidrBlock"), ("destinationIpv6CidrBlock",), 0, 128)

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A range, and the same with other bits behind its prefix (API_CreateRoute: it is made canonical)."""
        return name.endswith("CidrBlock") and canonical(old) == canonical(new)

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """By table, destination and target: one that leads elsewhere is somebody else's."""
        resource_id, found = _route_id(inputs), self._find(aws, _route_id(inputs))
        if found is None or any(found.get(key) != value for key, value in _sent(TARGETS, inputs).items()):
            return None
        return resource_id

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, after a look: the emulator overwrites most of the routes that AWS refuses as there already."""
        resource_id = _route_id(inputs)
        if self._find(aws, resource_id) is not None:
            raise taken(f"a route to {resource_id.partition('_')[2]}", "Route")
        aws.api("ec2").call("create_route", **self._place(resource_id), **_sent(TARGETS, inputs))
        return Made(resource_id, {"origin": "CreateRoute", "state": "active"})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call: that of its table."""
        route = self._find(aws, resource_id)
        if route is None:
            return None
        inputs = {name: route.get(key) for name, key in (_DESTINATIONS | TARGETS).items()}
        inputs["routeTableId"] = resource_id.partition("_")[0]
        return Live(inputs, {"origin": route.get("Origin", ""), "state": route.get("State", "")})

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Let it lead elsewhere."""
        aws.api("ec2").call("replace_route", **self._place(change.id), **_sent(TARGETS, change.new))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("ec2").find("delete_route", _GONE_ROUTE, **self._place(resource_id))

    @staticmethod
    def _place(resource_id: str) -> dict[str, str]:
        """The parameters that name a route."""
        table, _, destination = resource_id.partition("_")
        kind = (
            "PrefixListId" if destination.startswith("pl-") else "Ipv6CidrBlock" if ":" in destination else "CidrBlock"
        )
        return {"RouteTableId": table, f"Destination{kind}": destination}

    @staticmethod
    def _find(aws: Aws, resource_id: str) -> Mapping[str, Any] | None:
        table, _, destination = resource_id.partition("_")
        record = TABLES.one(aws.api("ec2"), table)
        routes = record.get("Routes", ()) if record else ()
        return next((route for route in routes if canonical(_destination(route)[1]) == destination), None)


def _route_id(inputs: Mapping[str, Any]) -> str:
    destination = next(inputs[name] for name in _DESTINATIONS if inputs.get(name))
    return f"{inputs['routeTableId']}_{canonical(destination)}"


class RouteTableAssociation(Resource):
    """Which route table a subnet or a gateway follows. Each follows one, so its id is that of the subnet or gateway.

    It is imported by `SUBNET_OR_GATEWAY` or `SUBNET_OR_GATEWAY/TABLE`. AWS gives the association an id that is another
    after each change of the table; so it cannot be ours.
    """

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"  # noqa: S105 — a type token
    service = "ec2"
    fields = (
        Field("subnetId", replaces=_PLACE_FINAL),
        Field("gatewayId", replaces=_PLACE_FINAL),
        Field("routeTableId", required=True),
        REGION,
    )

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_AssociateRouteTable: a subnet or a gateway."""
        subnet, gateway = inputs.get("subnetId"), inputs.get("gatewayId")
        if subnet is None and gateway is None:
            yield ("subnetId",), "or gatewayId is required"
        if subnet is not None and gateway is not None:
            yield ("gatewayId",), "excludes subnetId: an association is of one of them"

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """By what follows which table: an association with another table is somebody else's."""
        follower = inputs.get("subnetId") or inputs["gatewayId"]
        found = self._find(aws, follower)
        return follower if found and found["RouteTableId"] == inputs["routeTableId"] else None

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, after a look: where there is an association AWS refuses another, and the emulator keeps the old."""
        follower = str(inputs.get("subnetId") or inputs["gatewayId"])
        if self._find(aws, follower) is not None:
            raise taken(f"an association of {follower}", "RouteTableAssociation")
        aws.api("ec2").call(
            "associate_route_table",
            RouteTableId=inputs["routeTableId"],
            SubnetId=inputs.get("subnetId"),
            GatewayId=inputs.get("gatewayId"),
        )
        return Made(follower)

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        found = self._find(aws, resource_id)
        if found is None:
            return None
        names = {"subnetId": "SubnetId", "gatewayId": "GatewayId", "routeTableId": "RouteTableId"}
        return Live({name: found.get(key) for name, key in names.items()})

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Follow another table, without a moment of following none."""
        association, table = self._find(aws, change.id), change.new["routeTableId"]
        aws.api("ec2").call(
            "replace_route_table_association",
            AssociationId=association["RouteTableAssociationId"] if association else "",
            RouteTableId=table,
        )
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Follow the VPC's main table again."""
        association = self._find(aws, resource_id)
        if association is not None:
            gone = frozenset({"InvalidAssociationID.NotFound"})
            aws.api("ec2").find("disassociate_route_table", gone, AssociationId=association["RouteTableAssociationId"])

    @staticmethod
    def _find(aws: Aws, resource_id: str) -> Mapping[str, Any] | None:
        """Among the subnet's tables; among all where a gateway follows one, since the emulator has no filter for it."""
        follower = resource_id.partition("/")[0]
        by_subnet = {"association.subnet-id": follower} if follower.startswith("subnet-") else {}
        associations = (
            association
            for table in TABLES.filtered(aws.api("ec2"), by_subnet)
            for association in table.get("Associations", ())
        )
        return next((item for item in associations if follower in (item.get("SubnetId"), item.get("GatewayId"))), None)


RESOURCES: Final = (RouteTable(), Route(), RouteTableAssociation())
