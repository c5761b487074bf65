"""Notifications of a bucket, against moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.types.s3_notifications import EVENTS, overlap
from tests.providers.aws.types.buckets import adopts, put, refused
from tests.providers.aws.types.buckets import bucket as buckets
from tests.providers.aws.types.unknowns import judged

TOKEN = "aws:s3/bucketNotification:BucketNotification"


def bucket(world: Any) -> dict[str, str]:
    sqs = world.boto("sqs")
    urls = {name: sqs.create_queue(QueueName=f"{name}-{world.account}")["QueueUrl"] for name in ("queue", "other")}
    arns = {
        name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for name, url in urls.items()
    }
    for name, url in urls.items():
        allowed = {"Service": "s3.amazonaws.com"}
        statement = {"Effect": "Allow", "Principal": allowed, "Action": "sqs:SendMessage", "Resource": arns[name]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    topic = world.boto("sns").create_topic(Name=f"topic-{world.account}")["TopicArn"]
    function = f"arn:aws:lambda:us-east-1:{world.account}:function:resize"
    return {**buckets(world), **arns, "url": urls["queue"], "topic": topic, "function": function}


def look(world: Any, resource_id: str) -> Any:
    found = world.boto("s3").get_bucket_notification_configuration(Bucket=resource_id)
    return {
        name.removesuffix("Configurations"): [
            {key: value for key, value in item.items() if key != "Id" or item["Id"] == "mine"} for item in items
        ]
        for name, items in found.items()
        if name.endswith("Configurations") and items
    } or None


CASE: dict[str, Any] = {
    "token": TOKEN,
    "look": look,
    "inputs": lambda words: {
        "bucket": words["bucket"],
        "queues": [
            {
                "id": "mine",
                "queueArn": words["queue"],
                "events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
                "filterPrefix": "runs/",
                "filterSuffix": ".json",
            }
        ],
        "topics": [{"topicArn": words["topic"], "events": ["s3:ObjectRestore:Completed"]}],
    },
    "made": lambda words: {
        "Queue": [
            {
                "Id": "mine",
                "QueueArn": words["queue"],
                "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
                "Filter": {
                    "Key": {"FilterRules": [{"Name": "prefix", "Value": "runs/"}, {"Name": "suffix", "Value": ".json"}]}
                },
            }
        ],
        "Topic": [{"TopicArn": words["topic"], "Events": ["s3:ObjectRestore:Completed"]}],
    },
    "change": lambda words: {
        "queues": [{"queueArn": words["other"], "events": ["s3:ObjectRemoved:*"], "filterSuffix": ".bin"}],
        "topics": None,
        "lambdaFunctions": [{"lambdaFunctionArn": words["function"], "events": ["s3:ObjectCreated:Put"]}],
    },
    "changed": lambda words: {
        "Queue": [
            {
                "QueueArn": words["other"],
                "Events": ["s3:ObjectRemoved:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".bin"}]}},
            }
        ],
        "LambdaFunction": [{"LambdaFunctionArn": words["function"], "Events": ["s3:ObjectCreated:Put"]}],
    },
}


def theirs(world: Any, resource_id: str) -> None:
    topic = f"arn:aws:sns:us-east-1:{world.account}:topic-{world.account}"
    put(
        "put_bucket_notification_configuration",
        NotificationConfiguration={"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}]},
    )(world, resource_id)


def test_notification(world: Any, lifecycle: Any) -> None:
    lifecycle(prepare=bucket, replaces=lambda words: [{"bucket": words["logs"]}], **CASE)


def test_what_somebody_put_in_its_place_is_seen_and_put_right(world: Any) -> None:
    words = bucket(world)
    inputs = world.engine.checked(TOKEN, CASE["inputs"](words))
    resource_id, state = world.engine.create(TOKEN, inputs)
    theirs(world, resource_id)
    live, outputs = world.engine.read(TOKEN, resource_id, inputs, state)
    assert "queues" not in live
    assert live["topics"][0]["events"] == ["s3:ObjectCreated:Put"]
    assert set(world.engine.diff(TOKEN, live, inputs, outputs).diffs) == {"queues", "topics"}
    world.engine.update(TOKEN, resource_id, live, inputs, outputs)
    assert look(world, resource_id) == CASE["made"](words)


def test_adoption(elsewhere: Any, unfinished: Any) -> None:
    adopts(elsewhere, unfinished, CASE, bucket)


def test_an_id_and_an_order_of_events_that_s3_chose_are_no_drift(world: Any) -> None:
    words = bucket(world)
    events = ["s3:ObjectRemoved:*", "s3:ObjectCreated:*"]
    inputs = world.engine.checked(
        TOKEN, {"bucket": words["bucket"], "queues": [{"queueArn": words["queue"], "events": events}]}
    )
    resource_id, state = world.engine.create(TOKEN, inputs)
    assert world.engine.read(TOKEN, resource_id, inputs, state) == (inputs, state)
    turned = {**inputs, "queues": [{"queueArn": words["queue"], "events": events[::-1]}]}
    assert not world.engine.diff(TOKEN, inputs, turned, state).diffs


def test_eventbridge_of_which_moto_tells_nothing(world: Any) -> None:
    words = bucket(world)
    inputs = world.engine.checked(TOKEN, {"bucket": words["bucket"], "eventbridge": True})
    resource_id, state = world.engine.create(TOKEN, inputs)
    assert world.engine.read(TOKEN, resource_id, inputs, state) == (inputs, state)
    world.boto("s3").delete_bucket(Bucket=resource_id)
    assert world.engine.read(TOKEN, resource_id, inputs, state) is None
    world.engine.delete(TOKEN, resource_id, inputs, state)


def test_a_queue_is_told_of_an_object(world: Any) -> None:
    words = bucket(world)
    world.engine.create(TOKEN, world.engine.checked(TOKEN, CASE["inputs"](words)))
    for key in ("runs/1.json", "runs/1.bin", "other/1.json"):
        world.boto("s3").put_object(Bucket=words["bucket"], Key=key, Body=b"")
    received = world.boto("sqs").receive_message(QueueUrl=words["url"], MaxNumberOfMessages=10).get("Messages", [])
    records = [record for message in received for record in json.loads(message["Body"]).get("Records", [])]
    assert [record["s3"]["object"]["key"] for record in records] == ["runs%2F1.json"]


@pytest.mark.parametrize("lacks", ["policy", "queue", "topic"])
def test_whom_s3_cannot_send_to_it_refuses(world: Any, failure: Any, lacks: str) -> None:
    words = bucket(world)
    if lacks == "policy":
        world.boto("sqs").set_queue_attributes(QueueUrl=words["url"], Attributes={"Policy": ""})
    elif lacks == "queue":
        world.boto("sqs").delete_queue(QueueUrl=words["url"])
    else:
        world.boto("sns").delete_topic(TopicArn=words["topic"])
    error, kept = failure(world.engine.create, TOKEN, world.engine.checked(TOKEN, CASE["inputs"](words)))
    assert f"S3 cannot send to {words['topic' if lacks == 'topic' else 'queue']}" in error.details()
    assert kept is None
    assert look(world, words["bucket"]) is None


# ------------------------------------------------------------------------------------------------ what S3 refuses

QUEUE = "arn:aws:sqs:eu-west-1:111122223333:events"
CREATED = {"queueArn": QUEUE, "events": ["s3:ObjectCreated:*"]}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "FIFO": ({"queues": [{**CREATED, "queueArn": f"{QUEUE}.fifo"}]}, "queues[0].queueArn", "that is not FIFO"),
    "FIFO topic": (
        {"topics": [{"topicArn": "arn:aws:sns:eu-west-1:111122223333:t.fifo", "events": ["s3:ObjectCreated:*"]}]},
        "topics[0].topicArn",
        "that is not FIFO",
    ),
    "event": ({"queues": [{**CREATED, "events": ["s3:ObjectSung"]}]}, "queues[0].events[0]", "must be one of"),
    "no function": (
        {"lambdaFunctions": [{"events": ["s3:ObjectCreated:*"]}]}, "lambdaFunctions[0].lambdaFunctionArn", "required",
    ),
    "the same twice": ({"queues": [CREATED, CREATED]}, "queues[1]", "that queues[0] is for too"),
    "one within the other": (
        {
            "queues": [{**CREATED, "filterPrefix": "a/"}],
            "topics": [
                {
                    "topicArn": "arn:aws:sns:eu-west-1:111122223333:t",
                    "events": ["s3:ObjectCreated:Put"],
                    "filterPrefix": "a/b/",
                    "filterSuffix": ".x",
                }
            ],
        },
        "topics[0]",
        "that queues[0] is for too",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_s3_refuses(world: Any, case: str) -> None:
    inputs, path, reason = REFUSED[case]
    ((place, text),) = refused(world, TOKEN, {"bucket": "data", **inputs})
    assert place == path
    assert reason in text


def test_two_ends_of_the_same_prefix_are_two_sets_of_objects(world: Any) -> None:
    queues = [{**CREATED, "filterPrefix": "a/", "filterSuffix": end} for end in (".x", ".y")]
    assert refused(world, TOKEN, {"bucket": "data", "queues": queues}) == []


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_not_known_yet_it_can_be_judged(world: Any, case: str) -> None:
    assert judged(world, TOKEN, {"bucket": "data", **REFUSED[case][0]})


def test_what_is_not_known_yet_is_not_refused(world: Any) -> None:
    queues = [{"queueArn": UNKNOWN, "events": UNKNOWN}, {**CREATED, "filterPrefix": UNKNOWN}, CREATED, UNKNOWN]
    assert refused(world, TOKEN, {"bucket": UNKNOWN, "queues": queues, "topics": UNKNOWN}) == []


ENDS = st.text("ab/", max_size=3)
DESTINATIONS = st.fixed_dictionaries(
    {"events": st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3), "filterPrefix": ENDS, "filterSuffix": ENDS}
)


def objects(destination: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Some of the events and keys that a destination is told of."""
    for event in destination["events"]:
        for plain in EVENTS:
            if plain == event or (event.endswith("*") and plain.startswith(event[:-1])):
                yield plain, f"{destination['filterPrefix']}-{destination['filterSuffix']}"


def told(destination: dict[str, Any], event: str, key: str) -> bool:
    return (
        any(event == own or (own.endswith("*") and event.startswith(own[:-1])) for own in destination["events"])
        and key.startswith(destination["filterPrefix"])
        and key.endswith(destination["filterSuffix"])
    )


@given(DESTINATIONS, DESTINATIONS)
def test_two_destinations_overlap_exactly_where_one_object_has_both(one: dict[str, Any], other: dict[str, Any]) -> None:
    longest = {
        **{name: max(one[name], other[name], key=len) for name in ("filterPrefix", "filterSuffix")},
        "events": [*one["events"], *other["events"]],
    }
    shared = any(told(one, event, key) and told(other, event, key) for event, key in objects(longest))
    assert overlap(one, other) == shared == overlap(other, one)
