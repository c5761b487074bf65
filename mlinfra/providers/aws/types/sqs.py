"""SQS queues and their policies. SQS keeps all settings as attributes, each a text."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Path
from mlinfra.providers.aws.attributes import from_attributes, to_attributes
from mlinfra.providers.aws.comparing import agrees
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.tags import Tagging
from mlinfra.providers.aws.waiting import until
from mlinfra.providers.base import autoname

_API: Final = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference"
_QUEUE_FINAL: Final = f"{_API}/API_SetQueueAttributes.html: a queue's name and kind are not among what can be set"
_GONE: Final = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_DELETED: Final = frozenset({"AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"})
_FIFO: Final = ".fifo"

TAGGING: Final = Tagging("QueueUrl", tag="tag_queue", untag="untag_queue", read="list_queue_tags", pair=None)

_ATTRIBUTES: Final = (
    Field("visibilityTimeoutSeconds", int, default=30, bounds=(0, 43200), aws="VisibilityTimeout"),
    Field("messageRetentionSeconds", int, default=345600, bounds=(60, 1209600), aws="MessageRetentionPeriod"),
    # SQS itself would take 1 MiB; 256 KiB is pulumi_aws's default, which it always sends.
    Field("maxMessageSize", int, default=262144, bounds=(1024, 1048576), aws="MaximumMessageSize"),
    Field("delaySeconds", int, default=0, bounds=(0, 900)),
    Field("receiveWaitTimeSeconds", int, default=0, bounds=(0, 20), aws="ReceiveMessageWaitTimeSeconds"),
    Field("policy", document=True, computed=True),
    Field("redrivePolicy", document=True, computed=True),
    Field("redriveAllowPolicy", document=True, computed=True, forgotten=True),
    Field("fifoQueue", bool, default=False, replaces=_QUEUE_FINAL),
    Field("contentBasedDeduplication", bool, default=False),
    Field("deduplicationScope", computed=True, choices=("messageGroup", "queue")),
    Field("fifoThroughputLimit", computed=True, choices=("perQueue", "perMessageGroupId")),
    Field("sqsManagedSseEnabled", bool, computed=True),
    Field("kmsMasterKeyId"),
    Field("kmsDataKeyReusePeriodSeconds", int, computed=True, bounds=(60, 86400)),
)
"""Ranges and defaults: API_SetQueueAttributes. SQS keeps the policies where none is given, as the official provider."""

_FOR_FIFO: Final = ("contentBasedDeduplication", "deduplicationScope", "fifoThroughputLimit")


class Queue(Resource):
    """A queue. Its id is its URL."""

    token = "aws:sqs/queue:Queue"  # noqa: S105 — a type token
    service = "sqs"
    fields = (
        Field(
            "name",
            pattern=(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo", "1 to 80 letters, digits, - and _"),
            replaces=_QUEUE_FINAL,
        ),
        *_ATTRIBUTES,
        TAGS,
        REGION,
    )
    outputs = ("arn", "url")
    names = ("name",)
    upserts = True  # CreateQueue answers with the URL of a queue that is there already and has the same attributes
    longest = 80

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """What a queue of one kind cannot have, encryption twice, and dead letters that lead nowhere."""
        fifo, name = inputs["fifoQueue"], inputs.get("name")
        if isinstance(fifo, bool) and isinstance(name, str) and name.endswith(_FIFO) != fifo:
            yield ("name",), f"must end in {_FIFO} for a FIFO queue, and for no other (API_CreateQueue)"
        if fifo is False:
            for given in _FOR_FIFO:
                if inputs.get(given) not in (None, False, UNKNOWN):
                    yield (given,), "is for FIFO queues only (API_SetQueueAttributes)"
        if inputs.get("fifoThroughputLimit") == "perMessageGroupId" and inputs.get("deduplicationScope") in (
            None,
            "queue",
        ):
            yield (
                ("fifoThroughputLimit",),
                "can be perMessageGroupId only where deduplicationScope is messageGroup (API_SetQueueAttributes)",
            )
        if inputs.get("sqsManagedSseEnabled") is True and isinstance(inputs.get("kmsMasterKeyId"), str):
            yield (
                ("sqsManagedSseEnabled",),
                "excludes kmsMasterKeyId: a queue is encrypted in one way (API_SetQueueAttributes)",
            )
        yield from _redrive_refusals(inputs.get("redrivePolicy"), fifo)

    def autoname(self, name: str, seed: bytes, inputs: Mapping[str, Any]) -> str:
        """A FIFO queue's name ends in `.fifo`."""
        if inputs.get("fifoQueue") is True:
            return autoname(name, seed, self.longest - len(_FIFO)) + _FIFO
        return super().autoname(name, seed, inputs)

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """By its name, which is unique in account and region."""
        return _url(aws.api("sqs"), inputs["name"])

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, attributes, tags and all; a name whose queue was just deleted is waited for, up to a minute."""
        sent = {name: value for name, value in inputs.items() if value is not False or name == "sqsManagedSseEnabled"}
        made: dict[str, str] = {}

        def probe() -> str:
            answer = aws.api("sqs").find(
                "create_queue",
                _DELETED,
                QueueName=inputs["name"],
                Attributes=to_attributes(_ATTRIBUTES, sent),  # SQS does not take a FifoQueue that is false
                tags=TAGGING.form(inputs.get("tags")),
            )
            if answer is None:
                return f"the name {inputs['name']}, which is taken for a minute after a queue's deletion"
            made["url"] = answer["QueueUrl"]
            return ""

        until(probe, aws.seconds, aws.cancelled)
        return Made(made["url"], _outputs(aws, made["url"]))

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """Wait until it can be used: API_CreateQueue says that this takes a second or more."""
        self.wait(aws, made.id, inputs)

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: attributes and tags. `resource_id` is the URL, or the name alone."""
        api = aws.api("sqs")
        url = resource_id if "/" in resource_id else _url(api, resource_id)
        attributes = None if url is None else _attributes(api, url, "All")
        if url is None or attributes is None:
            return None
        inputs = from_attributes(_ATTRIBUTES, attributes)
        inputs["fifoQueue"] = bool(inputs["fifoQueue"])
        if inputs["kmsMasterKeyId"]:
            inputs["sqsManagedSseEnabled"] = False  # what SQS says; moto says true whatever the key
        return Live({"name": url.rpartition("/")[2], **inputs}, _outputs(aws, url), TAGGING.live(api, url))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """All attributes that differ in one call, since some are taken together only; then the tags."""
        api = aws.api("sqs")
        fields = tuple(field for field in _ATTRIBUTES if change.touches(field.name))
        if fields:
            wanted = {field.name: change.new.get(field.name, "") for field in fields}
            sent = to_attributes(fields, wanted)
            if "Policy" not in sent and (policy := (_attributes(api, change.id, "Policy") or {}).get("Policy")):
                sent["Policy"] = policy  # nothing to SQS; moto drops a policy that is not sent along
            api.call("set_queue_attributes", QueueUrl=change.id, Attributes=sent)
        if change.touches("tags"):
            TAGGING.change(api, change.id, change.old.get("tags"), change.new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; it may take a minute to be gone (API_DeleteQueue), which is waited for."""
        api = aws.api("sqs")
        if api.find("delete_queue", _GONE, QueueUrl=resource_id) is not None:
            until(
                lambda: "" if _attributes(api, resource_id, "QueueArn") is None else "the queue to be gone",
                aws.seconds,
                aws.cancelled,
            )


def _redrive_refusals(policy: Any, fifo: Any) -> Iterator[tuple[Path, str]]:
    """A target of the same kind, and 1 to 1,000 receives.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """
    if not isinstance(policy, str):
        return
    parsed = json.loads(policy)
    if not isinstance(parsed, Mapping) or "deadLetterTargetArn" not in parsed or "maxReceiveCount" not in parsed:
        yield ("redrivePolicy",), "must have deadLetterTargetArn and maxReceiveCount"
        return
    count = parsed["maxReceiveCount"]
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1000:
        yield ("redrivePolicy",), "must have a maxReceiveCount that is a whole number from 1 to 1000, not a text"
    if isinstance(fifo, bool) and str(parsed["deadLetterTargetArn"]).endswith(_FIFO) != fifo:
        yield (
            ("redrivePolicy",),
            "must lead to a FIFO queue from a FIFO queue, and to a standard one from a standard one",
        )


def _url(api: Api, name: str) -> str | None:
    found = api.find("get_queue_url", _GONE, QueueName=name)
    return None if found is None else str(found["QueueUrl"])


def _attributes(api: Api, url: str, name: str) -> dict[str, str] | None:
    """The attribute called `name`, or "All" of them; None if the queue is gone."""
    found = api.find("get_queue_attributes", _GONE, QueueUrl=url, AttributeNames=[name])
    return None if found is None else dict(found.get("Attributes") or {})


def queue_policy(aws: Aws, name: str) -> str | None:
    """The policy of the queue called `name`: empty where it has none, None where there is no such queue."""
    api = aws.api("sqs")
    url = _url(api, name)
    attributes = None if url is None else _attributes(api, url, "Policy")
    return None if attributes is None else attributes.get("Policy", "")


def _outputs(aws: Aws, url: str) -> dict[str, str]:
    return {"arn": aws.arn("sqs", url.rpartition("/")[2]), "url": url}


_POLICY: Final = Field("policy", required=True, document=True)


class QueuePolicy(Resource):
    """The policy of a queue. Its id is the queue's URL."""

    token = "aws:sqs/queuePolicy:QueuePolicy"  # noqa: S105 — a type token
    service = "sqs"
    fields = (
        Field("queueUrl", required=True, replaces=f"{_API}/API_SetQueueAttributes.html: a policy belongs to one queue"),
        _POLICY,
        REGION,
    )
    names = ("queueUrl",)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Put it."""
        _put_policy(aws, inputs["queueUrl"], inputs["policy"])
        return Made(inputs["queueUrl"])

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """Wait until it is in effect: others, such as a bucket's notifications, are refused until then."""
        _await_policy(aws, made.id, inputs["policy"])

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call; a queue without a policy has none."""
        policy = (_attributes(aws.api("sqs"), resource_id, "Policy") or {}).get("Policy")
        return Live({"queueUrl": resource_id, "policy": policy}) if policy else None

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Put it again."""
        _put_policy(aws, change.id, change.new["policy"])
        _await_policy(aws, change.id, change.new["policy"])
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """An empty text takes it away."""
        aws.api("sqs").find("set_queue_attributes", _GONE, QueueUrl=resource_id, Attributes={"Policy": ""})


def _put_policy(aws: Aws, url: str, policy: str) -> None:
    aws.api("sqs").call("set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})


def _await_policy(aws: Aws, url: str, policy: str) -> None:
    """SQS takes up to a minute to spread a changed attribute (API_SetQueueAttributes)."""

    def probe() -> str:
        live = (_attributes(aws.api("sqs"), url, "Policy") or {}).get("Policy")
        return "" if agrees(_POLICY, policy, live) else "the queue's policy to take effect"

    until(probe, aws.seconds, aws.cancelled)


RESOURCES: Final = (Queue(), QueuePolicy())
