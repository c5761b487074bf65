"""Topics, subscriptions and topic policies, against moto."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from mlinfra.providers.aws.types.sns import default_policy

TOPIC = "aws:sns/topic:Topic"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
POLICY = "aws:sns/topicPolicy:TopicPolicy"


def attributes(world: Any, arn: str) -> Any:
    try:
        return world.boto("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFound":
            raise
        return None


def topic(world: Any, arn: str) -> Any:
    live = attributes(world, arn)
    if live is None:
        return None
    return (live.get("DisplayName") or "", live.get("KmsMasterKeyId"), world.tags("sns", ResourceArn=arn))


def test_topic(lifecycle: Any) -> None:
    lifecycle(
        TOPIC,
        inputs=lambda words: {"name": "alerts", "kmsMasterKeyId": "alias/aws/sns", "tags": {"team": "ml"}},
        look=topic,
        made=lambda words: ("", "alias/aws/sns", {"team": "ml"}),
        outputs=lambda words: {"arn": f"arn:aws:sns:us-east-1:{words['account']}:alerts", "owner": words["account"]},
        change=lambda words: {
            "displayName": "Alerts",
            "tags": {"team": "ml", "tier": "dev"},
        },
        changed=lambda words: ("Alerts", "alias/aws/sns", {"team": "ml", "tier": "dev"}),
        replaces=lambda words: [{"name": "other"}],
        drift=lambda world, arn: world.boto("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="DisplayName", AttributeValue="Theirs"
        ),
        drifted={"displayName": "Theirs"},
    )


def test_fifo_topic(world: Any) -> None:
    inputs = world.engine.checked(TOPIC, {"fifoTopic": True, "contentBasedDeduplication": True})
    assert inputs["name"].endswith(".fifo")
    arn, state = world.engine.create(TOPIC, inputs)
    live = attributes(world, arn)
    assert (live["FifoTopic"], live["ContentBasedDeduplication"]) == ("true", "true")
    assert world.engine.read(TOPIC, arn, inputs, state) == (inputs, state)


def test_a_topic_that_somebody_made_is_not_taken_over(world: Any, failure: Any) -> None:
    world.boto("sns").create_topic(Name="theirs")
    error, _ = failure(world.engine.create, TOPIC, world.engine.checked(TOPIC, {"name": "theirs"}))
    assert "theirs exists already" in error.details()


def test_settings_that_moto_takes_and_does_not_report_are_no_drift(world: Any) -> None:
    program = {"name": "n", "sqsSuccessFeedbackSampleRate": 50, "tracingConfig": "Active", "signatureVersion": 2}
    inputs = world.engine.checked(TOPIC, program)
    arn, state = world.engine.create(TOPIC, inputs)
    assert world.engine.read(TOPIC, arn, inputs, state) == (inputs, state)


def two_topics(world: Any) -> dict[str, Any]:
    sns = world.boto("sns")
    queue = world.boto("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    arn = world.boto("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return {
        "topic": sns.create_topic(Name="one")["TopicArn"],
        "other": sns.create_topic(Name="two")["TopicArn"],
        "queue": arn,
    }


def subscription(world: Any, arn: str) -> Any:
    try:
        live = world.boto("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFound":
            raise
        return None
    return live["Protocol"], live.get("RawMessageDelivery", "false"), json.loads(live.get("FilterPolicy") or "null")


def test_subscription(lifecycle: Any) -> None:
    lifecycle(
        SUBSCRIPTION,
        prepare=two_topics,
        inputs=lambda words: {
            "topic": words["topic"],
            "protocol": "sqs",
            "endpoint": words["queue"],
            "filterPolicy": json.dumps({"level": ["critical"]}, indent=1),
        },
        look=subscription,
        made=lambda words: ("sqs", "false", {"level": ["critical"]}),
        outputs=lambda words: {"ownerId": words["account"], "pendingConfirmation": False},
        change=lambda words: {"rawMessageDelivery": True, "filterPolicy": json.dumps({"level": ["warning"]})},
        changed=lambda words: ("sqs", "true", {"level": ["warning"]}),
        replaces=lambda words: [{"topic": words["other"]}, {"protocol": "email", "endpoint": "ml@example.com"}],
        drift=lambda world, arn: world.boto("sns").set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="false"
        ),
        drifted={"rawMessageDelivery": False},
    )


def says(effect: str, arn: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "a", "Effect": effect, "Principal": "*", "Action": "SNS:Publish", "Resource": arn}],
    }


def test_policy(lifecycle: Any, world: Any) -> None:
    def look(world: Any, arn: str) -> Any:
        return json.loads(attributes(world, arn)["Policy"])

    lifecycle(
        POLICY,
        prepare=two_topics,
        inputs=lambda words: {"arn": words["topic"], "policy": says("Allow", words["topic"])},
        look=look,
        made=lambda words: says("Allow", words["topic"]),
        outputs=lambda words: {"owner": words["account"]},
        change=lambda words: {"policy": says("Deny", words["topic"])},
        changed=lambda words: says("Deny", words["topic"]),
        replaces=lambda words: [{"arn": words["other"]}],
        drift=lambda world, arn: world.boto("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(says("Allow", arn), separators=(",", ":"))
        ),
        drifted={
            "policy": json.dumps(says("Allow", f"arn:aws:sns:us-east-1:{world.account}:one"), separators=(",", ":"))
        },
        lasting=True,
    )
    arn = f"arn:aws:sns:us-east-1:{world.account}:one"
    assert look(world, arn) == json.loads(default_policy(arn))


def test_the_default_policy_is_that_of_a_new_topic(world: Any) -> None:
    arn = world.boto("sns").create_topic(Name="new")["TopicArn"]
    given, ours = json.loads(attributes(world, arn)["Policy"]), json.loads(default_policy(arn))
    assert {**given, "Statement": None} == {**ours, "Statement": None}
    (theirs,), (mine,) = given["Statement"], ours["Statement"]
    assert set(mine["Action"]) <= set(theirs["Action"])
    assert {**theirs, "Action": None} == {**mine, "Action": None}
