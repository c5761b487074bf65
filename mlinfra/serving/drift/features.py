"""What is seen of one feature, and how it differs from training."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from mlinfra.serving.drift import statistics
from mlinfra.serving.drift.profile import Trained
from mlinfra.serving.drift.sketches import Frequent, Sample
from mlinfra.serving.drift.statistics import Distance
from mlinfra.serving.profiles import category

_BARS: Final = 50
"""Categories that have a bar of their own in PSI, the most frequent in training; the rest share one."""

_MOST_NEW: Final = 20
"""New categories that are told by name."""

_LONGEST: Final = 200
"""Characters by which a new category is known."""


@dataclass(frozen=True, slots=True)
class Feature:
    """How a feature of the requests differs from training.

    `rows` is how many rows had a value; `missing` and `trained_missing` are shares. `distances` has the tests by their
    names, `psi` and, of numbers, `ks`; it is empty where there were too few rows. `new` has the categories that
    training did not have, the most frequent first, 20 at most; `new_count` how many there are.
    """

    name: str
    kind: str
    rows: int
    missing: float
    trained_missing: float
    invalid: int = 0
    distances: dict[str, Distance] | None = None
    new: tuple[str, ...] = ()
    new_count: int = 0

    def as_json(self, *, values: bool = True) -> dict[str, Any]:
        """The feature as plain data, numbers rounded; without `values` it names no category."""
        found = {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}
        tests = {
            test: {"value": round(distance.value, 4), "confidence": round(distance.confidence, 4)}
            for test, distance in (self.distances or {}).items()
        }
        return {**found, "new": list(self.new) if values else [], "distances": tests}


class Watch:
    """Takes up the values of one feature, in bounded memory."""

    def __init__(self, name: str, trained: Trained) -> None:
        self._name, self._trained = name, trained
        self._rows = self._missing = self._invalid = 0
        self._numbers = Sample()
        self._known: dict[str, int] = {}
        self._strange = Frequent()

    def add(self, value: Any) -> None:
        """Look at the value of one more row; None is missing, as is a number that is none (NaN)."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            self._missing += 1
        elif self._trained.is_number:
            self._add_number(value)
        else:
            self._add_category(value)

    def _add_number(self, value: Any) -> None:
        """What is no number is invalid, and counts as missing: a model cannot have used it as what it was trained on.

        A text that holds a number is one: clients send such.
        """
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            self._rows += 1
            self._numbers.add(number)
        else:
            self._missing += 1
            self._invalid += 1

    def _add_category(self, value: Any) -> None:
        self._rows += 1
        text = category(value)
        if text in self._trained.counts:
            self._known[text] = self._known.get(text, 0) + 1
        else:
            self._strange.add(text[:_LONGEST])

    def result(self, trained_rows: int, min_rows: int, new_share: float) -> Feature:
        """How it differs; `trained_rows` is the size of the training data."""
        total = self._rows + self._missing
        new = sorted(
            ((count, text) for text, count in self._strange.counts.items() if count >= max(2, new_share * self._rows)),
            key=lambda item: (-item[0], item[1]),
        )
        enough = self._rows >= min_rows
        return Feature(
            name=self._name,
            kind="number" if self._trained.is_number else "category",
            rows=self._rows,
            missing=self._missing / total if total else 0.0,
            trained_missing=self._trained.missing,
            invalid=self._invalid,
            distances=self._distances(max(1, round(trained_rows * (1 - self._trained.missing)))) if enough else None,
            new=tuple(text for _, text in new[:_MOST_NEW]) if enough else (),
            new_count=len(new) if enough else 0,
        )

    def _distances(self, trained_rows: int) -> dict[str, Distance]:
        if self._trained.is_number:
            psi, ks = statistics.of_numbers(self._trained.quantiles, trained_rows, self._numbers.values)
            return {"psi": psi, "ks": ks}
        ordered = sorted(self._trained.counts.items(), key=lambda item: (-item[1], item[0]))
        bars = [text for text, _ in ordered[:_BARS]]
        trained = [float(count) for _, count in ordered[:_BARS]] + [float(sum(count for _, count in ordered[_BARS:]))]
        seen = [float(self._known.get(text, 0)) for text in bars]
        seen.append(self._rows - sum(seen))  # the rest, and what is new
        if not trained[-1] and not seen[-1]:
            trained, seen = trained[:-1], seen[:-1]
        return {"psi": statistics.psi(trained, seen)}
