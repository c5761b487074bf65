"""What a `Network` comes to: the VPC, its subnets and routes, its ways out, its endpoints, its logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.network_endpoints import service_name
from mlinfra.components.network_logs import add_flow_logs
from mlinfra.components.network_policies import HTTPS
from mlinfra.components.network_rules import closed_group, open_port
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.network import Network

_EVERYWHERE: Final = "0.0.0.0/0"
_ZONES: Final = "aws:index/getAvailabilityZones:getAvailabilityZones"
_ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"

_ROLES: Final = {"private": "kubernetes.io/role/internal-elb", "public": "kubernetes.io/role/elb"}
"""Tags by which load balancers find their subnets (EKS user guide, "View Amazon EKS networking requirements for VPC and
subnets")."""


def expand_network(network: Network, scope: Scope) -> None:
    """Add all nodes of a network that is made here."""
    _Expanding(network, scope).all()


class _Expanding:
    """One network as it is expanded; zones count from 1."""

    def __init__(self, network: Network, scope: Scope) -> None:
        self.network = network
        self.scope = scope
        self.tier = scope.environment.tier
        self.numbers = range(1, network.zone_count(self.tier) + 1)
        self.nat = network.nat_in(self.tier)

    def all(self) -> None:
        """Everything, each after what it refers to."""
        vpc = self._add(
            "vpc",
            "aws:ec2/vpc:Vpc",
            {
                "cidrBlock": self.network.cidr,
                "enableDnsSupport": True,
                "enableDnsHostnames": True,  # names of interface endpoints need both (VPC user guide, "DNS attributes")
            },
        )
        closed: dict[str, Value] = {"vpcId": vpc, "ingress": [], "egress": []}
        self._add("default-group", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", closed)
        zones, plan = self._zones(), self.network.plan()
        private = [self._subnet("private", vpc, *item) for item in zip(self.numbers, plan.private, zones, strict=True)]
        tables = [
            self._table(f"private-{number}", vpc, [subnet])
            for number, subnet in zip(self.numbers, private, strict=True)
        ]
        if self.network.public:
            public = [self._subnet("public", vpc, *item) for item in zip(self.numbers, plan.public, zones, strict=True)]
            table = self._table("public", vpc, public)
            gateway = self._add("internet-gateway", "aws:ec2/internetGateway:InternetGateway", {"vpcId": vpc})
            self._route("public", table, {"gatewayId": gateway})
            self._ways_out(tables, public, gateway)
            tables = [*tables, table]
        self._endpoints(vpc, private, tables)
        if self.network.flow_logs is not None:
            add_flow_logs(self.scope, vpc, self.network.flow_logs)

    # ------------------------------------------------------------------------------------ zones, subnets, routes

    def _zones(self) -> list[Value]:
        """The zone of each subnet: by name where they are named, else the first that AWS has."""
        region = self.scope.environment.region
        named = list(self.network.zone_names)
        strangers = [name for name in named if not name.startswith(region)]
        if strangers:
            self.scope.problem(
                f"Network {self.network.name!r} names {', '.join(strangers)}, and the stack's region is {region}",
                detail="A VPC is in one region, and its subnets in that region's zones (Amazon VPC user guide).",
                remedy="Name zones of the region, or say with `zones` how many there are to be.",
                code="network-zone",
            )
        if named:
            return list(named)
        # Local Zones and Wavelength Zones are opted into (EC2 user guide, "Regions and Zones"); these are not.
        ordinary = {"name": "opt-in-status", "values": ["opt-in-not-required"]}
        found = self.scope.lookup("zones", _ZONES, {"state": "available", "filters": [ordinary]})
        return [Ref(found.node, ("names", number - 1)) for number in self.numbers]

    def _subnet(self, kind: str, vpc: Ref, number: int, cidr: str, zone: Value) -> Ref:
        # A zone that AWS opens later must not move the subnets that are there: they would be replaced.
        settled = () if self.network.zone_names else ("availabilityZone",)
        return self._add(
            f"{kind}-{number}",
            "aws:ec2/subnet:Subnet",
            {"vpcId": vpc, "cidrBlock": cidr, "availabilityZone": zone, "mapPublicIpOnLaunch": False},
            tags={_ROLES[kind]: "1"},
            ignore_changes=settled,
        )

    def _table(self, name: str, vpc: Ref, subnets: list[Ref]) -> Ref:
        """A route table, followed by these subnets."""
        table = self._add(f"{name}-routes", "aws:ec2/routeTable:RouteTable", {"vpcId": vpc})
        for subnet in subnets:
            local = f"{subnet.node.partition('/')[2]}-association"
            inputs: dict[str, Value] = {"subnetId": subnet, "routeTableId": table}
            self.scope.aws(local, "aws:ec2/routeTableAssociation:RouteTableAssociation", inputs)
        return table

    def _route(self, name: str, table: Ref, target: dict[str, Value]) -> None:
        inputs = {"routeTableId": table, "destinationCidrBlock": _EVERYWHERE, **target}
        self.scope.aws(f"{name}-out", "aws:ec2/route:Route", inputs)

    def _ways_out(self, tables: list[Ref], public: list[Ref], gateway: Ref) -> None:
        """NAT gateways, and the private subnets' routes to them."""
        count = {"none": 0, "one": 1, "per-zone": len(public)}[self.nat]
        # Pulumi's documentation of Eip and NatGateway: both want the internet gateway to be there first.
        after = (gateway.node,)
        gateways = []
        for number, subnet in enumerate(public[:count], start=1):
            address = self._add(f"nat-{number}-address", "aws:ec2/eip:Eip", {"domain": "vpc"}, depends_on=after)
            inputs: dict[str, Value] = {"subnetId": subnet, "allocationId": address, "connectivityType": "public"}
            gateways.append(self._add(f"nat-{number}", "aws:ec2/natGateway:NatGateway", inputs, depends_on=after))
        for number, table in enumerate(tables if gateways else []):
            nat = gateways[min(number, len(gateways) - 1)]
            self._route(f"private-{number + 1}", table, {"natGatewayId": nat})

    # ------------------------------------------------------------------------------------ endpoints

    def _endpoints(self, vpc: Ref, private: list[Ref], tables: list[Ref]) -> None:
        region = self.scope.environment.region
        for service in self.network.gateway_endpoints:
            name = service_name(service, region)
            inputs: dict[str, Value] = {
                "vpcId": vpc,
                "serviceName": name,
                "vpcEndpointType": "Gateway",
                "routeTableIds": list(tables),
            }
            self._add(f"endpoint-{service}", _ENDPOINT, inputs)
        if not self.network.interface_endpoints:
            return
        group = closed_group(self.scope, self.network, "endpoints", "Interface endpoints of AWS services")
        why = "HTTPS from the private subnets"
        open_port(self.scope, self.network, "endpoints-https", to=group, port=HTTPS, why=why)
        for interface in self.network.interface_endpoints:
            inputs = {
                "vpcId": vpc,
                "serviceName": service_name(interface, region),
                "vpcEndpointType": "Interface",
                "subnetIds": list(private),
                "securityGroupIds": [group],
                "privateDnsEnabled": True,
            }
            self._add(f"endpoint-{interface.replace('.', '-')}", _ENDPOINT, inputs)

    def _add(
        self,
        local: str,
        type: str,  # noqa: A002 — the word that Scope uses
        inputs: dict[str, Value],
        *,
        tags: dict[str, str] | None = None,
        depends_on: tuple[str, ...] = (),
        ignore_changes: tuple[str, ...] = (),
    ) -> Ref:
        """A resource with tags, its name in AWS's console among them."""
        name = self.scope.label_name(local, limit=255)
        marks = {"Name": name, **self.network.tags, **self.scope.tags, **(tags or {})}
        return self.scope.aws(
            local, type, {**inputs, "tags": marks}, depends_on=depends_on, ignore_changes=ignore_changes
        )
