"""What a bucket can be told, as values: each checks what can be seen of it alone."""

from itertools import combinations, pairwise
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from mlinfra.authoring import Many
from mlinfra.components.queue import Queue
from mlinfra.components.raw import Raw
from mlinfra.components.values import Structure
from mlinfra.graph import Ref, Value

Days = Annotated[int, Field(ge=1, le=36_500)]

# ------------------------------------------------------------------------------------------------ lifecycle

StorageClass: TypeAlias = Literal[
    "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"
]
LIFECYCLE: Final = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html"
)
INFREQUENT: Final = ("STANDARD_IA", "ONEZONE_IA")
INFREQUENT_DAYS: Final = 30
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_NEXT: Final[dict[str, frozenset[str]]] = {
    "STANDARD_IA": _ARCHIVES | {"INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR"},
    "INTELLIGENT_TIERING": _ARCHIVES | {"ONEZONE_IA", "GLACIER_IR"},
    "ONEZONE_IA": _ARCHIVES,
    "GLACIER_IR": _ARCHIVES,
    "GLACIER": frozenset({"DEEP_ARCHIVE"}),
    "DEEP_ARCHIVE": frozenset(),
}
"""Where objects can go from each class. Source: `LIFECYCLE`, "Supported lifecycle transitions"."""

CHARGED_DAYS: Final = {"STANDARD_IA": 30, "ONEZONE_IA": 30, "GLACIER_IR": 90, "GLACIER": 90, "DEEP_ARCHIVE": 180}
"""For how many days at least S3 charges an object that is in a class. Source: S3 user guide, "Understanding and
managing Amazon S3 storage classes", minimum storage duration."""


class Transition(Structure):
    """When objects move to a cheaper class of storage: `Transition(days=60, to="STANDARD_IA")`.

    `GLACIER_IR` and the classes before it give objects at once; from `GLACIER` and `DEEP_ARCHIVE` they have to be
    restored first, which takes hours. S3 leaves objects below 128 KB where they are.
    """

    days: int = Field(ge=0, le=36_500)
    """Days after an object was made (for old versions: after it was overwritten or deleted); 30 at the least for
    `STANDARD_IA` and `ONEZONE_IA`."""

    to: StorageClass
    """The class, by S3's name for it; what each is for: S3 user guide, "Understanding and managing Amazon S3 storage
    classes"."""

    @model_validator(mode="after")
    def _late_enough(self) -> Self:
        if self.to in INFREQUENT and self.days < INFREQUENT_DAYS:
            raise ValueError(
                f"objects can move to {self.to} after {INFREQUENT_DAYS} days at the earliest, not {self.days} "
                f"({LIFECYCLE})"
            )
        return self


def check_transitions(transitions: Many[Transition], end: int | None, what: str) -> None:
    """Raise `ValueError` for transitions in an order or at a distance that S3 refuses; `end`: when `what` go."""
    ordered = sorted(transitions, key=lambda item: item.days)
    for one, other in pairwise(ordered):
        if other.to not in _NEXT[one.to] or one.days == other.days:
            raise ValueError(
                f"{what} cannot move to {one.to} after {one.days} days and then to {other.to} after {other.days}; "
                f"from {one.to} they go to {', '.join(sorted(_NEXT[one.to])) or 'no other class'} ({LIFECYCLE})"
            )
        if one.to in INFREQUENT and other.days - one.days < INFREQUENT_DAYS:
            raise ValueError(
                f"{what} have to stay in {one.to} for {INFREQUENT_DAYS} days before they move to {other.to}, "
                f"not {other.days - one.days} ({LIFECYCLE}, minimum 30-day storage charge)"
            )
    if ordered and end and ordered[-1].days >= end:
        last = ordered[-1]
        raise ValueError(f"{what} would move to {last.to} after {last.days} days, but are gone after {end}")


# ------------------------------------------------------------------------------------------------ lock, replica


class ObjectLock(Structure):
    """For how long nobody can delete or overwrite a version of an object: `ObjectLock(mode="governance", days=30)`.

    A bucket has a lock from when it is made, or never: adding one to a bucket that is there, or taking it away,
    replaces the bucket (S3 user guide, "Locking objects with Object Lock").
    """

    mode: Literal["governance", "compliance"]
    """`governance`: who has the permission `s3:BypassGovernanceRetention` can delete all the same. `compliance`:
    nobody can, the account's root user and AWS's support included, until the days are over."""

    days: Days
    """Days after an object was made."""


Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]


class Replica(Structure):
    """A copy of the bucket in another region, for when the region or the bucket is lost.

    S3 copies what is added after the replica was declared, usually within minutes. Deletion of an object is copied as
    its delete marker; deletion of one of its versions is not, so that nobody can delete both copies at once.
    """

    region: Region
    """The other region, such as `eu-central-1`."""

    storage_class: Literal["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"] = "STANDARD_IA"
    """The class of storage of the copies."""


# ------------------------------------------------------------------------------------------------ CORS

Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^*\s]*\*?[^*\s]*)$")]


class CorsRule(Structure):
    """Which web pages may use the bucket from a browser, with credentials or signed addresses that they have.

    `CorsRule(origins=["https://labels.example.com"], methods=["GET"])` (S3 user guide, "Using cross-origin resource
    sharing").
    """

    origins: Annotated[Many[Origin], Field(min_length=1)]
    """Where the pages come from, with one `*` at most: `https://*.example.com`."""

    methods: Annotated[Many[Literal["GET", "PUT", "HEAD", "POST", "DELETE"]], Field(min_length=1)]
    """What they may do."""

    headers: Many[Annotated[str, Field(pattern=r"^[^*\s]*\*?[^*\s]*$")]] = ()
    """Headers that requests may have, such as `content-type` or `*`."""

    exposed_headers: Many[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]] = ()
    """Headers of answers that pages may see, such as `ETag`."""

    max_age_seconds: int = Field(default=3_600, ge=0, le=86_400)
    """For how long a browser may remember the answer."""


# ------------------------------------------------------------------------------------------------ notifications

Event: TypeAlias = Literal["created", "deleted", "restored", "tagged", "expired"]
EVENTS: Final[dict[Event, tuple[str, ...]]] = {
    "created": ("s3:ObjectCreated:*",),
    "deleted": ("s3:ObjectRemoved:*",),
    "restored": ("s3:ObjectRestore:Completed",),
    "tagged": ("s3:ObjectTagging:*",),
    "expired": ("s3:LifecycleExpiration:*",),
}
"""Source: S3 user guide, "Event notification types and destinations"."""

TOPIC: Final = "aws:sns/topic:Topic"
_TOPIC_ARN: Final = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
TopicArn = Annotated[str, Field(pattern=_TOPIC_ARN)]


class Notification(Structure):
    """Whom the bucket tells of what happens in it: `Notification(to=queue, suffix=".parquet")`.

    S3 tells at least once, in no certain order (S3 user guide, "Amazon S3 Event Notifications"). Nobody is told of one
    event by two notifications of a bucket: S3 refuses those whose events, prefixes and suffixes overlap.
    """

    to: Queue | Raw | TopicArn
    """A `Queue`, which lets the bucket send to it; an SNS topic, as `Raw` or by its ARN, whose policy has to allow
    `sns:Publish` to `s3.amazonaws.com` already. No FIFO queues or topics: S3 sends to none."""

    events: Annotated[Many[Event], Field(min_length=1)] = ("created",)
    """What is told."""

    prefix: str = Field(default="", max_length=1_024)
    """Only of objects whose names begin with this, such as `incoming/`."""

    suffix: str = Field(default="", max_length=1_024)
    """Only of objects whose names end with this, such as `.parquet`."""

    @field_validator("to")
    @classmethod
    def _a_topic(cls, to: Queue | Raw | str) -> Queue | Raw | str:
        if isinstance(to, Raw) and to.type != TOPIC:
            raise ValueError(f"{to!r} is a resource of type {to.type}; S3 sends to queues and to topics ({TOPIC})")
        if isinstance(to, Raw) and to.inputs.get("fifoTopic"):
            raise ValueError(f"{to!r} is a FIFO topic, which S3 sends nothing to")
        return to

    @property
    def arn(self) -> Value:
        """The ARN of the queue or topic."""
        if isinstance(self.to, Queue):
            return self.to.arn
        return Ref(self.to.node("resource"), ("arn",)) if isinstance(self.to, Raw) else self.to


STRUCTURES: Final = (Transition, ObjectLock, Replica, CorsRule, Notification)
"""The values that a bucket's options are made of, in the order in which documentation shows them."""


def check_notifications(notifications: Many[Notification]) -> None:
    """Raise `ValueError` for two notifications of one event of one object.

    Source: S3 user guide, "Configuring event notifications using object key name filtering".
    """
    for (first, one), (second, other) in combinations(enumerate(notifications), 2):
        begins = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
        ends = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
        shared = sorted(set(one.events) & set(other.events))
        if shared and begins and ends:
            raise ValueError(
                f"{first} and {second} both tell of the event {shared[0]!r} of the same objects, which S3 refuses; "
                "give them prefixes or suffixes of which none is a part of the other"
            )
