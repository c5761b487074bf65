from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlinfra.components.bucket_options import (
    INFREQUENT,
    CorsRule,
    Notification,
    ObjectLock,
    Replica,
    Transition,
    check_notifications,
    check_transitions,
)
from mlinfra.components.queue import Queue
from mlinfra.components.raw import Raw
from mlinfra.graph import Ref

TOPIC = "arn:aws:sns:eu-west-1:111122223333:removals"
CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")


def moves(*given: tuple[int, str]) -> list[Transition]:
    return [Transition(days=days, to=to) for days, to in given]  # type: ignore[arg-type]


@pytest.mark.parametrize(("to", "least"), [(to, 30 if to in INFREQUENT else 0) for to in CLASSES])
def test_the_earliest_day_of_each_class(to: Any, least: int) -> None:
    assert Transition(days=least, to=to).days == least
    if least:
        with pytest.raises(ValidationError, match=f"move to {to} after 30 days at the earliest"):
            Transition(days=least - 1, to=to)


SUPPORTED = {
    "STANDARD_IA": {"INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
    "INTELLIGENT_TIERING": {"ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
    "ONEZONE_IA": {"GLACIER", "DEEP_ARCHIVE"},
    "GLACIER_IR": {"GLACIER", "DEEP_ARCHIVE"},
    "GLACIER": {"DEEP_ARCHIVE"},
    "DEEP_ARCHIVE": set(),
}


@pytest.mark.parametrize(("one", "other"), list(product(CLASSES, CLASSES)))
def test_which_class_follows_which(one: str, other: str) -> None:
    order = moves((100, one), (200, other))
    if other in SUPPORTED[one]:
        check_transitions(order, None, "objects")
        check_transitions(order[::-1], None, "objects")
    else:
        with pytest.raises(ValueError, match=f"objects cannot move to {one} after 100 days and then to {other}"):
            check_transitions(order, None, "objects")


@pytest.mark.parametrize(
    ("given_moves", "end", "says"),
    [
        ([(30, "STANDARD_IA"), (59, "GLACIER")], None, "have to stay in STANDARD_IA for 30 days"),
        ([(30, "ONEZONE_IA"), (31, "DEEP_ARCHIVE")], None, "have to stay in ONEZONE_IA for 30 days"),
        ([(5, "GLACIER"), (5, "DEEP_ARCHIVE")], None, "cannot move to GLACIER after 5 days"),
        ([(60, "STANDARD_IA")], 60, "would move to STANDARD_IA after 60 days, but are gone after 60"),
        ([(30, "STANDARD_IA"), (90, "GLACIER")], 80, "would move to GLACIER after 90 days, but are gone after 80"),
    ],
)
def test_what_s3_refuses_of_transitions(given_moves: list[tuple[int, str]], end: int | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_transitions(moves(*given_moves), end, "objects")


@pytest.mark.parametrize(
    ("given_moves", "end"),
    [
        ([], 1),
        ([(0, "INTELLIGENT_TIERING")], 1),
        ([(30, "STANDARD_IA"), (60, "GLACIER")], 61),
        ([(0, "INTELLIGENT_TIERING"), (1, "GLACIER_IR"), (2, "GLACIER"), (3, "DEEP_ARCHIVE")], None),
    ],
)
def test_what_s3_takes_of_transitions(given_moves: list[tuple[int, str]], end: int | None) -> None:
    check_transitions(moves(*given_moves), end, "objects")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Transition, {"days": 60, "to": "STANDARD"}),
        (Transition, {"days": -1, "to": "GLACIER"}),
        (ObjectLock, {"mode": "legal", "days": 1}),
        (ObjectLock, {"mode": "governance", "days": 0}),
        (ObjectLock, {"mode": "governance"}),
        (Replica, {"region": "Europe"}),
        (Replica, {"region": "eu-west-1", "storage_class": "GLACIER"}),
        (CorsRule, {"origins": [], "methods": ["GET"]}),
        (CorsRule, {"origins": ["https://a.example.com"], "methods": []}),
        (CorsRule, {"origins": ["https://a.example.com"], "methods": ["PATCH"]}),
        (CorsRule, {"origins": ["https://*.*.example.com"], "methods": ["GET"]}),
        (CorsRule, {"origins": ["a.example.com"], "methods": ["GET"]}),
        (CorsRule, {"origins": ["*"], "methods": ["GET"], "headers": ["x-*-*"]}),
        (CorsRule, {"origins": ["*"], "methods": ["GET"], "max_age_seconds": 100_000}),
        (Notification, {"to": TOPIC, "events": []}),
        (Notification, {"to": TOPIC, "events": ["looked-at"]}),
        (Notification, {"to": f"{TOPIC}.fifo"}),
        (Notification, {"to": "removals"}),
    ],
)
def test_values_that_are_refused(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind(**fields)


# ------------------------------------------------------------------------------------------------ notifications


def test_whom_a_notification_is_for() -> None:
    queue = Queue("arrivals")
    topic = Raw("topic", type="aws:sns/topic:Topic", inputs={"name": "removals"})
    assert Notification(to=queue).arn == queue.arn
    assert Notification(to=topic).arn == Ref("topic/resource", ("arn",))
    assert Notification(to=TOPIC).arn == TOPIC
    assert Notification(to=queue).events == ("created",)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (Raw("q", type="aws:sqs/queue:Queue"), "is a resource of type aws:sqs/queue:Queue; S3 sends to queues"),
        (Raw("t", type="aws:sns/topic:Topic", inputs={"fifoTopic": True}), "is a FIFO topic"),
    ],
)
def test_what_s3_sends_nothing_to(raw: Raw, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Notification(to=raw)


NAMES = st.text(alphabet="ab/", max_size=3)
EVENTS = st.lists(st.sampled_from(["created", "deleted"]), min_size=1, max_size=2, unique=True)
SENT = st.builds(lambda events, prefix, suffix: Notification(to=TOPIC, events=events, prefix=prefix, suffix=suffix),
                 EVENTS, NAMES, NAMES)  # fmt: skip
OBJECTS = ["".join(letters) for length in range(7) for letters in product("ab/", repeat=length)]


@given(SENT, SENT)
def test_two_notifications_overlap_where_one_object_can_be_meant_by_both(
    one: Notification, other: Notification
) -> None:
    def means(item: Notification, name: str) -> bool:
        return name.startswith(item.prefix) and name.endswith(item.suffix)

    shared = set(one.events) & set(other.events)
    overlap = bool(shared) and any(means(one, name) and means(other, name) for name in OBJECTS)
    try:
        check_notifications([one, other])
    except ValueError:
        assert overlap
    else:
        assert not overlap
