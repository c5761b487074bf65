"""VPC endpoints: ways to AWS's services that do not leave AWS's network."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.types.ec2 import API, Ec2, Listing, tags_of
from mlinfra.providers.aws.waiting import until

_FINAL: Final = f"{API}/API_ModifyVpcEndpoint.html: VPC, service and type are not among what it changes"
_LISTS: Final = {"routeTableIds": "RouteTableIds", "subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds"}
"""What is put in and taken out one by one."""

_STUMBLES: Final = frozenset({"InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"})
_BELONGS: Final = {
    "routeTableIds": "Gateway",
    "subnetIds": "Interface",
    "securityGroupIds": "Interface",
}


class VpcEndpoint(Ec2):
    """A gateway endpoint, which is in route tables, or an interface endpoint, which is in subnets.

    AWS takes minutes to make and delete an interface endpoint; both are waited for.
    """

    token = "aws:ec2/vpcEndpoint:VpcEndpoint"  # noqa: S105 — a type token
    listing = Listing(
        "describe_vpc_endpoints",
        "VpcEndpoints",
        "VpcEndpointId",
        "VpcEndpointIds",
        frozenset({"InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound"}),
    )
    thing = "vpc-endpoint"
    gone = frozenset({"failed", "rejected", "expired", "deleting", "deleted"})
    failed = frozenset({"failed", "rejected", "expired"})
    fields = (
        Field("vpcId", required=True, replaces=_FINAL),
        Field("serviceName", replaces=_FINAL),
        Field("vpcEndpointType", default="Gateway", choices=("Gateway", "Interface"), replaces=_FINAL),
        Field("policy", document=True, computed=True, aws="PolicyDocument"),
        Field("privateDnsEnabled", bool, default=False, apart=True, forgotten=True),
        *(Field(name, many=True, unordered=True, computed=True, apart=True) for name in _LISTS),
        TAGS,
        REGION,
    )
    outputs = (
        "arn", "cidrBlocks", "dnsEntries", "networkInterfaceIds", "ownerId", "prefixListId", "requesterManaged",
        "state",
    )  # fmt: skip
    volatile = ("dnsEntries", "networkInterfaceIds")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateVpcEndpoint: what is for gateway endpoints, and what for interface endpoints."""
        if inputs.get("serviceName") is None:
            yield ("serviceName",), "is required: the embedded AWS provider has endpoints of services alone"
        kind = inputs["vpcEndpointType"]
        if not isinstance(kind, str):
            return
        for name, owner in _BELONGS.items():
            if inputs.get(name) is not None and kind != owner:
                yield (name,), f"is for endpoints of type {owner} alone"
        if inputs["privateDnsEnabled"] is True and kind != "Interface":
            yield ("privateDnsEnabled",), "is for endpoints of type Interface alone"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; `complete` waits for it."""
        private = inputs["privateDnsEnabled"] if inputs["vpcEndpointType"] == "Interface" else None
        sent = to_aws(self.fields, inputs) | {
            "Tags": None,
            "TagSpecifications": self.specified(inputs),
            "PrivateDnsEnabled": private,
            **{parameter: inputs.get(name) for name, parameter in _LISTS.items()},
        }
        endpoint = aws.api("ec2").call("create_vpc_endpoint", **sent)["VpcEndpoint"]["VpcEndpointId"]
        return Made(endpoint, {"arn": aws.arn("ec2", f"vpc-endpoint/{endpoint}")})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call; one more for the addresses behind a gateway endpoint.

        The emulator never changes whether names are private, so that is looked at for imports alone.
        """
        record = self.record(aws, resource_id)
        if record is None:
            return None
        gateway = record["VpcEndpointType"] == "Gateway"
        inputs = from_aws(self.fields, record)
        del inputs["tags"]
        inputs["routeTableIds"] = record.get("RouteTableIds")
        inputs["subnetIds"] = record.get("SubnetIds")
        inputs["securityGroupIds"] = [group["GroupId"] for group in record.get("Groups") or ()]
        if not known:
            inputs["privateDnsEnabled"] = not gateway and record.get("PrivateDnsEnabled", False)
        state = self.state(record)
        outputs = {
            "arn": aws.arn("ec2", f"vpc-endpoint/{resource_id}"),
            "dnsEntries": [
                {"dnsName": entry.get("DnsName", ""), "hostedZoneId": entry.get("HostedZoneId", "")}
                for entry in record.get("DnsEntries") or ()
            ],
            "networkInterfaceIds": sorted(record.get("NetworkInterfaceIds") or ()),
            "ownerId": record["OwnerId"],
            "requesterManaged": record.get("RequesterManaged", False),
            "state": state,
            **(_prefixes(aws, record["ServiceName"]) if gateway else {"prefixListId": "", "cidrBlocks": []}),
        }
        return Live(inputs, outputs, tags_of(record), "the endpoint" if state == "pending" else "")

    def reason(self, record: Mapping[str, Any]) -> tuple[str, str]:
        """Its last error."""
        error = record.get("LastError") or {}
        return str(error.get("Code", self.state(record).capitalize())), str(error.get("Message", ""))

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """One call for all that, by what AWS has, differs."""
        if not change.names - {"tags"}:
            return {}
        sent: dict[str, Any] = {}
        found = self.read(aws, change.id, change.new)
        for name, parameter in _LISTS.items():
            old, new = set((found and found.inputs[name]) or ()), set(change.new.get(name) or ())
            if change.touches(name):
                sent |= {f"Add{parameter}": sorted(new - old) or None, f"Remove{parameter}": sorted(old - new) or None}
        if change.touches("policy"):
            sent["PolicyDocument"] = change.new["policy"]
        if change.touches("privateDnsEnabled"):
            sent["PrivateDnsEnabled"] = change.new["privateDnsEnabled"]
        aws.api("ec2").call("modify_vpc_endpoint", VpcEndpointId=change.id, **sent)
        self.wait(aws, change.id, change.new)
        live = self.read(aws, change.id, change.new)
        return {name: live.outputs[name] for name in self.volatile} if live else {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call, and wait until it is gone, so that its subnets can be deleted.

        The emulator stumbles over route tables that the endpoint was put into after it was made. It is taken out of all
        tables then, and deleted again; AWS, which takes it out of them itself, never comes to this.
        """
        api = aws.api("ec2")
        record = self.listing.one(api, resource_id)
        if record is None:
            return
        if self.state(record) not in ("deleting", "deleted"):
            try:
                self._delete(api, resource_id)
            except AwsError as error:
                if error.code not in _STUMBLES:
                    raise
                tables = record["RouteTableIds"]
                api.call("modify_vpc_endpoint", VpcEndpointId=resource_id, RemoveRouteTableIds=tables)
                self._delete(api, resource_id)

        def probe() -> str:
            left = self.listing.one(api, resource_id)
            return "" if left is None or self.state(left) == "deleted" else "its deletion"

        until(probe, aws.seconds, aws.cancelled)

    def _delete(self, api: Api, endpoint: str) -> None:
        """Ask for its deletion; what AWS could not delete is in the answer."""
        answer = api.call("delete_vpc_endpoints", VpcEndpointIds=[endpoint])
        for item in answer.get("Unsuccessful") or ():
            problem = item["Error"]
            if problem["Code"] not in self.listing.absent:
                raise AwsError("DeleteVpcEndpoints", problem["Code"], problem["Message"])


def _prefixes(aws: Aws, service: str) -> dict[str, Any]:
    """The prefix list of a service, which routes to a gateway endpoint name, and the addresses on it."""
    filters = [{"Name": "prefix-list-name", "Values": [service]}]
    found = aws.api("ec2").pages("describe_prefix_lists", "PrefixLists", Filters=filters)
    listed: Mapping[str, Any] = next((item for item in found if item["PrefixListName"] == service), {})
    return {"prefixListId": listed.get("PrefixListId", ""), "cidrBlocks": listed.get("Cidrs") or []}


RESOURCES: Final = (VpcEndpoint(),)
