"""Flow logs: what passes through a VPC, a subnet or a network interface."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.types.ec2 import API, Ec2, Listing, tags_of

_FINAL: Final = f"{API}/API_CreateFlowLogs.html: after it is created, nothing of a flow log but its tags can be changed"
_SOURCES: Final = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
_PREFIXES: Final = {"vpc": "vpcId", "subnet": "subnetId", "eni": "eniId"}

_FIELDS: Final = (
    *(Field(name, apart=True) for name in _SOURCES),
    Field("trafficType", choices=("ACCEPT", "REJECT", "ALL")),
    Field(
        "logDestinationType", default="cloud-watch-logs", choices=("cloud-watch-logs", "s3", "kinesis-data-firehose")
    ),
    Field("logDestination"),
    Field("iamRoleArn", aws="DeliverLogsPermissionArn"),
    Field("deliverCrossAccountRole", forgotten=True),
    Field("logFormat", computed=True),
    Field("maxAggregationInterval", int, default=600, choices=(60, 600)),
    Field(
        "destinationOptions",
        (
            Field("fileFormat", default="plain-text", choices=("plain-text", "parquet")),
            Field("hiveCompatiblePartitions", bool, default=False),
            Field("perHourPartition", bool, default=False),
        ),
        computed=True,
        forgotten=True,
    ),
)


class FlowLog(Ec2):
    """A flow log of a VPC, a subnet or a network interface, to CloudWatch Logs, S3 or Firehose."""

    token = "aws:ec2/flowLog:FlowLog"  # noqa: S105 — a type token
    listing = Listing(
        "describe_flow_logs",
        "FlowLogs",
        "FlowLogId",
        "FlowLogIds",
        frozenset({"InvalidFlowLogId.NotFound"}),
        filters="Filter",
    )
    thing = "vpc-flow-log"
    fields = (*(replace(field, replaces=_FINAL) for field in _FIELDS), TAGS, REGION)
    outputs = ("arn",)
    exclusive = ("logDestination",)

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateFlowLogs: one source, which traffic, a destination, and a role where AWS writes to CloudWatch."""
        given = [name for name in _SOURCES if inputs.get(name) is not None]
        if not given:
            yield ("vpcId",), f"or another source is required: {', '.join(_SOURCES)}"
        for name in given[1:]:
            yield (name,), f"excludes {given[0]}: a flow log has one source"
        if inputs.get("trafficType") is None:
            yield ("trafficType",), "is required"
        if inputs.get("logDestination") is None:
            yield ("logDestination",), "is required"
        if inputs["logDestinationType"] == "cloud-watch-logs" and inputs.get("iamRoleArn") is None:
            yield ("iamRoleArn",), "is required for CloudWatch Logs"
        if inputs["logDestinationType"] == "s3" and inputs.get("iamRoleArn") is not None:
            yield ("iamRoleArn",), "is not for S3, which has a bucket policy for it"

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A log group's ARN with `:*` behind it and without."""
        if name != "logDestination" or not (isinstance(old, str) and isinstance(new, str)):
            return False
        return old.removesuffix(":*") == new.removesuffix(":*")

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call. What AWS could not make is in its answer."""
        source = next(name for name in _SOURCES if inputs.get(name))
        sent = to_aws(self.fields, inputs) | {"Tags": None, "TagSpecifications": self.specified(inputs)}
        sent["LogDestination"] = inputs["logDestination"].removesuffix(":*")
        answer = aws.api("ec2").call(
            "create_flow_logs", ResourceIds=[inputs[source]], ResourceType=_SOURCES[source], **sent
        )
        for item in answer.get("Unsuccessful") or ():
            raise AwsError("CreateFlowLogs", item["Error"]["Code"], item["Error"]["Message"])
        (log,) = answer["FlowLogIds"]
        return Made(log, {"arn": aws.arn("ec2", f"vpc-flow-log/{log}")})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call. The emulator keeps neither the options of a destination nor the role of another account."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        inputs = from_aws(self.fields, record)
        del inputs["tags"], inputs["destinationOptions"], inputs["deliverCrossAccountRole"]
        source = record["ResourceId"]
        inputs |= dict.fromkeys(_SOURCES) | {_PREFIXES[source.partition("-")[0]]: source}
        return Live(inputs, {"arn": aws.arn("ec2", f"vpc-flow-log/{resource_id}")}, tags_of(record))

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Nothing but tags can be changed."""
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; what it has logged stays."""
        aws.api("ec2").find("delete_flow_logs", self.listing.absent, FlowLogIds=[resource_id])


RESOURCES: Final = (FlowLog(),)
