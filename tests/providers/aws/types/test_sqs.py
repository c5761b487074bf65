"""Queues and queue policies, against moto."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.registry import find
from mlinfra.providers.aws.resource import Aws
from tests.providers.aws.conftest import urn
from tests.providers.aws.types.unknowns import judged

QUEUE, POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"


def attributes(world: Any, url: str) -> Any:
    try:
        return world.boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except ClientError as error:
        if "NonExistentQueue" not in error.response["Error"]["Code"]:
            raise
        return None


def queue(world: Any, url: str) -> Any:
    live = attributes(world, url)
    if live is None:
        return None
    names = (
        "VisibilityTimeout",
        "MessageRetentionPeriod",
        "MaximumMessageSize",
        "DelaySeconds",
        "KmsMasterKeyId",
        "RedrivePolicy",
    )
    tags = world.boto("sqs").list_queue_tags(QueueUrl=url).get("Tags", {})
    found = {name: live[name] for name in names if live.get(name)}
    return found | {"tags": tags}


def dead(world: Any) -> dict[str, Any]:
    url = world.boto("sqs").create_queue(QueueName="dead")["QueueUrl"]
    return {"dead": attributes(world, url)["QueueArn"], "url": url}


def test_queue(lifecycle: Any) -> None:
    def redrive(words: dict[str, Any], count: int) -> dict[str, Any]:
        return {"maxReceiveCount": count, "deadLetterTargetArn": words["dead"]}

    lifecycle(
        QUEUE,
        prepare=dead,
        inputs=lambda words: {
            "name": "events",
            "visibilityTimeoutSeconds": 60,
            "redrivePolicy": json.dumps(redrive(words, 3), indent=1),
            "tags": {"team": "ml"},
        },
        look=lambda world, url: (
            (live := queue(world, url)) and {**live, "RedrivePolicy": json.loads(live["RedrivePolicy"])}
        ),
        made=lambda words: {
            "VisibilityTimeout": "60",
            "MessageRetentionPeriod": "345600",
            "MaximumMessageSize": "262144",
            "DelaySeconds": "0",
            "RedrivePolicy": redrive(words, 3),
            "tags": {"team": "ml"},
        },
        outputs=lambda words: {"arn": f"arn:aws:sqs:us-east-1:{words['account']}:events", "region": "us-east-1"},
        change=lambda words: {
            "visibilityTimeoutSeconds": None,
            "messageRetentionSeconds": 60,
            "kmsMasterKeyId": "alias/aws/sqs",
            "redrivePolicy": redrive(words, 5),
            "tags": {"team": "ml", "tier": "dev"},
        },
        changed=lambda words: {
            "VisibilityTimeout": "30",
            "MessageRetentionPeriod": "60",
            "MaximumMessageSize": "262144",
            "DelaySeconds": "0",
            "KmsMasterKeyId": "alias/aws/sqs",
            "RedrivePolicy": redrive(words, 5),
            "tags": {"team": "ml", "tier": "dev"},
        },
        replaces=lambda words: [{"name": "other"}],
        drift=lambda world, url: (
            world.boto("sqs").set_queue_attributes(
                QueueUrl=url, Attributes={"DelaySeconds": "9", "KmsMasterKeyId": ""}
            ),
            world.boto("sqs").tag_queue(QueueUrl=url, Tags={"who": "theirs"}),
        ),
        drifted={"delaySeconds": 9, "kmsMasterKeyId": None, "tags": {"team": "ml", "tier": "dev", "who": "theirs"}},
    )


def test_fifo_queue(world: Any) -> None:
    program = {
        "fifoQueue": True,
        "contentBasedDeduplication": True,
        "deduplicationScope": "messageGroup",
        "fifoThroughputLimit": "perMessageGroupId",
    }
    inputs = world.engine.checked(QUEUE, program)
    assert inputs["name"].endswith(".fifo")
    url, state = world.engine.create(QUEUE, inputs)
    live = attributes(world, url)
    assert (live["FifoQueue"], live["ContentBasedDeduplication"]) == ("true", "true")
    assert live["DeduplicationScope"] == "messageGroup"
    standard = world.engine.checked(QUEUE, {"name": "events"})
    assert {"name", "fifoQueue"} <= set(world.engine.diff(QUEUE, standard, inputs, {}).replaces)
    assert world.engine.read(QUEUE, url, inputs, state) == (inputs, state)


def test_settings_that_moto_takes_and_does_not_report_are_no_drift(world: Any) -> None:
    program = {"name": "n", "redriveAllowPolicy": {"redrivePermission": "denyAll"}, "sqsManagedSseEnabled": False}
    inputs = world.engine.checked(QUEUE, program)
    url, state = world.engine.create(QUEUE, inputs)
    assert attributes(world, url)["SqsManagedSseEnabled"] == "false"
    assert world.engine.read(QUEUE, url, inputs, state) == (inputs, state)


def test_what_sqs_chooses_is_no_drift_and_an_import_has_it_consistent(world: Any) -> None:
    inputs = world.engine.checked(QUEUE, {"name": "keyed", "kmsMasterKeyId": "alias/aws/sqs"})
    url, state = world.engine.create(QUEUE, inputs)
    assert world.engine.read(QUEUE, url, inputs, state) == (inputs, state)
    imported, _ = world.engine.read(QUEUE, url)
    assert (imported["sqsManagedSseEnabled"], imported["kmsDataKeyReusePeriodSeconds"]) == (False, 300)
    assert not world.engine.check(QUEUE, imported).failures


def test_a_queue_that_somebody_made_is_not_taken_over(world: Any, failure: Any) -> None:
    url = world.boto("sqs").create_queue(QueueName="theirs")["QueueUrl"]
    inputs = world.engine.checked(QUEUE, {"name": "theirs", "tags": {"ours": "yes"}})
    error, kept = failure(world.engine.create, QUEUE, inputs)
    assert "theirs exists already, and this stack did not make it" in error.details()
    assert kept is None
    assert world.boto("sqs").list_queue_tags(QueueUrl=url).get("Tags", {}) == {}


def test_a_queue_whose_creation_was_cut_off_is_found_by_its_name(elsewhere: Any, unfinished: Any) -> None:
    engine = elsewhere.engine
    unfinished[urn(QUEUE)] = set()
    first = engine.checked(QUEUE, {"name": "cut-off", "tags": {"a": "1"}})
    url, _ = engine.create(QUEUE, first)
    wanted = engine.checked(QUEUE, {"name": "cut-off", "delaySeconds": 5, "tags": {"b": "2"}})
    again, state = engine.create(QUEUE, wanted)
    assert again == url
    assert engine.read(QUEUE, url, wanted, state) == (wanted, state)
    assert queue(elsewhere, url)["DelaySeconds"] == "5"
    assert len(elsewhere.boto("sqs").list_queues()["QueueUrls"]) == 1


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "name of a standard queue": ({"name": "a.fifo"}, "must end in .fifo for a FIFO queue, and for no other"),
    "name of a FIFO queue": ({"name": "a", "fifoQueue": True}, "must end in .fifo for a FIFO queue"),
    "standard queue": ({"contentBasedDeduplication": True}, "is for FIFO queues only"),
    "throughput": (
        {"fifoQueue": True, "fifoThroughputLimit": "perMessageGroupId"},
        "only where deduplicationScope is messageGroup",
    ),
    "two ways to encrypt": ({"sqsManagedSseEnabled": True, "kmsMasterKeyId": "k"}, "excludes kmsMasterKeyId"),
    "no target": ({"redrivePolicy": {"maxReceiveCount": 3}}, "must have deadLetterTargetArn and maxReceiveCount"),
    "a count as text": (
        {"redrivePolicy": {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:200000000001:dead", "maxReceiveCount": "3"}},
        "a whole number from 1 to 1000, not a text",
    ),
    "a FIFO queue for a standard one": (
        {"redrivePolicy": {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:1:dead.fifo", "maxReceiveCount": 3}},
        "must lead to a FIFO queue from a FIFO queue",
    ),
    "retention": ({"messageRetentionSeconds": 59}, "must be from 60 to 1209600"),
    "delay": ({"delaySeconds": 901}, "must be from 0 to 900"),
    "letters": ({"name": "a b"}, "must be 1 to 80 letters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_sqs_refuses(world: Any, case: str) -> None:
    inputs, reason = REFUSED[case]
    (found,) = world.engine.check(QUEUE, inputs).failures
    assert reason in found.reason


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_not_known_yet_it_can_be_judged(world: Any, case: str) -> None:
    assert judged(world, QUEUE, REFUSED[case][0])


def test_what_is_not_known_yet_is_not_refused(world: Any) -> None:
    unknown = {"name": UNKNOWN, "fifoQueue": UNKNOWN, "kmsMasterKeyId": UNKNOWN, "sqsManagedSseEnabled": True}
    redrive = {"deadLetterTargetArn": UNKNOWN, "maxReceiveCount": "3"}
    assert not world.engine.check(QUEUE, {**unknown, "redrivePolicy": redrive}).failures


@given(st.from_regex(r"[A-Za-z0-9_-]{1,100}", fullmatch=True), st.booleans(), st.binary(min_size=1, max_size=8))
def test_a_name_that_is_made_up_is_one_that_sqs_takes(name: str, fifo: bool, seed: bytes) -> None:
    kind = find(QUEUE)
    made_up = kind.autoname(name, seed, {"fifoQueue": fifo})
    assert len(made_up) <= 80
    assert not list(kind.refusals({"name": made_up, "fifoQueue": fifo}))


class Scripted:
    """Answers to calls, each once, in turn; None where AWS refuses with a code that the caller waits on."""

    def __init__(self, *answers: tuple[str, Any]) -> None:
        self.answers = list(answers)

    def api(self, service: str, region: str) -> Scripted:
        return self

    def find(self, operation: str, absent: Any, **parameters: Any) -> Any:
        expected, answer = self.answers.pop(0)
        assert operation == expected
        return answer

    def call(self, operation: str, **parameters: Any) -> Any:
        assert operation == "get_caller_identity"
        return {"Account": "200000000001"}

    def remember(self, what: str, ask: Any) -> Any:
        return ask()


def scripted(*answers: tuple[str, Any]) -> tuple[Any, Scripted]:
    session = Scripted(*answers)
    return Aws(session, "us-east-1", threading.Event(), 60), session  # type: ignore[arg-type]


def test_a_name_whose_queue_was_just_deleted_is_waited_for() -> None:
    url = "https://sqs.us-east-1.amazonaws.com/200000000001/again"
    aws, session = scripted(("create_queue", None), ("create_queue", {"QueueUrl": url}))
    made = find(QUEUE).create(aws, {"name": "again", "fifoQueue": False})
    assert made.id == url
    assert session.answers == []


def test_a_deletion_ends_when_the_queue_is_gone() -> None:
    there = {"Attributes": {"QueueArn": "arn"}}
    aws, session = scripted(
        ("delete_queue", {}), ("get_queue_attributes", there), ("get_queue_attributes", there),
        ("get_queue_attributes", None),
    )  # fmt: skip
    find(QUEUE).delete(aws, "https://host/1/q", {})
    assert session.answers == []


# ------------------------------------------------------------------------------------------------ policies


def says(effect: str, arn: str) -> dict[str, Any]:
    statement = {"Effect": effect, "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(world: Any, url: str) -> Any:
    return json.loads((attributes(world, url) or {}).get("Policy") or "null")


def test_policy(lifecycle: Any) -> None:
    lifecycle(
        POLICY,
        prepare=dead,
        inputs=lambda words: {"queueUrl": words["url"], "policy": json.dumps(says("Allow", words["dead"]), indent=1)},
        look=policy,
        made=lambda words: says("Allow", words["dead"]),
        change=lambda words: {"policy": says("Deny", words["dead"])},
        changed=lambda words: says("Deny", words["dead"]),
        replaces=lambda words: [{"queueUrl": words["url"] + "-other"}],
        drift=lambda world, url: world.boto("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps(says("Allow", "theirs"))}
        ),
        drifted={"policy": json.dumps(says("Allow", "theirs"))},
    )


def test_a_change_of_the_queue_keeps_its_policy(world: Any) -> None:
    engine = world.engine
    inputs = engine.checked(QUEUE, {"name": "kept"})
    url, state = engine.create(QUEUE, inputs)
    own = engine.checked(POLICY, {"queueUrl": url, "policy": says("Allow", state["arn"])})
    _, own_state = engine.create(POLICY, own)
    slower = engine.checked(QUEUE, {"name": "kept", "delaySeconds": 5})
    state = engine.update(QUEUE, url, inputs, slower, state)
    assert policy(world, url) == says("Allow", state["arn"])
    assert engine.read(POLICY, url, own, own_state) == (own, own_state)
    assert engine.read(QUEUE, url, slower, state) == (slower, state), "the policy is another resource's"


def test_the_policy_of_a_queue_that_is_gone_is_gone(world: Any) -> None:
    url = world.boto("sqs").create_queue(QueueName="gone")["QueueUrl"]
    inputs = world.engine.checked(POLICY, {"queueUrl": url, "policy": says("Allow", "x")})
    _, state = world.engine.create(POLICY, inputs)
    world.boto("sqs").delete_queue(QueueUrl=url)
    assert world.engine.read(POLICY, url, inputs, state) is None
    world.engine.delete(POLICY, url, inputs, state)


def test_a_policy_whose_creation_was_cut_off_is_brought_to_what_is_wanted(elsewhere: Any, unfinished: Any) -> None:
    url = elsewhere.boto("sqs").create_queue(QueueName="half")["QueueUrl"]
    unfinished[urn(POLICY)] = set()
    for effect in ("Allow", "Deny"):
        inputs = elsewhere.engine.checked(POLICY, {"queueUrl": url, "policy": says(effect, "x")})
        assert elsewhere.engine.create(POLICY, inputs)[0] == url
        assert policy(elsewhere, url) == says(effect, "x")
