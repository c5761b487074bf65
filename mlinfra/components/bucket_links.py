"""What ties a bucket to others: who keeps its access logs, and whom it tells of new objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mlinfra.components.access import account_id, allow
from mlinfra.components.bucket_lifecycle import Lifecycle
from mlinfra.components.bucket_options import EVENTS, Notification
from mlinfra.components.bucket_store import Store, Stored, add_store
from mlinfra.components.queue import Queue
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

LOG_VERSION_DAYS: Final = 30
"""How long a log that somebody deleted is kept: S3 itself never writes one twice."""


def add_log_bucket(scope: Scope, days: int) -> Stored:
    """Add a bucket for access logs; it has S3's own keys, as S3 delivers to no other (`log_to`), and no logs itself.

    There are always logs in it. They go when the bucket that they are about has gone, for which that has to be empty
    and, in prod, given up.
    """
    tags = {**scope.tags, "mlinfra:classification": "internal", "mlinfra:holds": "access-logs"}
    lifecycle = Lifecycle(old_version_days=LOG_VERSION_DAYS, expire_days=days)
    return add_store(scope, Store(tags=tags, lifecycle=lifecycle, part="logs", emptied=True))


def log_to(scope: Scope, source: Stored, target: Ref, target_policy: str) -> None:
    """Have S3 write a bucket's access logs into another one, under the component's name, and let it do so.

    Source of the statement: S3 user guide, "Enabling Amazon S3 server access logging", permissions for log delivery.
    """
    prefix = f"{scope.component.identity}/"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": join(Ref(target.node, ("arn",)), f"/{prefix}*"),
        "Condition": _from(scope, source.arn),
    }
    allow(scope, target_policy, statement)
    scope.aws(
        "logging",
        "aws:s3/bucketLogging:BucketLogging",
        {"bucket": source.bucket, "targetBucket": target, "targetPrefix": prefix},
        depends_on=(target_policy,),
    )


def notify(scope: Scope, source: Stored, notifications: Iterable[Notification], *, eventbridge: bool) -> None:
    """Have S3 tell of what happens in a bucket, and let it send to the queues.

    S3 sends a test message when this is set, and refuses a queue that it may not send to, so policies come first.
    Source of the statements: S3 user guide, "Granting permissions to publish event notification messages to a
    destination".
    """
    sent: dict[str, list[Value]] = {"queues": [], "topics": []}
    after: list[str] = []
    for number, item in enumerate(notifications, start=1):
        filters = {"filterPrefix": item.prefix, "filterSuffix": item.suffix}
        told = {
            "id": f"notification-{number}",
            "events": [event for name in item.events for event in EVENTS[name]],
            **{name: value for name, value in filters.items() if value},
        }
        if isinstance(item.to, Queue):
            after.append(_let_send(scope, source, item.to))
            sent["queues"].append({"queueArn": item.arn, **told})
        else:
            sent["topics"].append({"topicArn": item.arn, **told})
    scope.aws(
        "notification",
        "aws:s3/bucketNotification:BucketNotification",
        {
            "bucket": source.bucket,
            **{name: value for name, value in sent.items() if value},
            **({"eventbridge": True} if eventbridge else {}),
        },
        depends_on=tuple(dict.fromkeys(after)),
    )


def _let_send(scope: Scope, source: Stored, queue: Queue) -> str:
    """Let a bucket send to a queue; returns the name of the node of the queue's policy."""
    s3 = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}}
    send = {"Action": "sqs:SendMessage", "Resource": queue.arn, "Condition": _from(scope, source.arn)}
    node = queue.node("policy")
    allow(scope, node, {**s3, **send})
    if queue.key is not None:
        use = {"Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}
        mine = {"Condition": {"StringEquals": {"aws:SourceAccount": account_id(scope)}}}
        allow(scope, queue.key.node("key"), {**s3, **use, **mine})
    return node


def _from(scope: Scope, arn: Value) -> dict[str, Value]:
    """On behalf of one bucket of this account (IAM user guide, "The confused deputy problem")."""
    return {"ArnLike": {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": account_id(scope)}}
