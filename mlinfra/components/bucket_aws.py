"""A `Bucket` on AWS: one S3 bucket with its settings; its key, its log bucket and its replica where it has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from mlinfra.components.bucket_lifecycle import Lifecycle
from mlinfra.components.bucket_links import add_log_bucket, log_to, notify
from mlinfra.components.bucket_options import CorsRule, check_transitions
from mlinfra.components.bucket_replica import Source, add_replica
from mlinfra.components.bucket_store import Store, add_store
from mlinfra.components.key import Key, add_key
from mlinfra.components.key_use import check_key
from mlinfra.components.signals import Chart, Line
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value
from mlinfra.tiers import Tier

if TYPE_CHECKING:
    from mlinfra.components.bucket import Bucket

_DAY: Final = 86_400

PII_OLD_VERSION_DAYS: Final = 30
"""Longest that old versions of personal data are kept unless the bucket says otherwise: who is asked to erase them has
a month (GDPR, article 12(3))."""


def expand(bucket: Bucket, scope: Scope) -> None:
    """The bucket and its settings; its key, its log bucket and its replica where it has them."""
    _check(bucket, scope)
    if bucket.key_arn and not isinstance(bucket.key, Key):
        add_key(scope, users=_key_users(bucket), via=("s3",), tags=_tags(bucket, scope))
    logs = _log_bucket(bucket, scope)
    store = Store(
        tags=_tags(bucket, scope),
        lifecycle=_lifecycle(bucket, scope.environment.tier),
        key=bucket.key_arn,
        versioning=bucket.versioning,
        locked=bucket.lock is not None,
        after=(logs[0].node,) if logs else (),
    )
    stored = add_store(scope, store)
    if bucket.lock:
        retention = {"mode": bucket.lock.mode.upper(), "days": bucket.lock.days}
        inputs = {"bucket": stored.bucket, "rule": {"defaultRetention": retention}}
        kind = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
        scope.aws("lock", kind, inputs, depends_on=stored.versioned)
    if bucket.cors:
        rules = [_cors(number, rule) for number, rule in enumerate(bucket.cors, start=1)]
        kind = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
        scope.aws("cors", kind, {"bucket": stored.bucket, "corsRules": rules})
    if bucket.notifications or bucket.eventbridge:
        notify(scope, stored, bucket.notifications, eventbridge=bucket.eventbridge)
    if logs:
        log_to(scope, stored, *logs)
    if bucket.replica:
        readers = tuple(bucket.key.readers) if isinstance(bucket.key, Key) else ()
        add_replica(scope, Source(stored, store, _key_users(bucket), readers), bucket.replica)


def _check(bucket: Bucket, scope: Scope) -> None:
    """Note what can only be seen where region and tier are known, and what other components do not allow."""
    check_key(scope, bucket.key if isinstance(bucket.key, Key) else None, "s3")
    lifecycle = _lifecycle(bucket, scope.environment.tier)
    try:
        check_transitions(bucket.old_version_transitions, lifecycle.old_version_days, "old versions")
    except ValueError as error:
        scope.problem(
            f"bucket {bucket.name!r}: {error}",
            remedy="Move them earlier, or keep them for longer: `old_version_days=…`.",
            code="bucket-old-versions",
        )
    for words in lifecycle.charged_in_vain():
        scope.warning(
            f"bucket {bucket.name!r}: {words}",
            detail="That may be more than it costs to leave them where they are.",
            code="bucket-early-deletion",
        )
    for item in bucket.notifications:
        if isinstance(item.to, str) and item.to.split(":")[3] != scope.environment.region:
            scope.problem(
                f"bucket {bucket.name!r} is in {scope.environment.region} and cannot tell {item.to}",
                detail="A topic has to be in the bucket's region "
                '(S3 user guide, "Event notification types and destinations").',
                remedy="Name a topic of that region.",
                code="bucket-notification-region",
            )
    if bucket.replica and bucket.replica.region == scope.environment.region:
        scope.problem(
            f"bucket {bucket.name!r} has its replica in {bucket.replica.region}, where it is itself",
            remedy="Name another region.",
            code="bucket-replica-region",
        )


def _log_bucket(bucket: Bucket, scope: Scope) -> tuple[Ref, str] | None:
    """The bucket that access logs go to, and the node of its policy; one of its own is added."""
    logs = bucket.access_logs
    if logs is not None and logs != "own":
        return logs.bucket_name, logs.node("policy")
    if not (logs or bucket.sensitive):
        return None
    own = add_log_bucket(scope, bucket.access_log_days or scope.environment.tier.defaults.access_log_days)
    return own.bucket, own.policy


def _key_users(bucket: Bucket) -> Literal["account", "references"]:
    """Who can be given the use of the keys that are made for it: as with the one that it is given, if any."""
    if isinstance(bucket.key, Key):
        return bucket.key.users
    return "references" if bucket.personal else "account"


def _lifecycle(bucket: Bucket, tier: Tier) -> Lifecycle:
    days = tier.defaults.old_version_days
    return Lifecycle(
        old_version_days=bucket.old_version_days or (min(days, PII_OLD_VERSION_DAYS) if bucket.personal else days),
        expire_days=bucket.expire_days,
        transitions=tuple(bucket.transitions),
        old_version_transitions=tuple(bucket.old_version_transitions),
        erases=bucket.personal,
    )


def _tags(bucket: Bucket, scope: Scope) -> dict[str, str]:
    marks: dict[str, str] = {"mlinfra:classification": bucket.classification}
    if bucket.keep_forever:
        marks["mlinfra:keep-forever"] = bucket.keep_forever
    return {**bucket.tags, **scope.tags, **marks}


def _cors(number: int, rule: CorsRule) -> dict[str, Value]:
    return {
        "id": f"rule-{number}",
        "allowedOrigins": list(rule.origins),
        "allowedMethods": list(rule.methods),
        **({"allowedHeaders": list(rule.headers)} if rule.headers else {}),
        **({"exposeHeaders": list(rule.exposed_headers)} if rule.exposed_headers else {}),
        "maxAgeSeconds": rule.max_age_seconds,
    }


def charts(bucket: Bucket) -> Iterator[Chart]:
    """Its size and how many objects it has."""
    name = bucket.bucket_name
    yield Chart(
        "Size and objects",
        (
            Line("AWS/S3", "BucketSizeBytes", {"BucketName": name, "StorageType": "StandardStorage"}),
            Line("AWS/S3", "NumberOfObjects", {"BucketName": name, "StorageType": "AllStorageTypes"}),
        ),
        seconds=_DAY,
    )
