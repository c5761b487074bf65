"""SNS topics, subscriptions and topic policies. SNS keeps all settings as attributes, each a text."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.attributes import from_attributes, to_attributes
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.tags import Tagging
from mlinfra.providers.base import autoname

_API: Final = "https://docs.aws.amazon.com/sns/latest/api"
_TOPIC_FINAL: Final = f"{_API}/API_SetTopicAttributes.html: neither name nor kind is among what can be set"
_SUBSCRIPTION_FINAL: Final = f"{_API}/API_SetSubscriptionAttributes.html: who is subscribed to what is not among it"
_GONE: Final = frozenset({"NotFound", "NotFoundException"})

TAGGING: Final = Tagging("ResourceArn")


_PROTOCOLS: Final = {
    "application": "Application",
    "firehose": "Firehose",
    "http": "HTTP",
    "lambda": "Lambda",
    "sqs": "SQS",
}
_FEEDBACK: Final = tuple(
    Field(f"{protocol}{what}", kind, aws=f"{aws}{what}", bounds=bounds, forgotten=True)
    for protocol, aws in _PROTOCOLS.items()
    for what, kind, bounds in (
        ("SuccessFeedbackRoleArn", str, None),
        ("SuccessFeedbackSampleRate", int, (0, 100)),
        ("FailureFeedbackRoleArn", str, None),
    )
)

_TOPIC: Final = (
    Field("displayName", default=""),
    Field("policy", document=True, computed=True),
    Field("deliveryPolicy", document=True),
    Field("kmsMasterKeyId"),
    Field("signatureVersion", int, computed=True, forgotten=True, choices=(1, 2)),
    Field("tracingConfig", computed=True, forgotten=True, choices=("PassThrough", "Active")),
    Field("fifoTopic", bool, default=False, replaces=_TOPIC_FINAL),
    Field("contentBasedDeduplication", bool, default=False),
    *_FEEDBACK,
)


class Topic(Resource):
    """A topic. Its id is its ARN."""

    token = "aws:sns/topic:Topic"  # noqa: S105 — a type token
    service = "sns"
    fields = (
        Field(
            "name",
            pattern=(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo", "1 to 256 letters, digits, - and _"),
            replaces=_TOPIC_FINAL,
        ),
        *_TOPIC,
        TAGS,
        REGION,
    )
    outputs = ("arn", "owner")
    names = ("name",)
    upserts = True  # CreateTopic answers with the ARN of a topic that is there already
    longest = 256

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """The name: `read` makes the ARN of it."""
        return str(inputs["name"])

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str:
        """By region, account and name."""
        return aws.arn("sns", inputs["name"])

    def autoname(self, name: str, seed: bytes, inputs: Mapping[str, Any]) -> str:
        """A FIFO topic's name ends in `.fifo`."""
        if inputs.get("fifoTopic") is True:
            return autoname(name, seed, self.longest - len(".fifo")) + ".fifo"
        return super().autoname(name, seed, inputs)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, attributes, tags and all."""
        sent = to_attributes(_TOPIC, {name: value for name, value in inputs.items() if value not in (False, "")})
        arn = aws.api("sns").call(
            "create_topic", Name=inputs["name"], Attributes=sent, Tags=TAGGING.form(inputs.get("tags"))
        )["TopicArn"]
        return Made(arn, _topic_outputs(arn))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: attributes and tags. `resource_id` is the ARN, or the name alone."""
        api = aws.api("sns")
        arn = resource_id if resource_id.startswith("arn:") else aws.arn("sns", resource_id)
        found = api.find("get_topic_attributes", _GONE, TopicArn=arn)
        if found is None:
            return None
        inputs = from_attributes(_TOPIC, found["Attributes"])
        return Live({"name": arn.rpartition(":")[2], **inputs}, _topic_outputs(arn), TAGGING.live(api, arn))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each attribute that differs."""
        api = aws.api("sns")
        _set_attributes(api, "set_topic_attributes", {"TopicArn": change.id}, _TOPIC, change)
        if change.touches("tags"):
            TAGGING.change(api, change.id, change.old.get("tags"), change.new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("sns").find("delete_topic", _GONE, TopicArn=resource_id)


def _topic_outputs(arn: str) -> dict[str, Any]:
    return {"arn": arn, "owner": arn.split(":")[4]}


def _set_attributes(
    api: Api, operation: str, target: Mapping[str, str], fields: tuple[Field, ...], change: Change
) -> None:
    for field in fields:
        if change.touches(field.name):
            ((name, text),) = to_attributes((field,), {field.name: change.new.get(field.name, "")}).items()
            api.call(operation, **target, AttributeName=name, AttributeValue=text)


_SUBSCRIPTION: Final = (
    Field("deliveryPolicy", document=True),
    Field("filterPolicy", document=True),
    Field("filterPolicyScope", computed=True, choices=("MessageAttributes", "MessageBody")),
    Field("rawMessageDelivery", bool, default=False),
    Field("redrivePolicy", document=True),
    Field("subscriptionRoleArn"),
)


class TopicSubscription(Resource):
    """A subscription. Its id is its ARN; one that waits for its endpoint's consent counts as made."""

    token = "aws:sns/topicSubscription:TopicSubscription"  # noqa: S105 — a type token
    service = "sns"
    fields = (
        Field("topic", required=True, aws="TopicArn", replaces=_SUBSCRIPTION_FINAL),
        Field(
            "protocol",
            required=True,
            replaces=_SUBSCRIPTION_FINAL,
            choices=(
                "application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs",
            ),
        ),
        Field("endpoint", required=True, replaces=_SUBSCRIPTION_FINAL),
        *_SUBSCRIPTION,
        Field("confirmationTimeoutInMinutes", int, default=1, apart=True),
        Field("endpointAutoConfirms", bool, default=False, apart=True),
        REGION,
    )  # fmt: skip
    outputs = ("arn", "confirmationWasAuthenticated", "ownerId", "pendingConfirmation")
    names = ("topic", "protocol", "endpoint")

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, attributes and all."""
        arn = aws.api("sns").call(
            "subscribe",
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            Attributes=to_attributes(_SUBSCRIPTION, inputs),
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        live = self.read(aws, arn, inputs)
        return Made(arn, {} if live is None else live.outputs)

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """Among the topic's subscriptions: SNS has one for each protocol and endpoint.

        One that waits for consent is listed without its ARN; Subscribe again answers with it (API_Subscribe).
        """
        api = aws.api("sns")
        try:
            listed = api.pages("list_subscriptions_by_topic", "Subscriptions", TopicArn=inputs["topic"])
        except AwsError as error:
            if error.code in _GONE:
                return None
            raise
        same = [
            str(item["SubscriptionArn"])
            for item in listed
            if (item["Protocol"], item["Endpoint"]) == (inputs["protocol"], inputs["endpoint"])
        ]
        return same[0] if same and same[0].startswith("arn:") else None

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        found = aws.api("sns").find("get_subscription_attributes", _GONE, SubscriptionArn=resource_id)
        if found is None:
            return None
        attributes = found["Attributes"]
        inputs = from_attributes(_SUBSCRIPTION, attributes)
        inputs |= {
            "topic": attributes["TopicArn"],
            "protocol": attributes["Protocol"],
            "endpoint": attributes["Endpoint"],
        }
        outputs = {
            "arn": resource_id,
            "ownerId": attributes.get("Owner", ""),
            "pendingConfirmation": attributes.get("PendingConfirmation") == "true",
            "confirmationWasAuthenticated": attributes.get("ConfirmationWasAuthenticated") == "true",
        }
        return Live(inputs, outputs)

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each attribute that differs."""
        target = {"SubscriptionArn": change.id}
        _set_attributes(aws.api("sns"), "set_subscription_attributes", target, _SUBSCRIPTION, change)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("sns").find("unsubscribe", _GONE, SubscriptionArn=resource_id)


class TopicPolicy(Resource):
    """The policy of a topic. Every topic has one, so deleting it gives back the one that a new topic has."""

    token = "aws:sns/topicPolicy:TopicPolicy"  # noqa: S105 — a type token
    service = "sns"
    fields = (
        Field("arn", required=True, replaces=f"{_API}/API_SetTopicAttributes.html: a policy belongs to one topic"),
        Field("policy", required=True, document=True),
        REGION,
    )
    outputs = ("owner",)
    names = ("arn",)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Put it."""
        self._put(aws, inputs["arn"], inputs["policy"])
        return Made(inputs["arn"], {"owner": _topic_outputs(inputs["arn"])["owner"]})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        found = aws.api("sns").find("get_topic_attributes", _GONE, TopicArn=resource_id)
        if found is None:
            return None
        attributes = found["Attributes"]
        return Live({"arn": resource_id, "policy": attributes["Policy"]}, {"owner": attributes["Owner"]})

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Put it again."""
        self._put(aws, change.id, change.new["policy"])
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Put back the policy that SNS gives a new topic."""
        aws.api("sns").find(
            "set_topic_attributes",
            _GONE,
            TopicArn=resource_id,
            AttributeName="Policy",
            AttributeValue=default_policy(resource_id),
        )

    @staticmethod
    def _put(aws: Aws, arn: str, policy: str) -> None:
        aws.api("sns").call("set_topic_attributes", TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


def default_policy(arn: str) -> str:
    """The policy that SNS gives a new topic: its owner may do everything with it.

    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
    """
    actions = (
        "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe",
        "ListSubscriptionsByTopic", "Publish",
    )  # fmt: skip
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": _topic_outputs(arn)["owner"]}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


RESOURCES: Final = (Topic(), TopicSubscription(), TopicPolicy())
