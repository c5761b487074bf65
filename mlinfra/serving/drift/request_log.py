"""The records of a request log within a window of time, object by object.

The log: `date=YYYY-MM-DD/<hour>-<pod>-<n>.jsonl.gz`, a record a line. What is not as it should be is counted, and read
no further: it does not keep the rest from being compared.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final

from mlinfra.serving.drift.places import Place
from mlinfra.serving.drift.problems import DriftError

MOST_OBJECTS: Final = 100_000
"""Names of objects that are kept; of more, as many are chosen at random."""

LONGEST_LINE: Final = 4 * 1024 * 1024
"""Bytes of a record; a longer line is malformed."""

_HOUR: Final = re.compile(r"(\d{1,2})-")


@dataclass
class Counts:
    """How reading went. `lines` is those that were records of the window, malformed ones apart."""

    objects: int = 0
    unread: int = 0
    """Objects that are damaged or went away, from where they could not be read on."""
    objects_left: int = 0
    """Objects that were not looked at, because enough had been read."""
    lines: int = 0
    malformed: int = 0
    newest: datetime | None = None


def records(
    place: Place, start: datetime, end: datetime, most: int, counts: Counts
) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
    """The records from `start` to `end` with their times, in an order by chance; `most` records at most.

    The order of objects is by chance, so that where there are more records, those that are read are from all of the
    window. The same window gives the same order.
    """
    chance = random.Random(start.isoformat())  # noqa: S311 — a sample, no secret
    names = _names(place, start, end, chance)
    for number, name in enumerate(names, start=1):
        if counts.lines >= most:
            return
        counts.objects, counts.objects_left = number, len(names) - number
        try:
            with place.opened(name) as file:
                yield from _of_object(file, start, end, most, counts)
        except (OSError, EOFError, zlib.error, DriftError):
            counts.unread += 1  # all that could be read of it counts
    if names and counts.unread == len(names) and not counts.lines:
        raise DriftError(f"none of {counts.unread} objects of the request log in {place} could be read")


def _names(place: Place, start: datetime, end: datetime, chance: random.Random) -> list[str]:
    """The objects that can hold records of the window, in an order by chance.

    Their hour is when they were begun or written: a record is in an object of its own hour, or of one beside it.
    """
    found: list[str] = []
    seen = 0
    first, last = start - timedelta(hours=1), end + timedelta(hours=1)
    for days in range((last.date() - first.date()).days + 1):
        date = first.date() + timedelta(days=days)
        for name in place.names(f"date={date.isoformat()}"):
            if not _may_hold(name, date, first, last):
                continue
            seen += 1
            if len(found) < MOST_OBJECTS:
                found.append(name)
            elif (index := chance.randrange(seen)) < MOST_OBJECTS:
                found[index] = name
    chance.shuffle(found)
    return found


def _may_hold(name: str, date: Any, first: datetime, last: datetime) -> bool:
    hour = _HOUR.match(name.rpartition("/")[2])
    if hour is None or int(hour[1]) > 23:
        return True  # not named as we know it: its records say when they are from
    begun = datetime(date.year, date.month, date.day, int(hour[1]), tzinfo=UTC)
    return first - timedelta(hours=1) < begun <= last


def _of_object(
    file: IO[bytes], start: datetime, end: datetime, most: int, counts: Counts
) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
    with gzip.GzipFile(fileobj=file) as unpacked:
        while counts.lines < most and (line := unpacked.readline(LONGEST_LINE + 1)):
            if len(line) > LONGEST_LINE:
                counts.malformed += 1
                while (rest := unpacked.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                continue
            if not line.strip():
                continue
            record = _record(line)
            if record is None:
                counts.malformed += 1
            elif start <= record[0] < end:
                counts.lines += 1
                counts.newest = max(counts.newest or record[0], record[0])
                yield record


def _record(line: bytes) -> tuple[datetime, Mapping[str, Any]] | None:
    try:
        found = json.loads(line)
        return (_time(found["time"]), found) if isinstance(found, dict) else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, OSError):
        return None


def _time(value: Any) -> datetime:
    """A time as ISO 8601, or in seconds since 1970; without a zone it is UTC."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    found = datetime.fromisoformat(value)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
