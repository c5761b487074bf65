"""Security groups with rules of their own, and the default group of a VPC."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from mlinfra.functions import Unknown, holds
from mlinfra.graph import Path
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.types.ec2 import API, IPV4, IPV6, Ec2, Listing, tags_of
from mlinfra.providers.aws.types.ec2_permissions import (
    EVERYTHING,
    PROTOCOL,
    Permission,
    as_sent,
    from_record,
    from_rules,
    port_refusals,
    to_rules,
)

_FINAL: Final = f"{API}/API_CreateSecurityGroup.html: a group's name, description and VPC are final"
_DEFAULT_FINAL: Final = f"{API}/API_CreateSecurityGroup.html: a VPC has one default group, which stays with it"
_CHARACTERS: Final = r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]"
GROUPS: Final = Listing(
    "describe_security_groups",
    "SecurityGroups",
    "GroupId",
    "GroupIds",
    frozenset({"InvalidGroup.NotFound", "InvalidGroupId.NotFound"}),
)
_DIRECTIONS: Final = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}

_RULE: Final = (
    Field("protocol", required=True, pattern=PROTOCOL),
    Field("fromPort", int, required=True, bounds=(-1, 65535)),
    Field("toPort", int, required=True, bounds=(-1, 65535)),
    Field("cidrBlocks", many=True, unordered=True, pattern=IPV4),
    Field("ipv6CidrBlocks", many=True, unordered=True, pattern=IPV6),
    Field("prefixListIds", many=True, unordered=True),
    Field("securityGroups", many=True, unordered=True),
    Field("self", bool, default=False),
    Field("description"),
)


class _Group(Ec2):
    """What both kinds of group share: their rules."""

    listing = GROUPS
    thing = "security-group"

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_IpPermission: which ports go with which protocol."""
        for direction in _DIRECTIONS:
            rules = inputs.get(direction)
            for index, rule in enumerate(rules if isinstance(rules, list) else ()):
                if isinstance(rule, Mapping):
                    path = (direction, index)
                    yield from port_refusals(rule.get("protocol"), rule.get("fromPort"), rule.get("toPort"), path)

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """Rules that let the same pass, however they are put together."""
        if name not in _DIRECTIONS or holds(old, Unknown) or holds(new, Unknown):
            return False
        return from_rules(old) == from_rules(new)

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        inputs = {direction: to_rules(from_record(record[key], resource_id)) for direction, key in _DIRECTIONS.items()}
        inputs |= {"name": record["GroupName"], "description": record["Description"], "vpcId": record["VpcId"]}
        outputs = {"arn": aws.arn("ec2", f"security-group/{resource_id}"), "ownerId": record["OwnerId"]}
        return Live(inputs, outputs, tags_of(record))

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """At most two calls for each direction. What differs in its description alone is taken away first, too."""
        for direction in _DIRECTIONS:
            if change.touches(direction):
                self._exchange(aws, change.id, direction, from_rules(change.new.get(direction)))
        return {}

    def _exchange(self, aws: Aws, group: str, direction: str, wanted: Set[Permission]) -> None:
        """Bring the rules of a direction to `wanted`, from whatever AWS has."""
        api = aws.api("ec2")
        record = self.record(aws, group) or {}
        found = from_record(record.get(_DIRECTIONS[direction], ()), group)
        revoke(api, group, direction, found - wanted)
        if missing := sorted(wanted - found):
            sent = [as_sent(item, group) for item in missing]
            api.call(f"authorize_security_group_{direction}", GroupId=group, IpPermissions=sent)


def revoke(api: Api, group: str, direction: str, permissions: Set[Permission]) -> None:
    """Take rules out of a group; those that are gone already are no error."""
    if permissions:
        sent = [as_sent(item, group) for item in sorted(permissions)]
        gone = GROUPS.absent | {"InvalidPermission.NotFound"}
        api.find(f"revoke_security_group_{direction}", gone, GroupId=group, IpPermissions=sent)


class SecurityGroup(_Group):
    """A security group. `ingress` and `egress`, where they are given, are all of its rules in that direction.

    AWS lets everything out of a new group. That is taken back, as the official plugin does: what is to go out is said.
    """

    token = "aws:ec2/securityGroup:SecurityGroup"  # noqa: S105 — a type token
    fields = (
        Field(
            "name",
            pattern=(rf"(?!sg-){_CHARACTERS}{{1,255}}", "1 to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*"),
            replaces=_FINAL,
        ),
        Field(
            "description",
            default="Managed by Pulumi",
            pattern=(rf"{_CHARACTERS}{{1,255}}", "1 to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*"),
            replaces=_FINAL,
        ),
        Field("vpcId", computed=True, replaces=_FINAL),
        Field("ingress", _RULE, many=True, unordered=True, computed=True),
        Field("egress", _RULE, many=True, unordered=True, computed=True),
        Field("revokeRulesOnDelete", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "ownerId")
    names = ("name", "vpcId")
    longest = 255

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; its rules are for `complete`."""
        group = aws.api("ec2").call(
            "create_security_group",
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs.get("vpcId"),
            TagSpecifications=self.specified(inputs),
        )["GroupId"]
        return Made(group, {"arn": aws.arn("ec2", f"security-group/{group}")})

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Its rules; without any for what goes out, what AWS let out of it is taken back."""
        outputs = super().complete(aws, made, inputs)
        if inputs.get("egress") is None:
            revoke(aws.api("ec2"), made.id, "egress", self._let_out(aws, made.id))
        return outputs

    def _let_out(self, aws: Aws, group: str) -> Set[Permission]:
        record = self.record(aws, group) or {}
        return from_record(record.get("IpPermissionsEgress", ()), group) & EVERYTHING

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; with `revokeRulesOnDelete` its rules first, so that groups that name each other can go."""
        record = self.record(aws, resource_id)
        if record is None:
            return
        if inputs.get("revokeRulesOnDelete"):
            for direction, key in _DIRECTIONS.items():
                revoke(aws.api("ec2"), resource_id, direction, from_record(record[key], resource_id))
        aws.api("ec2").find("delete_security_group", GROUPS.absent, GroupId=resource_id)


class DefaultSecurityGroup(_Group):
    """The default security group of a VPC, which AWS makes and deletes with it. Without rules it is closed.

    It is taken over as it is found and brought to what is given: a direction that is not given has no rules. Deleting
    it leaves it as it is.
    """

    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"  # noqa: S105 — a type token
    marked = False
    fields = (
        Field("vpcId", computed=True, replaces=_DEFAULT_FINAL),
        Field("ingress", _RULE, many=True, unordered=True),
        Field("egress", _RULE, many=True, unordered=True),
        Field("revokeRulesOnDelete", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "description", "name", "ownerId")

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """By its VPC, of which it is the default group; without one, by the account's default VPC."""
        api, vpc = aws.api("ec2"), inputs.get("vpcId")
        if vpc is None:
            found = api.pages("describe_vpcs", "Vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])
            vpc = found[0]["VpcId"] if found else ""
        groups = GROUPS.filtered(api, {"vpc-id": vpc, "group-name": "default"})
        return str(groups[0]["GroupId"]) if groups else None

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Find it; `complete` brings it to what is wanted."""
        group = self.locate(aws, inputs)
        if group is None:
            vpc = inputs.get("vpcId", "the default VPC")
            raise AwsError("DescribeSecurityGroups", "InvalidVpcID.NotFound", f"{vpc} has no default security group")
        return Made(group)

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        live = super().read(aws, resource_id, known)
        if live is None:
            return None
        names = ("name", "description")
        inputs = {name: value for name, value in live.inputs.items() if name not in names}
        return Live(inputs, {**live.outputs, **{name: live.inputs[name] for name in names}}, live.tags)

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Nothing: the group goes with its VPC, and until then it is left as it is."""


RESOURCES: Final = (SecurityGroup(), DefaultSecurityGroup())
