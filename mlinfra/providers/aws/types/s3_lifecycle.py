"""What becomes of a bucket's objects with time: lifecycle rules, and the lock that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.types.s3_settings import BucketSetting, Record, Refusals, several

_MOST: Final = 2_147_483_647
_POSITIVE: Final = (1, _MOST)
_WITHOUT_DELAY: Final = (0, _MOST)
_INFREQUENT: Final = ("STANDARD_IA", "ONEZONE_IA")
_INFREQUENT_DAYS: Final = 30
"""How long S3 keeps an object, or a noncurrent version, before it goes to one of these.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
"""

# ------------------------------------------------------------------------------------------------ lifecycle

_STORAGE_CLASS: Final = Field(
    "storageClass",
    required=True,
    choices=("GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR"),
)
_DATE: Final = Field(
    "date", pattern=(r"\d{4}-\d\d-\d\dT00:00:00Z", "a day's midnight UTC, such as 2030-01-31T00:00:00Z")
)
_NEWER: Final = Field("newerNoncurrentVersions", int, forgotten=True, bounds=(1, 100))
_SIZES: Final = (
    Field("objectSizeGreaterThan", int, forgotten=True, bounds=(0, 2**53)),
    Field("objectSizeLessThan", int, forgotten=True, bounds=(1, 2**53)),
)
_FILTER: Final = (
    Field("prefix"),
    Field("tag", (Field("key", required=True), Field("value", required=True))),
    Field("and", (Field("prefix"), Field("tags", dict, pairs=("Key", "Value")), *_SIZES)),
    *_SIZES,
)
_RULE: Final = (
    Field("id", required=True, aws="ID", pattern=(r".{1,255}", "1 to 255 characters")),
    Field("status", required=True, choices=("Enabled", "Disabled")),
    Field("filter", _FILTER, computed=True),  # without one S3 has that of an empty prefix
    Field("prefix"),
    Field("abortIncompleteMultipartUpload", (Field("daysAfterInitiation", int, bounds=_POSITIVE),)),
    Field(
        "expiration",
        (
            _DATE,
            Field("days", int, bounds=_POSITIVE),
            Field("expiredObjectDeleteMarker", bool, default=False),
        ),
    ),
    Field("transitions", (_DATE, Field("days", int, bounds=_WITHOUT_DELAY), _STORAGE_CLASS), many=True, unordered=True),
    Field("noncurrentVersionExpiration", (Field("noncurrentDays", int, required=True, bounds=_POSITIVE), _NEWER)),
    Field(
        "noncurrentVersionTransitions",
        (Field("noncurrentDays", int, required=True, bounds=_WITHOUT_DELAY), _NEWER, _STORAGE_CLASS),
        many=True,
        unordered=True,
    ),
)
_LIFECYCLE: Final = (
    Field("rules", _RULE, many=True, required=True),
    Field(
        "transitionDefaultMinimumObjectSize",
        default="all_storage_classes_128K",
        choices=("all_storage_classes_128K", "varies_by_storage_class"),
        forgotten=True,
    ),
)
_ACTIONS: Final = (
    "abortIncompleteMultipartUpload", "expiration", "transitions", "noncurrentVersionExpiration",
    "noncurrentVersionTransitions",
)  # fmt: skip
_FILTERS: Final = tuple(field.name for field in _FILTER)


def _lifecycle_to_s3(inputs: Record) -> dict[str, Any]:
    sent = to_aws(_LIFECYCLE, inputs)
    for rule in sent["Rules"]:
        if "Prefix" not in rule:
            rule.setdefault("Filter", {"Prefix": ""})  # PutBucketLifecycleConfiguration wants one of the two
    return {
        "LifecycleConfiguration": {"Rules": sent["Rules"]},
        "TransitionDefaultMinimumObjectSize": sent.get("TransitionDefaultMinimumObjectSize"),
    }


def _lifecycle_refusals(inputs: Record) -> Refusals:
    """Sources: API_LifecycleRule and its parts; user guide, "Lifecycle configuration elements"."""
    rules = inputs["rules"]
    if not isinstance(rules, list):
        return
    if not 1 <= len(rules) <= 1000:
        yield ("rules",), "must be 1 to 1000 rules"
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if not isinstance(rule, Mapping):
            continue
        if rule["id"] in seen:
            yield ("rules", index, "id"), "must be unique among the rules"
        if isinstance(rule["id"], str):
            seen.add(rule["id"])
        for refusals in (_scope_refusals(rule), _expiration_refusals(rule), _noncurrent_refusals(rule)):
            for path, reason in refusals:
                yield ("rules", index, *path), reason


def _scope_refusals(rule: Record) -> Refusals:
    """Which objects a rule is for, and which actions that allows."""
    if all(rule.get(action) in (None, [], {}) for action in _ACTIONS):
        yield (), f"must have an action: one of {', '.join(_ACTIONS)}"
    if len(several(rule, ("filter", "prefix"))) > 1:
        yield ("prefix",), "cannot be had with filter, which has one of its own"
    chosen = rule.get("filter")
    if len(several(chosen, _FILTERS)) > 1:
        yield ("filter",), f"must be one of {', '.join(_FILTERS)}; several go into and"
    if not isinstance(chosen, Mapping):
        return
    both = chosen.get("and")
    if chosen.get("tag") is not None or (isinstance(both, Mapping) and both.get("tags") not in (None, {})):
        if rule.get("abortIncompleteMultipartUpload") is not None:
            yield ("abortIncompleteMultipartUpload",), "cannot be had with a filter by tags: uploads have none"
        expiration = rule.get("expiration")
        if isinstance(expiration, Mapping) and expiration.get("expiredObjectDeleteMarker") is True:
            path = ("expiration", "expiredObjectDeleteMarker")
            yield path, "cannot be had with a filter by tags: delete markers have none"


def _expiration_refusals(rule: Record) -> Refusals:
    """When objects move and go: by age or by date, not both; the infrequent classes late; going after moving."""
    expiration, transitions = rule.get("expiration"), _records(rule.get("transitions"))
    ends = ("date", "days", "expiredObjectDeleteMarker")
    if isinstance(expiration, Mapping) and len(several(expiration, ends)) > 1:
        yield ("expiration",), f"must be one of {', '.join(ends)}"
    for index, transition in transitions:
        if len(several(transition, ("date", "days"))) > 1:
            yield ("transitions", index), "must be by one of date and days"
    units = [several(part, ("date", "days")) for _, part in [(0, expiration), *transitions]]
    if len({unit for given in units if len(given) == 1 for unit in given}) > 1:
        yield (), "must have its expiration and transitions all by date, or all by days"
    yield from _day_refusals("transitions", "days", transitions, expiration)


def _noncurrent_refusals(rule: Record) -> Refusals:
    transitions = _records(rule.get("noncurrentVersionTransitions"))
    yield from _day_refusals(
        "noncurrentVersionTransitions", "noncurrentDays", transitions, rule.get("noncurrentVersionExpiration")
    )


def _day_refusals(name: str, days: str, transitions: list[tuple[int, Record]], expiration: Any) -> Refusals:
    end = expiration.get(days) if isinstance(expiration, Mapping) else None
    for index, transition in transitions:
        after = transition.get(days)
        if not isinstance(after, int):
            continue
        if transition["storageClass"] in _INFREQUENT and after < _INFREQUENT_DAYS:
            yield (name, index, days), f"must be {_INFREQUENT_DAYS} at least for this storage class"
        if isinstance(end, int) and after >= end:
            yield (name, index, days), f"must be less than the {end} days after which the rule deletes"


def _records(items: Any) -> list[tuple[int, Record]]:
    """The objects of a list that are known, each with its place."""
    listed = items if isinstance(items, list) else []
    return [(index, item) for index, item in enumerate(listed) if isinstance(item, Mapping)]


# ------------------------------------------------------------------------------------------------ object lock

_RETENTION: Final = (
    Field("mode", choices=("GOVERNANCE", "COMPLIANCE")),
    Field("days", int, bounds=_POSITIVE),
    Field("years", int, bounds=_POSITIVE),
)
_LOCK: Final = (
    Field(
        "objectLockEnabled",
        default="Enabled",
        choices=("Enabled",),
        replaces="https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html: a lock cannot be taken off",
    ),
    Field("rule", (Field("defaultRetention", _RETENTION, required=True),)),
    Field("token", apart=True, secret=True),
)


def _lock_from_s3(answer: Record) -> dict[str, Any]:
    found = from_aws(_LOCK, answer["ObjectLockConfiguration"])
    if found["rule"]:
        retention = found["rule"]["defaultRetention"].items()
        found["rule"] = {"defaultRetention": {name: value for name, value in retention if value}}  # moto: 0 for none
    return found


def _lock_refusals(inputs: Record) -> Refusals:
    """Source: API_DefaultRetention: a mode, and a period in days or in years."""
    rule = inputs.get("rule")
    retention = rule.get("defaultRetention") if isinstance(rule, Mapping) else None
    if not isinstance(retention, Mapping):
        return
    path = ("rule", "defaultRetention")
    if retention.get("mode") is None:
        yield (*path, "mode"), "is required"
    if sum(retention.get(unit) is not None for unit in ("days", "years")) != 1:
        yield path, "must have one of days and years"


RESOURCES: Final = (
    BucketSetting(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        _LIFECYCLE,
        put="put_bucket_lifecycle_configuration",
        get="get_bucket_lifecycle_configuration",
        take="delete_bucket_lifecycle",
        absent="NoSuchLifecycleConfiguration",
        to_s3=_lifecycle_to_s3,
        from_s3=lambda answer: from_aws(_LIFECYCLE, answer),
        refuses=_lifecycle_refusals,
    ),
    BucketSetting(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        _LOCK,
        put="put_object_lock_configuration",
        get="get_object_lock_configuration",
        take="put_object_lock_configuration",  # the lock stays for ever; new objects are no longer locked on their own
        take_parameters={"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
        absent="ObjectLockConfigurationNotFoundError",
        to_s3=lambda inputs: {"ObjectLockConfiguration": to_aws(_LOCK, inputs), "Token": inputs.get("token")},
        from_s3=_lock_from_s3,
        refuses=_lock_refusals,
    ),
)
