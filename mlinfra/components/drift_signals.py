"""What `Monitoring` watches a `DriftMonitor` for: what its comparisons push, and whether there are any.

Its gauges have the label `component` of the endpoint, whose data it is, and `job` of the monitor. `push_time_seconds`
is the Pushgateway's own (Pushgateway, "Exposed metrics").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.signals import Signal

if TYPE_CHECKING:
    from mlinfra.components.drift_monitor import DriftMonitor

GAUGES: Final = (
    "data_age_seconds",
    "data_drift",
    "data_drift_confidence",
    "data_malformed_lines",
    "data_missing_ratio",
    "data_missing_ratio_trained",
    "data_new_categories",
    "data_rows",
    "fairness_difference",
)
"""What a comparison pushes."""

_MINUTES: Final = 5


def signals(monitor: DriftMonitor) -> tuple[Signal, ...]:
    """Drift, values that are missing, categories that are new, unfairness where it is asked for, no comparison."""
    me = f'{{component="{monitor.endpoint.identity}",job="{monitor.identity}"}}'
    named = f"of endpoint {monitor.endpoint.name}"
    found = [
        Signal(
            "Drifted",
            "warning",
            f"max by (feature) (data_drift{me}) > {monitor.threshold:g}",
            _MINUTES,
            f"Requests {named} differ from the training data: PSI or KS is above {monitor.threshold:g}",
        ),
        Signal(
            "Missing",
            "warning",
            f"max by (feature) (data_missing_ratio{me} - data_missing_ratio_trained{me}) > {_share(monitor)}",
            _MINUTES,
            f"Requests {named} lack values: {monitor.missing_percent:g} percentage points more than in training",
        ),
        Signal(
            "NewCategories",
            "warning",
            f"max by (feature) (data_new_categories{me}) > 0",
            _MINUTES,
            f"Requests {named} have categories that training did not have",
        ),
    ]
    if fairness := monitor.fairness:
        found.append(
            Signal(
                "Unfair",
                "warning",
                f"max by (group) (fairness_difference{me}) > {fairness.most:g}",
                _MINUTES,
                f"Favourable predictions {named} differ between groups by more than {fairness.most * 100:g} "
                "percentage points",
            )
        )
    return (*found, _not_compared(monitor, me))


def _share(monitor: DriftMonitor) -> str:
    return f"{monitor.missing_percent / 100:g}"


def _not_compared(monitor: DriftMonitor, me: str) -> Signal:
    """No comparison for the time that is given: half of it by the last push, half of it by waiting.

    The first half lets a comparison that comes a little late pass; and the second lets the first comparison come, after
    a stack came up or the Pushgateway, which keeps nothing, began anew.
    """
    half = monitor.stale_after * 1800
    pushed = f"push_time_seconds{me}"
    return Signal(
        "NotCompared",
        "warning",
        f"time() - max({pushed}) > {half} or absent(max({pushed}))",
        half // 60,
        f"Requests of endpoint {monitor.endpoint.name} have not been compared with the training data for "
        f"{monitor.stale_after} hours",
    )
