"""Whom a bucket tells of what happens in it: queues, topics, functions, EventBridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Final

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.resource import Aws, Live
from mlinfra.providers.aws.types.s3_settings import BucketSetting, Record, Refusals
from mlinfra.providers.aws.types.sqs import queue_policy

EVENTS: Final = (
    "s3:IntelligentTiering",
    "s3:LifecycleExpiration:*", "s3:LifecycleExpiration:Delete", "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:ObjectAcl:Put",
    "s3:ObjectCreated:*", "s3:ObjectCreated:CompleteMultipartUpload", "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:Post", "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*", "s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*", "s3:ObjectRestore:Completed", "s3:ObjectRestore:Delete", "s3:ObjectRestore:Post",
    "s3:ObjectTagging:*", "s3:ObjectTagging:Delete", "s3:ObjectTagging:Put",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*", "s3:Replication:OperationFailedReplication", "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationNotTracked", "s3:Replication:OperationReplicatedAfterThreshold",
)  # fmt: skip
"""Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html"""

_STANDARD: Final = r"arn:aws[\w-]*:{service}:[a-z0-9-]+:\d{{12}}:[A-Za-z0-9_-]+"
"""S3 sends to no FIFO queue or topic (the same document), and the name of one ends in `.fifo`."""


def _destinations(name: str, arn: Field) -> Field:
    """A list of destinations of one kind; without an id S3 makes one up."""
    return Field(
        name,
        (
            arn,
            Field("events", many=True, required=True, unordered=True, choices=EVENTS),
            Field("filterPrefix", default=""),
            Field("filterSuffix", default=""),
            Field("id", computed=True, pattern=(r".{1,255}", "1 to 255 characters")),
        ),
        many=True,
    )


_KINDS: Final = {
    "queues": ("QueueConfigurations", "queueArn", "QueueArn"),
    "topics": ("TopicConfigurations", "topicArn", "TopicArn"),
    "lambdaFunctions": ("LambdaFunctionConfigurations", "lambdaFunctionArn", "LambdaFunctionArn"),
}
_NOTIFICATION: Final = (
    _destinations(
        "queues",
        Field(
            "queueArn",
            required=True,
            pattern=(_STANDARD.format(service="sqs"), "the ARN of a queue that is not FIFO"),
        ),
    ),
    _destinations(
        "topics",
        Field(
            "topicArn",
            required=True,
            pattern=(_STANDARD.format(service="sns"), "the ARN of a topic that is not FIFO"),
        ),
    ),
    _destinations(
        "lambdaFunctions",
        Field("lambdaFunctionArn", pattern=(r"arn:aws[\w-]*:lambda:.+", "the ARN of a Lambda function")),
    ),
    Field("eventbridge", bool, default=False, forgotten=True),
)


def _to_s3(inputs: Record) -> dict[str, Any]:
    sent: dict[str, Any] = {
        plural: [_destination_to_s3(item, name, arn) for item in inputs[kind]]
        for kind, (plural, name, arn) in _KINDS.items()
        if inputs.get(kind)
    }
    if inputs["eventbridge"]:
        sent["EventBridgeConfiguration"] = {}
    return {"NotificationConfiguration": sent}


def _destination_to_s3(item: Record, name: str, arn: str) -> dict[str, Any]:
    sent: dict[str, Any] = {arn: item[name], "Events": item["events"]}
    filters = {"prefix": item.get("filterPrefix"), "suffix": item.get("filterSuffix")}
    if any(filters.values()):
        rules = [{"Name": part, "Value": value} for part, value in filters.items() if value]
        sent["Filter"] = {"Key": {"FilterRules": rules}}
    return sent | ({"Id": item["id"]} if item.get("id") else {})


def _from_s3(answer: Record) -> dict[str, Any]:
    found: dict[str, Any] = {
        kind: [_destination_from_s3(item, name, arn) for item in answer.get(plural) or ()]
        for kind, (plural, name, arn) in _KINDS.items()
    }
    return found | {"eventbridge": "EventBridgeConfiguration" in answer}


def _destination_from_s3(item: Record, name: str, arn: str) -> dict[str, Any]:
    rules = item.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    filters = {f"filter{rule['Name'].capitalize()}": rule["Value"] for rule in rules}  # S3 answers with Prefix
    return {name: item[arn], "events": list(item["Events"]), "id": item["Id"], **filters}


def _refusals(inputs: Record) -> Refusals:
    """A function without its ARN, and two destinations for the same event of the same object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
    """
    known = [
        ((kind, index), item)
        for kind in _KINDS
        for index, item in enumerate(inputs[kind] if isinstance(inputs.get(kind), list) else ())
        if isinstance(item, Mapping)
    ]
    for path, item in known:
        if path[0] == "lambdaFunctions" and item.get("lambdaFunctionArn") is None:
            yield (*path, "lambdaFunctionArn"), "is required"
    for (first, one), (second, other) in combinations(known, 2):
        if overlap(one, other):
            yield second, f"is for events and objects that {first[0]}[{first[1]}] is for too, which S3 does not take"


def overlap(one: Record, other: Record) -> bool:
    """Whether an event of an object can be for both destinations; no, as far as that is not known yet."""
    return (
        any(_same_event(first, second) for first in _texts(one, "events") for second in _texts(other, "events"))
        and _same_end(one, other, "filterPrefix", str.startswith)
        and _same_end(one, other, "filterSuffix", str.endswith)
    )


def _texts(item: Record, name: str) -> list[str]:
    value = item.get(name)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _same_event(one: str, other: str) -> bool:
    """`s3:ObjectCreated:*` has `s3:ObjectCreated:Put` in it."""
    return one == other or any(
        wide.endswith(":*") and narrow.startswith(wide[:-1]) for wide, narrow in ((one, other), (other, one))
    )


def _same_end(one: Record, other: Record, name: str, test: Any) -> bool:
    first, second = ("" if item.get(name) is None else item[name] for item in (one, other))
    return isinstance(first, str) and isinstance(second, str) and (test(first, second) or test(second, first))


def _destination_arns(aws: Aws, inputs: Record) -> Iterator[str]:
    """The queues and topics in this account and region, which can be looked at."""
    for item in (*(inputs.get("queues") or ()), *(inputs.get("topics") or ())):
        arn = str(item.get("queueArn") or item.get("topicArn"))
        if arn.split(":")[3:5] == [aws.region, aws.account]:
            yield arn


def _can_be_told(aws: Aws, arn: str) -> bool:
    """A topic that is there, a queue that is and has a policy: without one nobody but its owner may send."""
    if ":sns:" in arn:
        return aws.api("sns").find("get_topic_attributes", {"NotFound", "NotFoundException"}, TopicArn=arn) is not None
    return bool(queue_policy(aws, arn.rpartition(":")[2]))


class _Notifications(BucketSetting):
    """Every bucket has this setting, empty where it was never put."""

    def put_setting(self, aws: Aws, bucket: str, inputs: Record) -> None:
        """Put it, unless a queue or topic of this account cannot be told: S3 tries each, moto none.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
        """
        if deaf := [arn for arn in _destination_arns(aws, inputs) if not _can_be_told(aws, arn)]:
            raise AwsError(
                "PutBucketNotificationConfiguration",
                "InvalidArgument",
                f"S3 cannot send to {' and '.join(deaf)}",
                "Let it be made before the notification, with a policy that lets s3.amazonaws.com send to it.",
            )
        super().put_setting(aws, bucket, inputs)

    def read(self, aws: Aws, resource_id: str, known: Record) -> Live | None:
        """Get it; one that is empty is gone. Moto tells nothing of EventBridge, so that one is taken to be there."""
        live = super().read(aws, resource_id, known)
        if live is None or any(live.inputs[name] for name in (*_KINDS, "eventbridge")) or known.get("eventbridge"):
            return live
        return None


RESOURCES: Final = (
    _Notifications(
        "aws:s3/bucketNotification:BucketNotification",
        _NOTIFICATION,
        put="put_bucket_notification_configuration",
        get="get_bucket_notification_configuration",
        take="put_bucket_notification_configuration",  # an empty one turns all off
        take_parameters={"NotificationConfiguration": {}},
        to_s3=_to_s3,
        from_s3=_from_s3,
        refuses=_refusals,
    ),
)
