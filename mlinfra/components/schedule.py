"""When something runs again and again: a schedule as cron writes it, held against what Kubernetes takes.

Source: Kubernetes, "CronJob", "Schedule syntax" and "Time zones"; the fields' bounds are those of robfig/cron, version
3, the parser that Kubernetes uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Final

from pydantic import AfterValidator, Field

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_PART: Final = r"(?P<first>\*|\?|[0-9]+|[a-z]{3})(-(?P<last>[0-9]+|[a-z]{3}))?(/(?P<step>[0-9]+))?"
_FORM: Final = "five fields, minute, hour, day of the month, month and day of the week, such as `30 2 * * 1-5`"


def _schedule(text: str) -> str:
    """The schedule as it is; raises `ValueError` for one that Kubernetes would refuse, or that would never be due."""
    if text in _MACROS:
        return text
    fields = text.split()
    if "TZ=" in text.upper():
        raise ValueError("the time zone is a field of its own: `time_zone`")
    if len(fields) != len(_FIELDS) or text != " ".join(fields):
        raise ValueError(f"{text!r} is no schedule; write {_FORM}, or one of {', '.join(sorted(_MACROS))}")
    for field, (what, least, most, names) in zip(fields, _FIELDS, strict=True):
        for part in field.lower().split(","):
            _check_part(part, what, least, most, names)
    return text


def _check_part(part: str, what: str, least: int, most: int, names: tuple[str, ...]) -> None:
    found = re.fullmatch(_PART, part)
    if found is None:
        raise ValueError(f"{part!r} is no {what}; a schedule has {_FORM}")
    numbers = []
    for text in (found["first"], found["last"]):
        if text is None or text in "*?":
            continue
        if not text.isdigit() and text not in names:
            raise ValueError(f"{text!r} is no {what}")
        number = int(text) if text.isdigit() else names.index(text) + least
        if not least <= number <= most:
            raise ValueError(f"{text} is no {what}: it goes from {least} to {most}")
        numbers.append(number)
    if found["first"] in "*?" and found["last"]:
        raise ValueError(f"{part!r} is no {what}: `*` has no end")
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise ValueError(f"{part!r} is no {what}: it ends before it begins")
    if found["step"] is not None and int(found["step"]) == 0:
        raise ValueError(f"{part!r} is no {what}: a step of 0 leads nowhere")


Schedule = Annotated[str, Field(max_length=120), AfterValidator(_schedule)]
"""A schedule: five fields of cron, such as `30 2 * * 1-5` for half past two from Monday to Friday, or `@daily`."""

_FIRST_DAY: Final = date(2024, 1, 1)
_DAYS_SEEN: Final = 8 * 366
"""Days that are gone through: two leap years are among them."""


@lru_cache
def longest_gap(schedule: Schedule) -> timedelta:
    """The longest time between two moments at which a schedule is due, in a time zone without summer time.

    At least eight years for one that is due less than twice in eight.
    """
    minutes, hours, days, months, weekdays = fields = _MACROS.get(schedule, schedule).lower().split()
    dues = sorted(hour * 60 + minute for hour in _numbers(hours, 1) for minute in _numbers(minutes, 0))
    in_month, in_year, in_week = _numbers(days, 2), _numbers(months, 3), _numbers(weekdays, 4)
    # With both days said, either of them will do (robfig/cron, `dayMatches`).
    either = not any(_is_any(field) for field in (fields[2], fields[4]))

    def is_due(day: date) -> bool:
        said = day.day in in_month, day.isoweekday() % 7 in in_week
        return day.month in in_year and (any(said) if either else all(said))

    seen = (_FIRST_DAY + timedelta(number) for number in range(_DAYS_SEEN))
    apart = max((after - before for before, after in pairwise(filter(is_due, seen))), default=timedelta(_DAYS_SEEN))
    overnight = apart + timedelta(minutes=dues[0] - dues[-1])
    return max([overnight, *(timedelta(minutes=after - before) for before, after in pairwise(dues))])


def _is_any(field: str) -> bool:
    """Whether a field says nothing: a `*` with a step says something."""
    return any(part.removesuffix("/1") in ("*", "?") for part in field.split(","))


def _numbers(field: str, index: int) -> set[int]:
    """The numbers that a field stands for, one that is valid."""
    return {number for part in field.split(",") for number in _part(part, index)}


def _part(part: str, index: int) -> Iterator[int]:
    _, least, most, names = _FIELDS[index]
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    if first in ("*", "?"):
        return iter(range(least, most + 1, int(step or 1)))
    begin, *end = (names.index(text) + least if text in names else int(text) for text in (first, last) if text)
    # `10/20` goes on to the end, as in `10-59/20`.
    return iter(range(begin, (end[0] if end else most if step else begin) + 1, int(step or 1)))


TimeZone = Annotated[str, Field(pattern=r"^(UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z0-9_+-]*)+)$", max_length=64)]
"""A time zone by its name in the IANA database, such as `Europe/Berlin`. The API server asks its own copy."""
