"""Service level objectives of an endpoint, and the alerts that follow from them.

An objective leaves a budget of bad requests for its window: 0.1 % with an availability of 99.9 %. An alert goes out
when the budget is used up so fast that it matters, by the last minutes and by a longer time, so that it is neither
late nor stale. Source: Google, "The Site Reliability Workbook", chapter 5, "Alerting on SLOs", the sixth approach.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from pydantic import Field, model_validator

from mlinfra.components.endpoint_runtimes import CONTRACT, Meters
from mlinfra.components.quantities import counted
from mlinfra.components.signals import Record, Severity, Signal
from mlinfra.components.values import Structure

RATIO: Final = "component:slo_errors:ratio_rate"
"""The beginning of the recorded series; the length of the window stands behind."""


@dataclass(frozen=True, slots=True)
class _Burn:
    """Two windows, and the share of the whole budget which, used up within the longer one, is worth an alert."""

    long: str
    hours: int
    short: str
    share: float
    severity: Severity


_BURNS: Final = (
    _Burn("1h", 1, "5m", 0.02, "critical"),
    _Burn("6h", 6, "30m", 0.05, "critical"),
    _Burn("1d", 24, "2h", 0.10, "warning"),
    _Burn("3d", 72, "6h", 0.10, "warning"),
)
_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_LOOKBACK_DAYS: Final = 3
_HISTOGRAM: Final = "http_request_duration_seconds"


class LatencyGoal(Structure):
    """How many requests are to be answered within which time."""

    seconds: float = Field(gt=0, le=60)
    """The time. It has to be the bound of a bucket of the server's histogram `http_request_duration_seconds`, such as
    0.1, 0.25, 0.5 or 1: Prometheus counts by buckets. An alert says so where it is none."""

    percent: float = Field(default=99.0, ge=90, lt=100)
    """Share of the requests, in percent."""


class Slo(Structure):
    """What users of an endpoint may count on: `Slo(availability=99.9, latency=LatencyGoal(seconds=0.5, percent=99))`.

    An alert goes out when the budget of bad requests goes too fast. With a window of 30 days these are 14.4 times as
    fast as it would last, over 1 hour and still over 5 minutes; 6 times, 6 hours and 30 minutes; both wake people. 3
    times, 1 day and 2 hours, and as fast, 3 days and 6 hours, are warnings. What cannot be, since not even all requests
    failing is that fast, has no alert.
    """

    availability: float | None = Field(default=None, ge=90, lt=100)
    """Share of requests that are answered without an error of the server (status 5xx), in percent: 99.9."""

    latency: LatencyGoal | None = None
    """How many requests are answered within which time."""

    window_days: int = Field(default=30, ge=7, le=90)
    """Days over which the objectives hold."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.availability is None and self.latency is None:
            raise ValueError("it names no objective; give `availability`, in percent, or `latency`")
        return self


def records(slo: Slo, identity: str, meters: Meters | None) -> tuple[Record, ...]:
    """The share of bad requests over each window, for each objective; `meters` say what is a request and an error."""
    return tuple(
        Record(f"{RATIO}{window}", bad, {"slo": name})
        for window in _WINDOWS
        for name, bad in _bad(slo, identity, meters or CONTRACT, window)
    )


def signals(slo: Slo, identity: str, name: str) -> tuple[Signal, ...]:
    """An alert for each objective and pair of windows; and one where latency cannot be told."""
    found = []
    for objective, percent, meaning in _objectives(slo):
        budget = round((100 - percent) / 100, 6)
        for burn in _BURNS:
            factor = round(burn.share * slo.window_days * 24 / burn.hours, 3)
            most = round(factor * budget, 9)
            if most < 1:
                series = f'{{component="{identity}",slo="{objective}"}}'
                over = " and ".join(f"{RATIO}{window}{series} > {most:.9g}" for window in (burn.long, burn.short))
                summary = (
                    f"Endpoint {name} uses up its budget of {meaning} {factor:g} times as fast as it would last "
                    f"{counted(slo.window_days, 'days')} ({100 - percent:.4g} % may be so)"
                )
                alert = f"{objective.capitalize()}Burn{burn.long}"
                found.append(Signal(alert, burn.severity, over, 2, summary, lookback_days=_LOOKBACK_DAYS))
    if slo.latency:
        found.append(_without_bucket(slo.latency, identity, name))
    return tuple(found)


def _objectives(slo: Slo) -> Iterator[tuple[str, float, str]]:
    """Name, percent of good requests, and what the bad ones are."""
    if slo.availability is not None:
        yield "availability", slo.availability, "errors"
    if slo.latency is not None:
        yield "latency", slo.latency.percent, "slow answers"


def _bad(slo: Slo, identity: str, meters: Meters, window: str) -> Iterator[tuple[str, str]]:
    """The share of bad requests over a window, by the objective's name."""
    me = f'component="{identity}"'
    if slo.availability is not None:
        failed, every = meters.failed_of(me, window), meters.requests_of(me, window)
        # No error so far is no series, and still a share of 0.
        yield "availability", f"({failed} or 0 * {every}) / {every}"
    if slo.latency is not None:
        good = f"sum(rate({_HISTOGRAM}_bucket{{{me},{_bound(slo.latency.seconds)}}}[{window}]))"
        yield "latency", f"1 - {good} / sum(rate({_HISTOGRAM}_count{{{me}}}[{window}]))"


def _bound(seconds: float) -> str:
    """The matcher of a bucket: libraries write 1 and 1.0, and Prometheus from 3.0 on always 1.0."""
    return f'le=~"{int(seconds)}([.]0)?"' if seconds.is_integer() else f'le="{seconds:g}"'


def _without_bucket(goal: LatencyGoal, identity: str, name: str) -> Signal:
    count = f'{_HISTOGRAM}_count{{component="{identity}"}}'
    bucket = f'{_HISTOGRAM}_bucket{{component="{identity}",{_bound(goal.seconds)}}}'
    return Signal(
        "LatencyUnknown",
        "warning",
        f"count({count}) unless count({bucket})",
        30,
        f"No bucket of endpoint {name}'s histogram ends at {goal.seconds:g} s, so that nobody knows its latency",
    )
