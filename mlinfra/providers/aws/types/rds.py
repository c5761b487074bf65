"""RDS: the groups that database instances belong to, of subnets and of parameters."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.tags import Tagging

API: Final = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference"
_SUBNET_GROUP_FINAL: Final = f"{API}/API_ModifyDBSubnetGroup.html: a subnet group is known by its name"
_PARAMETER_GROUP_FINAL: Final = f"{API}/API_ModifyDBParameterGroup.html: only the parameters of a group can be changed"
_NO_SUBNETS: Final = frozenset({"DBSubnetGroupNotFoundFault"})
_NO_PARAMETERS: Final = frozenset({"DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"})
_AT_ONCE: Final = 20
"""Parameters in one call (API_ModifyDBParameterGroup)."""

TAGGING: Final = Tagging(
    "ResourceName", tag="add_tags_to_resource", untag="remove_tags_from_resource", listed="TagList"
)


class SubnetGroup(Resource):
    """A group of subnets that an instance may be in. Its id is its name."""

    token = "aws:rds/subnetGroup:SubnetGroup"  # noqa: S105 — a type token
    service = "rds"
    fields = (
        Field(
            "name",
            aws="DBSubnetGroupName",
            pattern=(
                r"(?!default$)[a-z][a-z0-9._ -]{0,254}",
                "1 to 255 small letters, digits and . _ -, not `default`",
            ),
            replaces=_SUBNET_GROUP_FINAL,
        ),
        Field("description", aws="DBSubnetGroupDescription", default="Managed by Pulumi"),
        Field("subnetIds", many=True, required=True, unordered=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "vpcId")
    names = ("name",)
    upserts = True  # AWS refuses a name that is taken, moto replaces what has it
    longest = 255

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateDBSubnetGroup, DBSubnetGroupDoesNotCoverEnoughAZs: two zones at the least, so two subnets."""
        subnets = inputs.get("subnetIds")
        if isinstance(subnets, list) and len(subnets) < 2:
            yield ("subnetIds",), "must name subnets in two availability zones at the least"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all."""
        return self._create(aws, inputs, inputs.get("tags"))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: the group and its tags."""
        api = aws.api("rds")
        found = api.find("describe_db_subnet_groups", _NO_SUBNETS, DBSubnetGroupName=resource_id)
        if found is None:
            return None
        record = found["DBSubnetGroups"][0]
        inputs = from_aws(self.fields, record)
        del inputs["tags"]
        inputs["subnetIds"] = [subnet["SubnetIdentifier"] for subnet in record["Subnets"]]
        return Live(inputs, _group_outputs(record), TAGGING.live(api, record["DBSubnetGroupArn"]))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """One call for what it holds, and those for tags."""
        api, new = aws.api("rds"), change.new
        if change.touches("description", "subnetIds"):
            tags = TAGGING.live(api, change.outputs["arn"])
            sent = {name: value for name, value in to_aws(self.fields, new).items() if name != "Tags"}
            api.call("modify_db_subnet_group", **sent)
            # moto takes the group away when it is changed: there it is made again, tags and all.
            if api.find("describe_db_subnet_groups", _NO_SUBNETS, DBSubnetGroupName=change.id) is None:
                self._create(aws, new, tags)
        if change.touches("tags"):
            TAGGING.change(api, change.outputs["arn"], change.old.get("tags"), new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call. AWS refuses it while an instance is in the group."""
        aws.api("rds").find("delete_db_subnet_group", _NO_SUBNETS, DBSubnetGroupName=resource_id)

    def _create(self, aws: Aws, inputs: Mapping[str, Any], tags: Mapping[str, str] | None) -> Made:
        sent = to_aws(self.fields, inputs) | {"Tags": TAGGING.form(tags)}
        record = aws.api("rds").call("create_db_subnet_group", **sent)["DBSubnetGroup"]
        return Made(record["DBSubnetGroupName"], _group_outputs(record))


def _group_outputs(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"arn": record["DBSubnetGroupArn"], "vpcId": record["VpcId"]}


_PARAMETER: Final = (
    Field("name", aws="ParameterName", required=True),
    Field("value", aws="ParameterValue", required=True),
    Field("applyMethod", default="immediate", choices=("immediate", "pending-reboot")),
)


class ParameterGroup(Resource):
    """Settings of the database engine, for the instances of one family of versions. Its id is its name."""

    token = "aws:rds/parameterGroup:ParameterGroup"  # noqa: S105 — a type token
    service = "rds"
    fields = (
        Field(
            "name",
            aws="DBParameterGroupName",
            pattern=(r"[a-z](?:-?[a-z0-9])*", "small letters, digits and single hyphens, a letter first"),
            replaces=_PARAMETER_GROUP_FINAL,
        ),
        Field("family", aws="DBParameterGroupFamily", required=True, replaces=_PARAMETER_GROUP_FINAL),
        Field("description", default="Managed by Pulumi", replaces=_PARAMETER_GROUP_FINAL),
        Field("parameters", _PARAMETER, many=True, unordered=True, apart=True),
        Field("skipDestroy", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn",)
    names = ("name",)
    longest = 255

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all; its parameters are for `complete`."""
        sent = to_aws(self.fields, inputs) | {"Tags": TAGGING.form(inputs.get("tags"))}
        record = aws.api("rds").call("create_db_parameter_group", **sent)["DBParameterGroup"]
        return Made(record["DBParameterGroupName"], {"arn": record["DBParameterGroupArn"]})

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """Twenty parameters a call."""
        self._put(aws, made.id, inputs.get("parameters") or [])

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Three calls: the group, the parameters that were set by its user, its tags."""
        api = aws.api("rds")
        found = api.find("describe_db_parameter_groups", _NO_PARAMETERS, DBParameterGroupName=resource_id)
        if not found or not found["DBParameterGroups"]:  # moto answers with an empty list
            return None
        record = found["DBParameterGroups"][0]
        inputs = from_aws(self.fields, record)
        del inputs["tags"]
        set_ = api.pages("describe_db_parameters", "Parameters", DBParameterGroupName=resource_id, Source="user")
        inputs["parameters"] = [from_aws(_PARAMETER, item) for item in set_ if "ParameterValue" in item]
        arn = record["DBParameterGroupArn"]
        return Live(inputs, {"arn": arn}, TAGGING.live(api, arn))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """What is no longer set goes back to the engine's own value; what differs is set."""
        old, new = (_by_name(side.get("parameters")) for side in (change.old, change.new))
        if gone := [item for name, item in sorted(old.items()) if name not in new]:
            self._reset(aws, change, gone)
        self._put(aws, change.id, [item for name, item in sorted(new.items()) if old.get(name) != item])
        if change.touches("tags"):
            TAGGING.change(aws.api("rds"), change.outputs["arn"], change.old.get("tags"), change.new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call. AWS refuses it while an instance uses the group."""
        if not inputs.get("skipDestroy"):
            aws.api("rds").find("delete_db_parameter_group", _NO_PARAMETERS, DBParameterGroupName=resource_id)

    def _put(self, aws: Aws, name: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        for some in _batches(parameters):
            sent = [{"ApplyMethod": "immediate", **to_aws(_PARAMETER, item)} for item in some]
            aws.api("rds").call("modify_db_parameter_group", DBParameterGroupName=name, Parameters=sent)

    def _reset(self, aws: Aws, change: Change, parameters: Sequence[Mapping[str, Any]]) -> None:
        api = aws.api("rds")
        for some in _batches(parameters):
            sent = [{"ParameterName": item["name"], "ApplyMethod": "pending-reboot"} for item in some]
            try:
                api.call("reset_db_parameter_group", DBParameterGroupName=change.id, Parameters=sent)
            except AwsError as error:
                if error.code != "NotEmulated":
                    raise
                # moto cannot reset, but lets a group be made again under the instances that use it.
                kept = {"tags": TAGGING.live(api, change.outputs["arn"])}
                api.call("delete_db_parameter_group", DBParameterGroupName=change.id)
                self.create(aws, {**change.new, **kept})
                names = {item["name"] for item in parameters}
                old = change.old.get("parameters") or []
                self._put(aws, change.id, [item for item in old if item["name"] not in names])
                return


def _by_name(parameters: Sequence[Mapping[str, Any]] | None) -> dict[str, dict[str, Any]]:
    return {item["name"]: {"applyMethod": "immediate", **item} for item in parameters or ()}


def _batches(items: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


RESOURCES: Final = (SubnetGroup(), ParameterGroup())
