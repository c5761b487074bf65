from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.key import Key
from mlinfra.components.queue import Queue
from mlinfra.graph import Document, Join, Ref
from mlinfra.tiers import Tier


def test_what_a_queue_comes_to(expanded: Any) -> None:
    result = expanded(lambda: Queue("jobs", tags={"project": "recs"}), "eks")
    assert result.names_of("jobs") == {"queue", "policy", "dead-letters", "dead-letters-policy"}
    queue, dead = result.inputs("jobs/queue"), result.inputs("jobs/dead-letters")
    assert queue["name"] == "sample-test-jobs"
    assert queue["messageRetentionSeconds"] == 4 * 86_400
    assert queue["visibilityTimeoutSeconds"] == dead["visibilityTimeoutSeconds"] == 300
    assert queue["sqsManagedSseEnabled"] is dead["sqsManagedSseEnabled"] is True
    assert queue["tags"]["project"] == dead["tags"]["project"] == "recs"
    assert queue["tags"]["mlinfra:classification"] == "internal"
    assert queue["tags"]["mlinfra:owner"] == "recsys"
    assert queue["redrivePolicy"] == Document(
        {"deadLetterTargetArn": Ref("jobs/dead-letters", ("arn",)), "maxReceiveCount": 5}
    )


def test_dead_letters_are_kept_longest_and_come_from_this_queue_alone(expanded: Any) -> None:
    dead = expanded(lambda: Queue("jobs"), "eks").inputs("jobs/dead-letters")
    assert dead["messageRetentionSeconds"] == 14 * 86_400
    arn = Join(("arn:aws:sqs:eu-west-1:", "111122223333", ":sample-test-jobs"))
    assert dead["redriveAllowPolicy"] == Document({"redrivePermission": "byQueue", "sourceQueueArns": [arn]})


@pytest.mark.parametrize("local", ["queue", "dead-letters"])
def test_over_tls_only(expanded: Any, local: str) -> None:
    result = expanded(lambda: Queue("jobs"), "eks")
    policy = result.inputs("jobs/policy" if local == "queue" else "jobs/dead-letters-policy")
    assert policy["queueUrl"] == Ref(f"jobs/{local}", ("url",))
    (statement,) = policy["policy"].value["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == Ref(f"jobs/{local}", ("arn",))
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(("tier", "protected"), [(Tier.DEV, False), (Tier.PROD, True)])
def test_protection(expanded: Any, tier: Tier, protected: bool) -> None:
    result = expanded(lambda: Queue("jobs"), tier=tier)
    assert result.node("jobs/queue").options.protect is protected
    assert result.node("jobs/dead-letters").options.protect is protected
    assert expanded(lambda: Queue("jobs"), protect=("jobs",)).node("jobs/queue").options.protect


def test_what_reading_and_writing_take() -> None:
    plain = Queue("jobs")
    (read,), (write,) = plain.read_grants(), plain.write_grants()
    assert read.actions == ("sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage")
    assert write.actions == ("sqs:SendMessage",)
    assert read.resources == write.resources == (Ref("jobs/queue", ("arn",)),)
    keyed = Queue("jobs", key=Key("keys"))
    assert [grant.actions for grant in keyed.read_grants()[1:]] == [("kms:Decrypt",)]
    assert [grant.actions for grant in keyed.write_grants()[1:]] == [("kms:Decrypt", "kms:GenerateDataKey")]
    for grant in (*keyed.read_grants()[1:], *keyed.write_grants()[1:]):
        assert grant.resources == (Ref("keys/key", ("arn",)),)
        assert grant.condition == {"StringLike": {"kms:ViaService": ["sqs.*.amazonaws.com"]}}


def test_a_key_takes_the_place_of_the_queues_own(expanded: Any) -> None:
    queue = expanded(lambda: Queue("jobs", key=Key("keys"))).inputs("jobs/queue")
    assert queue["kmsMasterKeyId"] == Ref("keys/key", ("arn",))
    assert "sqsManagedSseEnabled" not in queue


def test_a_key_that_sqs_cannot_use(expanded: Any) -> None:
    assert expanded(lambda: Queue("jobs", key=Key("keys", via=["s3"]))).codes == ["key-not-for-service"]


def test_outputs() -> None:
    queue = Queue("work-list", classification="pii")
    assert queue.arn == Ref("work-list/queue", ("arn",))
    assert queue.url == Ref("work-list/queue", ("url",))
    assert queue.dead_letters_url == Ref("work-list/dead-letters", ("url",))
    assert queue.dead_letters_arn == Ref("work-list/dead-letters", ("arn",))
    assert queue.variables() == {"WORK_LIST_URL": queue.url}
    assert queue.personal
    assert not Queue("jobs").personal


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"retention_days": 15}, "retention_days: should be less than or equal to 14"),
        ({"visibility_seconds": 50_000}, "visibility_seconds: should be less than or equal to 43200"),
        ({"receives": 0}, "receives: should be greater than or equal to 1"),
        ({"delay_seconds": 901}, "delay_seconds: should be less than or equal to 900"),
        ({"key": "own"}, "key is a text, not a Key"),
        ({"tags": {"aws:x": "y"}}, "the prefixes `aws:` and `mlinfra:` are reserved"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: Queue("jobs", **fields)).diagnostics
    assert says in diagnostic.summary


def test_without_aws(expanded: Any) -> None:
    result = expanded(lambda: Queue("jobs"), "kubeconfig")
    assert result.codes == ["target-without-aws"]
    assert result.names_of("jobs") == set()
