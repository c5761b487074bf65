from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mlinfra.components.schedule import Schedule, TimeZone

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
