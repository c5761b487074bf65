from __future__ import annotations

import contextlib
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mlinfra.components.schedule import Schedule, TimeZone, longest_gap

SCHEDULE: TypeAdapter[str] = TypeAdapter(Schedule)
ZONE: TypeAdapter[str] = TypeAdapter(TimeZone)
GOOD = ["30 2 * * *", "*/15 * * * *", "0 0,12 1-7 jan-mar MON", "0-30/10 8-18 * * 1-5", "@daily", "5 4 ? * sun"]
WRONG = {
    "": "is no schedule",
    "30 2 * *": "is no schedule; write five fields",
    "30 2 * * * *": "is no schedule",
    "60 * * * *": "60 is no minute: it goes from 0 to 59",
    "* 24 * * *": "24 is no hour",
    "* * 0 * *": "0 is no day of the month",
    "* * * 13 *": "13 is no month",
    "* * * * 7": "7 is no day of the week: it goes from 0 to 6",
    "* * * * foo": "'foo' is no day of the week",
    "30-10 * * * *": "it ends before it begins",
    "*/0 * * * *": "a step of 0 leads nowhere",
    "*-5 * * * *": "has no end",
    "1.5 * * * *": "is no minute",
    "CRON_TZ=UTC 30 2 * * *": "the time zone is a field of its own",
    "@reboot": "is no schedule",
    "@every 5m": "is no schedule",
}


@pytest.mark.parametrize("text", GOOD)
def test_what_kubernetes_takes(text: str) -> None:
    assert SCHEDULE.validate_python(text) == text


@pytest.mark.parametrize(("text", "told"), WRONG.items(), ids=WRONG)
def test_what_kubernetes_would_refuse(text: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SCHEDULE.validate_python(text)


HOURS = {
    "15 */6 * * *": 6,
    "*/15 * * * *": 0.25,
    "*/7 * * * *": 7 / 60,  # from 56 on it begins anew
    "10/20 5 * * *": 23 + 20 / 60,  # at 5:10, 5:30, 5:50
    "0 3,15 * * *": 12,
    "0 9-17 * * 1-5": 64,  # over the weekend
    "0 9-17/4 * * MON-FRI": 64,
    "0 0 * * 0": 7 * 24,
    "0 0 ? * sun": 7 * 24,
    "0 0 1 * *": 31 * 24,
    "0 0 1,15 * *": 17 * 24,
    "0 0 1 * mon": 7 * 24,  # the first of a month, and every Monday
    "0 0 */1 * mon": 7 * 24,
    "0 0 */2 * mon": 2 * 24,  # a step says something: either will do
    "0 0 1 jan-jun *": 214 * 24,  # from June to January
    "30 2 29 feb *": 1461 * 24,
    "@hourly": 1,
    "@daily": 24,
    "@midnight": 24,
    "@weekly": 7 * 24,
    "@monthly": 31 * 24,
    "@yearly": 366 * 24,
}


@pytest.mark.parametrize(("text", "hours"), HOURS.items(), ids=HOURS)
def test_the_longest_time_between_two_runs(text: str, hours: float) -> None:
    assert longest_gap(SCHEDULE.validate_python(text)) / timedelta(hours=1) == pytest.approx(hours)


def test_what_is_never_due_leaves_years() -> None:
    assert longest_gap("0 0 31 2 *") > timedelta(days=8 * 365)


NUMBERS = st.lists(st.integers(0, 23), min_size=1, max_size=4)


@given(NUMBERS, NUMBERS, st.sampled_from(["*", "1-5", "0,3", "6"]))
def test_the_longest_time_against_all_that_is_due(minutes: list[int], hours: list[int], weekdays: str) -> None:
    days = {"*": range(7), "1-5": range(1, 6), "0,3": (0, 3), "6": (6,)}[weekdays]
    week = [day * 1440 + hour * 60 + minute for day in days for hour in hours for minute in minutes]
    due = sorted({moment + 7 * 1440 * number for number in range(3) for moment in week})
    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * {weekdays}"
    assert longest_gap(text) == timedelta(minutes=max(after - before for before, after in pairwise(due)))


@given(st.text(max_size=30))
def test_any_text_is_a_schedule_or_is_told_why_not(text: str) -> None:
    with contextlib.suppress(ValidationError):
        assert SCHEDULE.validate_python(text) == text


@pytest.mark.parametrize("text", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5"])
def test_time_zones(text: str) -> None:
    assert ZONE.validate_python(text) == text


@pytest.mark.parametrize("text", ["CET+1", "europe/berlin", "Local", ""])
def test_no_time_zones(text: str) -> None:
    with pytest.raises(ValidationError):
        ZONE.validate_python(text)
