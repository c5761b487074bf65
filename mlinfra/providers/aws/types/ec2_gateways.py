"""Ways out of a VPC: internet gateways, Elastic IP addresses, NAT gateways."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.shapes import from_aws
from mlinfra.providers.aws.types.ec2 import API, Ec2, Listing, tags_of
from mlinfra.providers.aws.waiting import until

_NAT_FINAL: Final = (
    f"{API}/API_CreateNatGateway.html: there is no call that changes what a NAT gateway was created with"
)


class InternetGateway(Ec2):
    """An internet gateway, attached to a VPC if `vpcId` says so."""

    token = "aws:ec2/internetGateway:InternetGateway"  # noqa: S105 — a type token
    listing = Listing(
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        "InternetGatewayIds",
        frozenset({"InvalidInternetGatewayID.NotFound"}),
    )
    thing = "internet-gateway"
    fields = (Field("vpcId", computed=True, apart=True), TAGS, REGION)
    outputs = ("arn", "ownerId")

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; `complete` attaches it."""
        sent = self.specified(inputs)
        found = aws.api("ec2").call("create_internet_gateway", TagSpecifications=sent)["InternetGateway"]
        gateway = found["InternetGatewayId"]
        return Made(gateway, {"arn": aws.arn("ec2", f"internet-gateway/{gateway}")})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        attachment = _attachment(record)
        outputs = {"arn": aws.arn("ec2", f"internet-gateway/{resource_id}"), "ownerId": record["OwnerId"]}
        pending = "its attachment" if attachment.get("State") == "attaching" else ""
        return Live({"vpcId": attachment.get("VpcId")}, outputs, tags_of(record), pending)

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Detach it from the VPC that it is attached to, attach it to the other."""
        if change.touches("vpcId"):
            vpc = change.new["vpcId"]
            self._detach(aws, change.id, _attachment(self.record(aws, change.id) or {}).get("VpcId"))
            aws.api("ec2").call("attach_internet_gateway", InternetGatewayId=change.id, VpcId=vpc)
            self.wait(aws, change.id, change.new)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Detach it from whatever VPC it is attached to; then it can be deleted."""
        record = self.record(aws, resource_id)
        if record is not None:
            self._detach(aws, resource_id, _attachment(record).get("VpcId"))
            aws.api("ec2").find("delete_internet_gateway", self.listing.absent, InternetGatewayId=resource_id)

    def _detach(self, aws: Aws, gateway: str, vpc: str | None) -> None:
        if vpc:
            gone = self.listing.absent | {"Gateway.NotAttached"}
            aws.api("ec2").find("detach_internet_gateway", gone, InternetGatewayId=gateway, VpcId=vpc)


def _attachment(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found = record.get("Attachments") or ()
    return next((item for item in found if item.get("State") not in ("detaching", "detached")), {})


_ADDRESSES: Final = Listing(
    "describe_addresses",
    "Addresses",
    "AllocationId",
    "AllocationIds",
    frozenset({"InvalidAllocationID.NotFound"}),
    paged=False,
)


class Eip(Ec2):
    """An Elastic IP address out of Amazon's pool, associated with an instance or a network interface if it is said so.

    Its id is its allocation's. An association that somebody else makes, such as a NAT gateway, is theirs: neither
    drift nor among the outputs.
    """

    token = "aws:ec2/eip:Eip"  # noqa: S105 — a type token
    listing = _ADDRESSES
    thing = "elastic-ip"
    fields = (
        Field("domain", default="vpc", choices=("vpc",)),
        Field("instance", computed=True, aws="InstanceId"),
        Field("networkInterface", computed=True, aws="NetworkInterfaceId"),
        TAGS,
        REGION,
    )
    outputs = ("allocationId", "arn", "associationId", "privateIp", "publicDns", "publicIp")
    volatile = ("associationId", "privateIp")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_AssociateAddress: an instance or a network interface, not both."""
        if inputs.get("instance") is not None and inputs.get("networkInterface") is not None:
            yield ("networkInterface",), "excludes instance: an address is associated with one of them"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; `complete` associates it."""
        found = aws.api("ec2").call("allocate_address", Domain="vpc", TagSpecifications=self.specified(inputs))
        return Made(found["AllocationId"], _address_outputs(aws, found, {}))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        inputs = {name: value or None for name, value in from_aws(self.fields, record).items()}
        del inputs["tags"]
        return Live(inputs, _address_outputs(aws, record, known), tags_of(record))

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Associate it with what it is to belong to, wherever it belongs now."""
        if not change.touches("instance", "networkInterface"):
            return {}
        aws.api("ec2").call(
            "associate_address",
            AllocationId=change.id,
            InstanceId=change.new.get("instance"),
            NetworkInterfaceId=change.new.get("networkInterface"),
            AllowReassociation=True,
        )
        live = self.read(aws, change.id, change.new)
        return live.outputs if live else {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Take it off what it is associated with, and give it back."""
        disassociate(aws, resource_id)
        aws.api("ec2").find("release_address", self.listing.absent, AllocationId=resource_id)


def disassociate(aws: Aws, allocation: str, interface: str = "") -> None:
    """Take an address off what it is associated with, or only if that is the network interface `interface`."""
    found = _ADDRESSES.one(aws.api("ec2"), allocation)
    if found and found.get("AssociationId") and interface in ("", found.get("NetworkInterfaceId")):
        gone = frozenset({"InvalidAssociationID.NotFound"})
        aws.api("ec2").find("disassociate_address", gone, AssociationId=found["AssociationId"])


def _address_outputs(aws: Aws, record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs of an address; its association is one of them if `known`, its inputs, ask for one."""
    allocation, public = record["AllocationId"], record["PublicIp"]
    ours = known.get("instance") or known.get("networkInterface")
    # https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html: names of public addresses
    place = "compute-1" if aws.region == "us-east-1" else f"{aws.region}.compute"
    return {
        "allocationId": allocation,
        "arn": aws.arn("ec2", f"elastic-ip/{allocation}"),
        "associationId": (ours and record.get("AssociationId")) or "",
        "privateIp": (ours and record.get("PrivateIpAddress")) or "",
        "publicDns": f"ec2-{public.replace('.', '-')}.{place}.amazonaws.com",
        "publicIp": public,
    }


class NatGateway(Ec2):
    """A NAT gateway in one subnet. It takes AWS minutes to make and to delete one; both are waited for."""

    token = "aws:ec2/natGateway:NatGateway"  # noqa: S105 — a type token
    listing = Listing(
        "describe_nat_gateways",
        "NatGateways",
        "NatGatewayId",
        "NatGatewayIds",
        frozenset({"NatGatewayNotFound", "InvalidNatGatewayID.NotFound"}),
        filters="Filter",
    )
    thing = "natgateway"
    gone = frozenset({"failed", "deleting", "deleted"})
    failed = frozenset({"failed"})
    exclusive = ("allocationId",)
    fields = (
        Field("subnetId", replaces=_NAT_FINAL),
        Field("allocationId", replaces=_NAT_FINAL, apart=True),
        Field("connectivityType", default="public", choices=("public", "private"), replaces=_NAT_FINAL),
        TAGS,
        REGION,
    )
    outputs = ("associationId", "networkInterfaceId", "publicIp")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateNatGateway: an address for a public one, and for no other."""
        if inputs.get("subnetId") is None:
            yield ("subnetId",), "is required: the embedded AWS provider has no regional NAT gateways"
        kind, address = inputs["connectivityType"], inputs.get("allocationId")
        if kind == "public" and address is None:
            yield ("allocationId",), "is required for a public NAT gateway"
        if kind == "private" and address is not None:
            yield ("allocationId",), "excludes a private NAT gateway, which has no public address"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; `complete` waits for it."""
        found = aws.api("ec2").call(
            "create_nat_gateway",
            SubnetId=inputs["subnetId"],
            AllocationId=inputs.get("allocationId"),
            ConnectivityType=inputs["connectivityType"],
            TagSpecifications=self.specified(inputs),
        )["NatGateway"]
        return Made(found["NatGatewayId"], _nat_outputs(found))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call. One that failed counts as gone: AWS takes it away within the hour."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        inputs = from_aws(self.fields, record)
        del inputs["tags"]
        inputs["allocationId"] = _first_address(record).get("AllocationId")
        inputs["connectivityType"] = inputs["connectivityType"] or "public"
        pending = "the NAT gateway" if self.state(record) == "pending" else ""
        return Live(inputs, _nat_outputs(record), tags_of(record), pending)

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Nothing but tags can be changed."""
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call, and wait until it is gone, so that what it used can be deleted.

        AWS takes its address off it. The emulator does not, so that is looked after here, and comes to nothing on AWS.
        """
        api = aws.api("ec2")
        record = self.listing.one(api, resource_id)
        if record is None or self.state(record) == "deleted":
            return
        if self.state(record) != "deleting":
            api.find("delete_nat_gateway", self.listing.absent, NatGatewayId=resource_id)

        def probe() -> str:
            left = self.listing.one(api, resource_id)
            return "" if left is None or self.state(left) == "deleted" else "its deletion"

        until(probe, aws.seconds, aws.cancelled)
        address = _first_address(record)
        if address.get("AllocationId"):
            disassociate(aws, address["AllocationId"], address["NetworkInterfaceId"])


def _first_address(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(record.get("NatGatewayAddresses") or ()), {})


def _nat_outputs(record: Mapping[str, Any]) -> dict[str, Any]:
    address = _first_address(record)
    return {
        "associationId": address.get("AssociationId") or "",
        "networkInterfaceId": address.get("NetworkInterfaceId") or "",
        "publicIp": address.get("PublicIp") or "",
    }


RESOURCES: Final = (InternetGateway(), Eip(), NatGateway())
