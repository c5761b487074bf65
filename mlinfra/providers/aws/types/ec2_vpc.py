"""VPCs and subnets."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import capital, from_aws, to_aws
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

_RANGE_FINAL: Final = (
    "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html: the range that a VPC is created with can "
    "be neither changed nor taken away"
)
_TENANCY: Final = f"{API}/API_ModifyVpcTenancy.html: the tenancy can be changed to default only"
_SUBNET_FINAL: Final = f"{API}/API_ModifySubnetAttribute.html: VPC, zone and IPv4 range are not among what it changes"

_ATTRIBUTES: Final = ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics")


class Vpc(Ec2):
    """A VPC, with one IPv4 range and, if asked for, an IPv6 range of Amazon's.

    AWS gives it a route table, a network ACL and a security group, which are among the outputs and go with it.
    """

    token = "aws:ec2/vpc:Vpc"  # noqa: S105 — a type token
    listing = Listing("describe_vpcs", "Vpcs", "VpcId", "VpcIds", frozenset({"InvalidVpcID.NotFound"}))
    thing = "vpc"
    fields = (
        Field("cidrBlock", pattern=IPV4, replaces=_RANGE_FINAL),
        Field("instanceTenancy", default="default", choices=("default", "dedicated"), replaces=_TENANCY),
        Field("enableDnsSupport", bool, default=True, apart=True),
        Field("enableDnsHostnames", bool, default=False, apart=True),
        Field("enableNetworkAddressUsageMetrics", bool, default=False, apart=True),
        Field("assignGeneratedIpv6CidrBlock", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = (
        "arn", "defaultNetworkAclId", "defaultRouteTableId", "defaultSecurityGroupId", "dhcpOptionsId",
        "ipv6AssociationId", "ipv6CidrBlock", "mainRouteTableId", "ownerId",
    )  # fmt: skip

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateVpc: a range from /16 to /28. API_ModifyVpcAttribute: no host names without DNS."""
        if inputs.get("cidrBlock") is None:
            yield ("cidrBlock",), "is required: the embedded AWS provider has no IPAM pools"
        yield from range_refusals(inputs.get("cidrBlock"), ("cidrBlock",), 16, 28)
        if inputs["enableDnsHostnames"] is True and inputs["enableDnsSupport"] is False:
            yield ("enableDnsHostnames",), "needs enableDnsSupport"

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A range, and the same with other bits behind its prefix."""
        return name == "cidrBlock" and canonical(old) == canonical(new)

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """A VPC becomes one of the default tenancy in place."""
        return "" if field.name == "instanceTenancy" and new == "default" else field.replaces

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; attributes are for `complete`."""
        sent = to_aws(self.fields, inputs) | {
            "Tags": None,
            "TagSpecifications": self.specified(inputs),
            "AmazonProvidedIpv6CidrBlock": inputs["assignGeneratedIpv6CidrBlock"] or None,
        }
        found = aws.api("ec2").call("create_vpc", **sent)["Vpc"]
        return Made(found["VpcId"], {"arn": aws.arn("ec2", f"vpc/{found['VpcId']}")})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Seven calls: the VPC, three attributes, and what AWS gave it."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        api = aws.api("ec2")
        inputs = from_aws(self.fields, record)
        del inputs["tags"]
        for name in _ATTRIBUTES:
            attribute = api.call("describe_vpc_attribute", VpcId=resource_id, Attribute=name)
            inputs[name] = attribute[capital(name)]["Value"]
        ipv6 = _ipv6(record)
        inputs["assignGeneratedIpv6CidrBlock"] = ipv6 is not None
        outputs = {
            "arn": aws.arn("ec2", f"vpc/{resource_id}"),
            "dhcpOptionsId": record["DhcpOptionsId"],
            "ownerId": record["OwnerId"],
            "ipv6AssociationId": ipv6["AssociationId"] if ipv6 else "",
            "ipv6CidrBlock": ipv6["Ipv6CidrBlock"] if ipv6 else "",
            **_given_by_aws(api, resource_id),
        }
        pending = self.state(record) == "pending" or _ipv6_state(ipv6) == "associating"
        return Live(inputs, outputs, tags_of(record), "the VPC" if pending else "")

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """One call for each attribute: ModifyVpcAttribute takes one at a time, and host names need DNS."""
        api, new = aws.api("ec2"), change.new
        for name in _ATTRIBUTES if new["enableDnsSupport"] else reversed(_ATTRIBUTES):
            if change.touches(name):
                parameter = capital(name)
                api.call("modify_vpc_attribute", VpcId=change.id, **{parameter: {"Value": new[name]}})
        if change.touches("instanceTenancy"):
            api.call("modify_vpc_tenancy", VpcId=change.id, InstanceTenancy=new["instanceTenancy"])
        if not change.touches("assignGeneratedIpv6CidrBlock"):
            return {}
        if new["assignGeneratedIpv6CidrBlock"]:
            api.call("associate_vpc_cidr_block", VpcId=change.id, AmazonProvidedIpv6CidrBlock=True)
        else:
            ipv6 = _ipv6(self.record(aws, change.id) or {})
            api.call("disassociate_vpc_cidr_block", AssociationId=ipv6["AssociationId"] if ipv6 else "")
        self.wait(aws, change.id, new)
        live = self.read(aws, change.id, new)
        return live.outputs if live else {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; what AWS gave it goes too."""
        aws.api("ec2").find("delete_vpc", self.listing.absent, VpcId=resource_id)


def _ipv6(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The IPv6 range that is, or is being, associated; the emulator writes a subnet's state with words around it."""
    ranges = record.get("Ipv6CidrBlockAssociationSet") or ()
    alive = (item for item in ranges if not any(word in _ipv6_state(item) for word in ("disassociat", "fail")))
    return next(alive, None)


def _ipv6_state(association: Mapping[str, Any] | None) -> str:
    return str(association["Ipv6CidrBlockState"]["State"]).lower() if association else ""


_TABLES: Final = Listing("describe_route_tables", "RouteTables", "RouteTableId", "RouteTableIds", frozenset())
_ACLS: Final = Listing("describe_network_acls", "NetworkAcls", "NetworkAclId", "NetworkAclIds", frozenset())
_GROUPS: Final = Listing("describe_security_groups", "SecurityGroups", "GroupId", "GroupIds", frozenset())


def _given_by_aws(api: Api, vpc: str) -> dict[str, str]:
    """The ids of the main route table, the default network ACL and the default security group of a VPC."""

    def only(listing: Listing, filters: Mapping[str, str]) -> str:
        found = listing.filtered(api, {"vpc-id": vpc, **filters})
        return str(found[0][listing.id]) if found else ""

    table = only(_TABLES, {"association.main": "true"})
    return {
        "defaultNetworkAclId": only(_ACLS, {"default": "true"}),
        "defaultRouteTableId": table,
        "defaultSecurityGroupId": only(_GROUPS, {"group-name": "default"}),
        "mainRouteTableId": table,
    }


_SWITCHES: Final = {
    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
    "enableDns64": "EnableDns64",
    "enableResourceNameDnsARecordOnLaunch": "EnableResourceNameDnsARecordOnLaunch",
    "enableResourceNameDnsAaaaRecordOnLaunch": "EnableResourceNameDnsAAAARecordOnLaunch",
    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
}
"""The attributes that are true or false, and what ModifySubnetAttribute calls them."""


class Subnet(Ec2):
    """A subnet with an IPv4 range and, if asked for, an IPv6 range out of its VPC's."""

    token = "aws:ec2/subnet:Subnet"  # noqa: S105 — a type token
    listing = Listing("describe_subnets", "Subnets", "SubnetId", "SubnetIds", frozenset({"InvalidSubnetID.NotFound"}))
    thing = "subnet"
    fields = (
        Field("vpcId", required=True, replaces=_SUBNET_FINAL),
        Field("cidrBlock", pattern=IPV4, replaces=_SUBNET_FINAL),
        Field("availabilityZone", computed=True, replaces=_SUBNET_FINAL),
        Field("availabilityZoneId", computed=True, replaces=_SUBNET_FINAL),
        Field("ipv6CidrBlock", pattern=IPV6, apart=True),
        Field("mapPublicIpOnLaunch", bool, default=False),
        Field("assignIpv6AddressOnCreation", bool, default=False),
        Field("enableDns64", bool, default=False, forgotten=True),
        Field("enableResourceNameDnsARecordOnLaunch", bool, default=False, apart=True),
        Field("enableResourceNameDnsAaaaRecordOnLaunch", bool, default=False, apart=True, forgotten=True),
        Field(
            "privateDnsHostnameTypeOnLaunch",
            computed=True,
            apart=True,
            forgotten=True,
            choices=("ip-name", "resource-name"),
        ),
        TAGS,
        REGION,
    )
    outputs = ("arn", "ipv6CidrBlockAssociationId", "ownerId")
    volatile = ("ipv6CidrBlockAssociationId",)

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html: /16 to /28, and for IPv6 /44 to /64."""
        if inputs.get("cidrBlock") is None:
            yield ("cidrBlock",), "is required: the embedded AWS provider has neither IPAM pools nor IPv6-only subnets"
        yield from range_refusals(inputs.get("cidrBlock"), ("cidrBlock",), 16, 28)
        yield from range_refusals(inputs.get("ipv6CidrBlock"), ("ipv6CidrBlock",), 44, 64)
        if inputs.get("availabilityZone") is not None and inputs.get("availabilityZoneId") is not None:
            yield ("availabilityZoneId",), "excludes availabilityZone: a zone is named once"
        if inputs["assignIpv6AddressOnCreation"] is True and inputs.get("ipv6CidrBlock") is None:
            yield ("assignIpv6AddressOnCreation",), "needs ipv6CidrBlock"

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A range, and the same with other bits behind its prefix."""
        return name in ("cidrBlock", "ipv6CidrBlock") and canonical(old) == canonical(new)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; attributes are for `complete`."""
        found = aws.api("ec2").call(
            "create_subnet",
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            Ipv6CidrBlock=inputs.get("ipv6CidrBlock"),
            AvailabilityZone=inputs.get("availabilityZone"),
            AvailabilityZoneId=inputs.get("availabilityZoneId"),
            TagSpecifications=self.specified(inputs),
        )["Subnet"]
        return Made(found["SubnetId"], {"arn": found["SubnetArn"], "ownerId": found["OwnerId"]})

    def lacking(self, live: Live, inputs: Mapping[str, Any]) -> tuple[frozenset[str], dict[str, Any]]:
        """Attributes that the emulator does not report are set where they are not what a new subnet has."""
        names, old = super().lacking(live, inputs)
        unseen = {
            field.name
            for field in self.fields
            if field.forgotten and inputs.get(field.name) not in (None, field.default)
        }
        return names | unseen, old

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        inputs = from_aws(self.fields, record)
        names = record.get("PrivateDnsNameOptionsOnLaunch") or {}
        ipv6 = _ipv6(record)
        inputs["ipv6CidrBlock"] = ipv6["Ipv6CidrBlock"] if ipv6 else None
        inputs["enableResourceNameDnsARecordOnLaunch"] = names.get("EnableResourceNameDnsARecord", False)
        del inputs["tags"], inputs["enableDns64"]
        outputs = {
            "arn": record["SubnetArn"],
            "ownerId": record["OwnerId"],
            "ipv6CidrBlockAssociationId": ipv6["AssociationId"] if ipv6 else "",
        }
        pending = self.state(record) == "pending" or _ipv6_state(ipv6) == "associating"
        return Live(inputs, outputs, tags_of(record), "the subnet" if pending else "")

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """One call for each attribute: ModifySubnetAttribute takes one at a time.

        Addresses are given out of an IPv6 range only while there is one, so that switch goes off first and on last.
        """
        outputs: Mapping[str, Any] = {}
        names = set(change.names)
        if "ipv6CidrBlock" in names:
            if change.old.get("assignIpv6AddressOnCreation"):
                _switch(aws.api("ec2"), change.id, "assignIpv6AddressOnCreation", on=False)
            outputs = self._exchange(aws, change)
            names.add("assignIpv6AddressOnCreation")
        for name in _SWITCHES:
            if name in names:
                _switch(aws.api("ec2"), change.id, name, on=change.new[name])
        if change.touches("privateDnsHostnameTypeOnLaunch"):
            kind = change.new["privateDnsHostnameTypeOnLaunch"]
            aws.api("ec2").call("modify_subnet_attribute", SubnetId=change.id, PrivateDnsHostnameTypeOnLaunch=kind)
        return outputs

    def _exchange(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Another IPv6 range, or none."""
        api = aws.api("ec2")
        if ipv6 := _ipv6(self.record(aws, change.id) or {}):
            api.call("disassociate_subnet_cidr_block", AssociationId=ipv6["AssociationId"])
        if block := change.new.get("ipv6CidrBlock"):
            api.call("associate_subnet_cidr_block", SubnetId=change.id, Ipv6CidrBlock=block)
        self.wait(aws, change.id, change.new)
        live = self.read(aws, change.id, change.new)
        return live.outputs if live else {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("ec2").find("delete_subnet", self.listing.absent, SubnetId=resource_id)


def _switch(api: Api, subnet: str, name: str, *, on: bool) -> None:
    api.call("modify_subnet_attribute", SubnetId=subnet, **{_SWITCHES[name]: {"Value": on}})


RESOURCES: Final = (Vpc(), Subnet())
