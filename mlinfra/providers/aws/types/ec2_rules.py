"""Rules of security groups as resources of their own."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.types.ec2 import API, IPV4, IPV6, Ec2, Listing, canonical, range_refusals, tags_of
from mlinfra.providers.aws.types.ec2_permissions import PROTOCOL, Permission, as_sent, port_refusals, protocol_name

_GROUP_FINAL: Final = f"{API}/API_ModifySecurityGroupRules.html: a rule stays in its group"
_PEER_FINAL: Final = (
    f"{API}/API_SecurityGroupRuleRequest.html: a rule's type cannot be changed. AWS could change the range, list or "
    "group of one type in place; the emulator does so for IPv4 alone, and says nothing for the others"
)
_PEERS: Final = {
    "cidrIpv4": "IpRanges",
    "cidrIpv6": "Ipv6Ranges",
    "prefixListId": "PrefixListIds",
    "referencedSecurityGroupId": "UserIdGroupPairs",
}
"""Whom a rule is about, and what AWS calls each kind."""


class _Rule(Ec2):
    """A rule of a security group. Its id is the rule's (`sgr-…`)."""

    direction: str
    listing = Listing(
        "describe_security_group_rules",
        "SecurityGroupRules",
        "SecurityGroupRuleId",
        "SecurityGroupRuleIds",
        frozenset({"InvalidSecurityGroupRuleId.NotFound"}),
    )
    thing = "security-group-rule"
    fields = (
        Field("securityGroupId", required=True, replaces=_GROUP_FINAL),
        Field("ipProtocol", required=True, pattern=PROTOCOL),
        Field("cidrIpv4", pattern=IPV4, replaces=_PEER_FINAL),
        Field("cidrIpv6", pattern=IPV6, replaces=_PEER_FINAL),
        Field("prefixListId", replaces=_PEER_FINAL),
        Field("referencedSecurityGroupId", replaces=_PEER_FINAL),
        Field("fromPort", int, bounds=(-1, 65535)),
        Field("toPort", int, bounds=(-1, 65535)),
        Field("description"),
        TAGS,
        REGION,
    )
    outputs = ("arn", "securityGroupRuleId")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_SecurityGroupRuleRequest: one peer, and the ports that the protocol wants."""
        given = [name for name in _PEERS if inputs.get(name) is not None]
        if not given:
            yield ("cidrIpv4",), f"or another peer is required: {', '.join(_PEERS)}"
        for name in given[1:]:
            yield (name,), f"excludes {given[0]}: a rule is about one peer"
        yield from range_refusals(inputs.get("cidrIpv4"), ("cidrIpv4",), 0, 32)
        yield from range_refusals(inputs.get("cidrIpv6"), ("cidrIpv6",), 0, 128)
        protocol, first, last = protocol_name(inputs["ipProtocol"]), inputs.get("fromPort"), inputs.get("toPort")
        if protocol == "-1" and not (first is None and last is None):
            yield ("fromPort",), "and toPort exclude protocol -1, which is all protocols and all ports"
        elif isinstance(protocol, str) and protocol not in ("-1", "icmpv6") and (first is None or last is None):
            yield ("fromPort" if first is None else "toPort",), f"is required for protocol {protocol}"
        else:
            yield from port_refusals(protocol, first, last, ())

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """An IPv4 range becomes another in place."""
        return "" if field.name == "cidrIpv4" and old is not None and new is not None else field.replaces

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A range with other bits behind its prefix; a protocol by name and by number."""
        if name == "ipProtocol":
            return bool(protocol_name(old) == protocol_name(new))
        return name in ("cidrIpv4", "cidrIpv6") and canonical(old) == canonical(new)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call."""
        group = inputs["securityGroupId"]
        answer = aws.api("ec2").call(
            f"authorize_security_group_{self.direction}",
            GroupId=group,
            IpPermissions=[as_sent(_permission(inputs), group)],
            TagSpecifications=self.specified(inputs),
        )
        rule = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return Made(rule, _outputs(aws, rule))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call. A rule of the other direction is none of this type."""
        record = self.record(aws, resource_id)
        if record is None or record["IsEgress"] != (self.direction == "egress"):
            return None
        everything = record["IpProtocol"] == "-1"
        inputs = {
            "securityGroupId": record["GroupId"],
            "ipProtocol": record["IpProtocol"],
            "fromPort": None if everything else record.get("FromPort"),
            "toPort": None if everything else record.get("ToPort"),
            "cidrIpv4": record.get("CidrIpv4"),
            "cidrIpv6": record.get("CidrIpv6"),
            "prefixListId": record.get("PrefixListId"),
            "referencedSecurityGroupId": (record.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "description": record.get("Description") or None,
        }
        return Live(inputs, _outputs(aws, resource_id), tags_of(record))

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """One call, which takes the whole rule.

        A new rule that the emulator keeps without its description, one about a group or a list, gets it here.
        """
        new = change.new
        if not change.names - {"tags"}:
            return {}
        everything = protocol_name(new["ipProtocol"]) == "-1"
        rule = {
            "IpProtocol": protocol_name(new["ipProtocol"]),
            "FromPort": -1 if everything else new.get("fromPort", -1),
            "ToPort": -1 if everything else new.get("toPort", -1),
            "CidrIpv4": new.get("cidrIpv4"),
            "CidrIpv6": new.get("cidrIpv6"),
            "PrefixListId": new.get("prefixListId"),
            "ReferencedGroupId": new.get("referencedSecurityGroupId"),
            "Description": new.get("description", ""),
        }
        sent = {name: value for name, value in rule.items() if value is not None}
        aws.api("ec2").call(
            "modify_security_group_rules",
            GroupId=new["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": change.id, "SecurityGroupRule": sent}],
        )
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; that its group is gone is no error either."""
        gone = self.listing.absent | {"InvalidPermission.NotFound", "InvalidGroup.NotFound"}
        aws.api("ec2").find(
            f"revoke_security_group_{self.direction}",
            gone,
            GroupId=inputs["securityGroupId"],
            SecurityGroupRuleIds=[resource_id],
        )


def _permission(inputs: Mapping[str, Any]) -> Permission:
    name = next(name for name in _PEERS if inputs.get(name) is not None)
    protocol = protocol_name(inputs["ipProtocol"])
    first, last = int(inputs.get("fromPort", -1)), int(inputs.get("toPort", -1))
    return Permission(protocol, first, last, _PEERS[name], inputs[name], inputs.get("description") or "")


def _outputs(aws: Aws, rule: str) -> dict[str, Any]:
    return {"arn": aws.arn("ec2", f"security-group-rule/{rule}"), "securityGroupRuleId": rule}


class SecurityGroupIngressRule(_Rule):
    """A rule for what may come into a group."""

    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"  # noqa: S105 — a type token
    direction = "ingress"


class SecurityGroupEgressRule(_Rule):
    """A rule for what may go out of a group."""

    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"  # noqa: S105 — a type token
    direction = "egress"


RESOURCES: Final = (SecurityGroupIngressRule(), SecurityGroupEgressRule())
