"""CloudWatch Logs: log groups."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, same
from mlinfra.providers.aws.tags import Tagging

_API: Final = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference"
_FINAL: Final = f"{_API}/API_CreateLogGroup.html: a log group's name and class are final"
_GONE: Final = frozenset({"ResourceNotFoundException"})

TAGGING: Final = Tagging("resourceArn", tags="tags", keys="tagKeys", pair=None)
DAYS: Final = (
    0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
"""How many days a log group may keep its events (API_PutRetentionPolicy); 0 is pulumi_aws's word for all of them."""


class LogGroup(Resource):
    """A log group. Its id is its name. `skipDestroy` leaves it, and what is logged in it, when it is deleted."""

    token = "aws:cloudwatch/logGroup:LogGroup"  # noqa: S105 — a type token
    service = "logs"
    fields = (
        Field(
            "name",
            aws="logGroupName",
            pattern=(r"[\w#/.-]{1,512}", "1 to 512 letters, digits and _ - / . #"),
            replaces=_FINAL,
        ),
        Field("retentionInDays", int, default=0, choices=DAYS),
        Field("kmsKeyId"),
        Field(
            "logGroupClass",
            default="STANDARD",
            choices=("STANDARD", "INFREQUENT_ACCESS", "DELIVERY"),
            replaces=_FINAL,
            forgotten=True,
        ),
        Field("skipDestroy", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn",)
    names = ("name",)
    longest = 512

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all; `complete` sets how long it keeps events."""
        name = inputs["name"]
        aws.api("logs").call(
            "create_log_group",
            logGroupName=name,
            kmsKeyId=inputs.get("kmsKeyId"),
            logGroupClass=inputs["logGroupClass"],
            tags=TAGGING.form(inputs.get("tags")),
        )
        return Made(name, {"arn": aws.arn("logs", f"log-group:{name}")})

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """Retention is a second call."""
        if inputs["retentionInDays"]:
            _retain(aws, made.id, inputs["retentionInDays"])

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: the group and its tags. Groups are listed by prefix only."""
        api = aws.api("logs")
        groups = api.pages("describe_log_groups", "logGroups", logGroupNamePrefix=resource_id)
        group = next((item for item in groups if item["logGroupName"] == resource_id), None)
        if group is None:
            return None
        arn = group["arn"].removesuffix(":*")
        inputs = from_aws(self.fields, group, same)
        del inputs["tags"]
        return Live(inputs, {"arn": arn}, TAGGING.live(api, arn))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each setting that differs."""
        api, new = aws.api("logs"), change.new
        if change.touches("retentionInDays"):
            _retain(aws, change.id, new["retentionInDays"])
        if change.touches("kmsKeyId"):
            if key := new.get("kmsKeyId"):
                api.call("associate_kms_key", logGroupName=change.id, kmsKeyId=key)
            else:
                api.call("disassociate_kms_key", logGroupName=change.id)
        if change.touches("tags"):
            TAGGING.change(api, change.outputs["arn"], change.old.get("tags"), new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call, and what is logged goes too."""
        if not inputs.get("skipDestroy"):
            aws.api("logs").find("delete_log_group", _GONE, logGroupName=resource_id)


def _retain(aws: Aws, name: str, days: int) -> None:
    if days:
        aws.api("logs").call("put_retention_policy", logGroupName=name, retentionInDays=days)
    else:
        aws.api("logs").call("delete_retention_policy", logGroupName=name)


RESOURCES: Final = (LogGroup(),)
