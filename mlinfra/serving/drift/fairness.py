"""Whether groups of people get favourable predictions alike: the demographic parity difference, by Fairlearn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mlinfra.serving.drift.settings import FairnessSettings
from mlinfra.serving.profiles import category

MOST_GROUPS: Final = 100
"""Groups of one feature; one with more values, such as an age in years, tells no groups."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far apart the best and the worst treated group of a feature are, as shares of favourable predictions.

    `value` is None where there is nothing to compare, and `reason` says why. `rates` has each group's share; `small`
    the groups that were left out since they are too small for their share to mean something.
    """

    group: str
    value: float | None
    rates: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    small: tuple[str, ...] = ()
    reason: str = ""

    def as_json(self, *, values: bool = True) -> dict[str, Any]:
        """The difference as plain data, numbers rounded; without `values` it does not name the groups."""
        value = None if self.value is None else round(self.value, 4)
        found = {"group": self.group, "value": value, "reason": self.reason}
        if not values:
            return found
        rates = {name: round(rate, 4) for name, rate in self.rates.items()}
        return {**found, "rates": rates, "rows": dict(self.rows), "small": list(self.small)}


class Fairness:
    """Counts favourable predictions by group; labels are not needed, and not had."""

    def __init__(self, settings: FairnessSettings) -> None:
        self._settings = settings
        self._counts: dict[str, dict[str, list[int]]] = {name: {} for name in settings.groups}
        self._crowded: set[str] = set()

    def add(self, inputs: Mapping[str, Any], prediction: Any) -> None:
        """Look at one more prediction; one that can be neither favourable nor unfavourable does not count."""
        favourable = self._favourable(prediction)
        if favourable is None:
            return
        for name, groups in self._counts.items():
            value = inputs.get(name)
            if value is None:
                continue
            text = category(value)
            if text not in groups and len(groups) >= MOST_GROUPS:
                self._crowded.add(name)
                continue
            groups.setdefault(text, [0, 0])[int(favourable)] += 1

    def _favourable(self, prediction: Any) -> bool | None:
        if self._settings.prediction_field and isinstance(prediction, Mapping):
            prediction = prediction.get(self._settings.prediction_field)
        if isinstance(prediction, list) and len(prediction) == 1:
            (prediction,) = prediction
        if isinstance(prediction, str):
            labels = self._settings.favourable_labels
            return prediction in labels if labels else None
        if isinstance(prediction, int | float) and not math.isnan(prediction):
            return prediction >= self._settings.favourable_from
        return None

    def differences(self) -> list[Difference]:
        """The difference of each declared feature."""
        return [self._difference(name, groups) for name, groups in self._counts.items()]

    def _difference(self, name: str, groups: Mapping[str, list[int]]) -> Difference:
        if name in self._crowded:
            return Difference(name, None, reason=f"it has more than {MOST_GROUPS} values")
        rows = {group: sum(counts) for group, counts in sorted(groups.items())}
        large = {group: groups[group] for group, count in rows.items() if count >= self._settings.min_rows}
        small = tuple(group for group in rows if group not in large)
        rates = {group: counts[1] / sum(counts) for group, counts in large.items()}
        if len(large) < 2:
            reason = f"fewer than two groups have {self._settings.min_rows} predictions"
            return Difference(name, None, rates, rows, small, reason)
        return Difference(name, _parity_difference(large), rates, rows, small)


def _parity_difference(groups: Mapping[str, list[int]]) -> float:
    """Fairlearn's `demographic_parity_difference`, of counts: a row for each group and outcome, weighed."""
    from fairlearn.metrics import demographic_parity_difference

    rows = [(group, outcome, counts[outcome]) for group, counts in groups.items() for outcome in (0, 1)]
    names, outcomes, weights = zip(*rows, strict=True)
    # What was true does not enter into demographic parity; the function takes it for the sake of its form.
    return float(
        demographic_parity_difference(outcomes, outcomes, sensitive_features=list(names), sample_weight=list(weights))
    )
