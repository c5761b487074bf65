"""The comparison of a window of requests with the training data, and what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mlinfra.serving.drift import profile
from mlinfra.serving.drift.fairness import Difference, Fairness
from mlinfra.serving.drift.features import Feature, Watch
from mlinfra.serving.drift.places import place_of
from mlinfra.serving.drift.profile import Profile
from mlinfra.serving.drift.request_log import Counts, records
from mlinfra.serving.drift.rows import rows_of
from mlinfra.serving.drift.settings import FairnessSettings, Settings

_MOST_UNKNOWN: Final = 1_000
"""Features without a profile that are counted by name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a comparison found.

    `rows` is how many rows were compared. `other_profile` counts records that belong to another profile, such as those
    that an earlier version of the model answered; `unreadable` those whose inputs have no named features. `unknown` are
    features of the requests that the profile does not have, `skipped` features of the profile that nothing can be
    compared with. `age_seconds` is how old the newest record is; of none, the length of the window.
    """

    start: datetime
    end: datetime
    rows: int
    min_rows: int
    features: tuple[Feature, ...]
    fairness: tuple[Difference, ...]
    counts: Counts
    age_seconds: float
    other_profile: int = 0
    unreadable: int = 0
    unknown: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def enough(self) -> bool:
        """Whether there were enough rows to say something."""
        return self.rows >= self.min_rows

    def drifted(self, threshold: float) -> list[str]:
        """The features in which a test is above the threshold."""
        return [
            feature.name
            for feature in self.features
            if any(distance.value > threshold for distance in (feature.distances or {}).values())
        ]

    def as_json(self, *, values: bool = True) -> dict[str, Any]:
        """The result as plain data, for the log; without `values` it names no category and no group."""
        counted = asdict(self.counts) | {"newest": self.counts.newest.isoformat() if self.counts.newest else None}
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "rows": self.rows,
            "enough": self.enough,
            "age_seconds": round(self.age_seconds),
            "log": {**counted, "other_profile": self.other_profile, "unreadable": self.unreadable},
            "unknown_features": list(self.unknown),
            "skipped_features": list(self.skipped),
            "features": [feature.as_json(values=values) for feature in self.features],
            "fairness": [difference.as_json(values=values) for difference in self.fairness],
        }


@dataclass
class Comparison:
    """Takes up records, in memory that grows with the features and not with the records."""

    profile: Profile
    min_rows: int = 500
    max_rows: int = 200_000
    new_category_share: float = 0.001
    groups: FairnessSettings = field(default_factory=FairnessSettings)
    rows: int = 0
    other_profile: int = 0
    unreadable: int = 0
    _unknown: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._watches = {name: Watch(name, trained) for name, trained in self.profile.features.items()}
        self._fairness = Fairness(self.groups)

    def add(self, record: Mapping[str, Any]) -> None:
        """Look at one more record; one that names another profile than this one is not compared."""
        named = record.get("profile")
        if named and self.profile.digest and str(named).removeprefix("sha256:") != self.profile.digest:
            self.other_profile += 1
            return
        found = rows_of(record)
        if found is None:
            self.unreadable += 1
            return
        for inputs, prediction in found:
            self.rows += 1
            for name, watch in self._watches.items():
                watch.add(inputs.get(name))
            for name in inputs.keys() - self._watches.keys():
                if name in self._unknown or len(self._unknown) < _MOST_UNKNOWN:
                    self._unknown[str(name)] += 1
            self._fairness.add(inputs, prediction)

    def result(self, start: datetime, end: datetime, counts: Counts) -> Result:
        """What has been found so far."""
        newest = counts.newest or start
        return Result(
            start=start,
            end=end,
            rows=self.rows,
            min_rows=self.min_rows,
            features=tuple(
                watch.result(self.profile.rows, self.min_rows, self.new_category_share)
                for watch in self._watches.values()
            ),
            fairness=tuple(self._fairness.differences()),
            counts=counts,
            age_seconds=(end - newest).total_seconds(),
            other_profile=self.other_profile,
            unreadable=self.unreadable,
            unknown=tuple(sorted(self._unknown)),
            skipped=self.profile.skipped,
        )


def compare(settings: Settings, now: datetime | None = None) -> Result:
    """Read profile and requests, and compare them; `now` is the end of the window.

    Raises `DriftError` where one of them cannot be read.
    """
    end = now or datetime.now(UTC)
    start = end - timedelta(hours=settings.hours)
    comparison = Comparison(
        profile.load(settings.profile),
        min_rows=settings.min_rows,
        max_rows=settings.max_rows,
        new_category_share=settings.new_category_share,
        groups=settings.fairness or FairnessSettings(),
    )
    counts = Counts()
    for _, record in records(place_of(settings.requests), start, end, settings.max_rows, counts):
        comparison.add(record)
        if comparison.rows >= settings.max_rows:
            break  # a record can have many rows
    return comparison.result(start, end, counts)
