from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_options import Notification
from mlinfra.components.key import Key
from mlinfra.components.queue import Queue
from mlinfra.components.raw import Raw
from mlinfra.graph import Join, Ref
from mlinfra.tiers import Tier

ACCOUNT = "111122223333"


def on_behalf_of(bucket: str) -> dict[str, Any]:
    arn = Ref(f"{bucket}/bucket", ("arn",))
    return {"ArnLike": {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": ACCOUNT}}


def statements(result: Any, node: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result.inputs(node)["policy"].value["Statement"]
    return found


# ------------------------------------------------------------------------------------------------ access logs


@pytest.mark.parametrize(
    ("tier", "given", "days"),
    [(Tier.DEV, None, 30), (Tier.STAGING, None, 90), (Tier.PROD, None, 365), (Tier.DEV, 9, 9)],
)
def test_logs_are_kept_as_the_tier_says(expanded: Any, tier: Tier, given: int | None, days: int) -> None:
    result = expanded(lambda: Bucket("data", access_logs="own", access_log_days=given), "eks", tier=tier)
    rules = {rule["id"]: rule for rule in result.inputs("data/logs-lifecycle")["rules"]}
    assert rules["expire"]["expiration"] == {"days": days}
    assert result.node("data/logs-bucket").options.protect is tier.protected
    assert result.inputs("data/logs-bucket")["bucket"].startswith("sample-test-data-logs-")


def test_a_log_bucket_of_its_own(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", access_logs="own"), "eks")
    assert result.inputs("data/logging") == {
        "bucket": Ref("data/bucket"),
        "targetBucket": Ref("data/logs-bucket"),
        "targetPrefix": "data/",
    }
    assert result.node("data/logging").options.depends_on == ("data/logs-policy",)
    allowed, tls = statements(result, "data/logs-policy")
    assert allowed == {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": Join((Ref("data/logs-bucket", ("arn",)), "/data/*")),
        "Condition": on_behalf_of("data"),
    }
    assert tls["Sid"] == "OnlyOverTLS"
    (rule,) = result.inputs("data/logs-encryption")["rules"]
    assert rule == {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}


@pytest.mark.parametrize("tier", list(Tier))
def test_logs_go_after_the_bucket_that_they_are_about(expanded: Any, tier: Tier) -> None:
    result = expanded(lambda: Bucket("data", access_logs="own"), tier=tier)
    assert result.node("data/bucket").options.depends_on == ("data/logs-bucket",)
    assert result.inputs("data/logs-bucket")["forceDestroy"] is True
    assert result.inputs("data/bucket")["forceDestroy"] is (tier is not Tier.PROD)


def test_several_buckets_log_to_one(expanded: Any) -> None:
    def declare() -> list[Any]:
        logs = Bucket("logs", expire_days=90)
        return [Bucket("one", access_logs=logs), Bucket("two", classification="confidential", access_logs=logs)]

    result = expanded(declare, "eks")
    for name in ("one", "two"):
        assert result.inputs(f"{name}/logging")["targetBucket"] == Ref("logs/bucket")
        assert result.inputs(f"{name}/logging")["targetPrefix"] == f"{name}/"
        assert not {local for local in result.names_of(name) if local.startswith("logs-")}
    conditions = [item["Condition"] for item in statements(result, "logs/policy")[:-1]]
    assert conditions == [on_behalf_of("one"), on_behalf_of("two")]


# ------------------------------------------------------------------------------------------------ notifications


def test_a_queue_lets_each_bucket_send_to_it(expanded: Any) -> None:
    def declare() -> list[Any]:
        queue = Queue("work")
        return [Bucket(name, notifications=[Notification(to=queue)]) for name in ("one", "two")]

    result = expanded(declare, "eks")
    first, second, tls = statements(result, "work/policy")
    for name, statement in (("one", first), ("two", second)):
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": Ref("work/queue", ("arn",)),
            "Condition": on_behalf_of(name),
        }
        assert result.node(f"{name}/notification").options.depends_on == ("work/policy",)
    assert tls["Effect"] == "Deny"


def test_s3_may_use_the_key_of_a_queue_that_it_sends_to(expanded: Any) -> None:
    def declare(notified: bool) -> Any:
        queue = Queue("work", key=Key("keys"))
        return [queue, Bucket("data", notifications=[Notification(to=queue)] if notified else [])]

    plain = statements(expanded(lambda: declare(False), "eks"), "keys/key")
    assert statements(expanded(lambda: declare(True), "eks"), "keys/key") == [
        *plain,
        {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        },
    ]


def test_what_is_told_to_whom(expanded: Any) -> None:
    def declare() -> Any:
        topic = Raw("topic", type="aws:sns/topic:Topic", inputs={"name": "removals"})
        queue = Queue("work")
        return Bucket(
            "data",
            eventbridge=True,
            notifications=[
                Notification(to=queue, prefix="in/", suffix=".csv"),
                Notification(to=queue, prefix="out/", events=["created", "tagged"]),
                Notification(to=topic, events=["deleted"]),
            ],
        )

    result = expanded(declare)
    queue = {"queueArn": Ref("work/queue", ("arn",))}
    assert result.inputs("data/notification") == {
        "bucket": Ref("data/bucket"),
        "queues": [
            {
                **queue,
                "id": "notification-1",
                "events": ["s3:ObjectCreated:*"],
                "filterPrefix": "in/",
                "filterSuffix": ".csv",
            },
            {
                **queue,
                "id": "notification-2",
                "events": ["s3:ObjectCreated:*", "s3:ObjectTagging:*"],
                "filterPrefix": "out/",
            },
        ],
        "topics": [
            {"topicArn": Ref("topic/resource", ("arn",)), "id": "notification-3", "events": ["s3:ObjectRemoved:*"]}
        ],
        "eventbridge": True,
    }
    assert {"topic/resource", "work/queue"} <= set(result.graph.nodes)


@pytest.mark.parametrize(("region", "codes"), [("eu-west-1", []), ("us-east-1", ["bucket-notification-region"])])
def test_a_topic_is_in_the_buckets_region(expanded: Any, region: str, codes: list[str]) -> None:
    topic = f"arn:aws:sns:{region}:{ACCOUNT}:removals"
    assert expanded(lambda: Bucket("data", notifications=[Notification(to=topic)]), "eks").codes == codes


def test_eventbridge_alone(expanded: Any) -> None:
    result = expanded(lambda: Bucket("data", eventbridge=True))
    assert result.inputs("data/notification") == {"bucket": Ref("data/bucket"), "eventbridge": True}


def test_overlapping_notifications_are_told_at_the_bucket(expanded: Any) -> None:
    def declare() -> Any:
        queue = Queue("work")
        return Bucket("data", notifications=[Notification(to=queue), Notification(to=queue, prefix="in/")])

    (diagnostic,) = expanded(declare).diagnostics
    assert "0 and 1 both tell of the event 'created' of the same objects, which S3 refuses" in diagnostic.summary
