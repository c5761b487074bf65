"""Series for which each alert fires, and such for which it must not.

`$c` stands for the component, and `$e` for the one whose series it reads: a monitor of drift looks at an endpoint's.

Steps are minutes. `extra` are labels that the alert has from its series, beside those of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    series: dict[str, str]
    at: str
    fires: bool
    extra: dict[str, str] = field(default_factory=dict)
    step: str = "1m"


_UP = 'up{component="$c",pod="a"}'
_REQUESTS = 'http_requests_total{component="$c",pod="a",status="%s"}'
_BUCKETS = 'http_request_duration_seconds_bucket{component="$c",pod="a",le="%s"}'
_COUNT = 'http_request_duration_seconds_count{component="$c",pod="a"}'
_SCALER = 'kube_horizontalpodautoscaler_%s{namespace="ns",horizontalpodautoscaler="$c"}'
_SCALED = {"namespace": "ns", "horizontalpodautoscaler": "$c"}
_POD = 'kube_pod_labels{namespace="ns",pod="%s",label_mlinfra_dev_component="$c"}'
_WAITING = 'kube_pod_status_unschedulable{namespace="ns",pod="%s"}'
_RESTARTS = 'kube_pod_container_status_restarts_total{namespace="ns",pod="%s",container="serve"}'
_GPU = 'DCGM_FI_DEV_GPU_UTIL{namespace="ns",pod="%s",gpu="0"}'
_FAILED = 'kube_job_failed{namespace="ns",job_name="%s",condition="true"}'
_JOB = 'kube_job_labels{namespace="ns",job_name="%s",label_mlinfra_dev_component="$c"}'
_ACTIVE = 'kube_job_status_active{namespace="ns",job_name="%s"}'
_DONE = 'kube_job_status_completion_time{namespace="ns",job_name="%s"}'
_RUNNING = {'kube_job_status_start_time{namespace="ns",job_name="r-1"}': "0x1500", _JOB % "r-1": "1x1500"}
_QUOTA = 'kube_resourcequota{namespace="ns",resourcequota="$c",resource="pods",type="%s"}'
_SOURCE = 'up{job="kube-state-metrics"}'
_PUSHED = 'push_time_seconds{component="$e",job="$c"}'
_AGE = '%s{component="$e",job="$c",feature="age"}'
_PSI, _KS = (f'data_drift{{component="$e",job="$c",feature="age",test="{test}"}}' for test in ("psi", "ks"))
_TRAINED = "data_missing_ratio_trained"
_UNFAIR = 'fairness_difference{component="$e",job="$c",group="country"}'


def _scaler(now: int, most: int, least: int) -> dict[str, str]:
    counts = {"status_current_replicas": now, "spec_max_replicas": most, "spec_min_replicas": least}
    return {_SCALER % what: f"{count}x60" for what, count in counts.items()}


def _quota(used: int, hard: int) -> dict[str, str]:
    return {_QUOTA % "used": f"{used}x60", _QUOTA % "hard": f"{hard}x60"}


def _answers(good: int, bad: int, steps: int = 60, *, pad: str = "") -> dict[str, str]:
    return {_REQUESTS % "200": f"{pad}0+{good}x{steps}", _REQUESTS % "503": f"{pad}0+{bad}x{steps}"}


def _times(fast: int, slow: int, steps: int = 60) -> dict[str, str]:
    buckets = {"0.25": 0, "0.5": fast, "1": fast + slow, "+Inf": fast + slow}
    counted = {_BUCKETS % bound: f"0+{count}x{steps}" for bound, count in buckets.items()}
    return {**counted, _COUNT: f"0+{fast + slow}x{steps}"}


def _burn(minutes: int, bad: tuple[int, int], fine: tuple[int, int]) -> list[Case]:
    """Availability over `minutes`: too many errors, few enough, and too many that are over."""
    hours = f"{minutes}m"
    quiet = 60 * 8  # longer than the longest of the short windows
    late, ended = f"{minutes + quiet}m", f"0+{bad[1]}x{minutes} {bad[1] * minutes}x{quiet}"
    over = {_REQUESTS % "200": f"0+{bad[0]}x{minutes + quiet}", _REQUESTS % "503": ended}
    return [
        Case(_answers(*bad, minutes), hours, True, {"slo": "availability"}),
        Case(_answers(*fine, minutes), hours, False),
        Case(over, late, False),
        Case({_REQUESTS % "200": f"0+100x{minutes}"}, hours, False),
    ]


def _late(minutes: int, slow: int, fine: int) -> list[Case]:
    """Of 1000 requests, how many are too slow, and how many may be."""
    return [
        Case(_times(1000 - slow, slow, minutes), f"{minutes}m", True, {"slo": "latency"}),
        Case(_times(1000 - fine, fine, minutes), f"{minutes}m", False),
    ]


CASES: dict[str, list[Case]] = {
    "Down": [
        Case({_UP: "0x60"}, "10m", True),
        Case({_UP: "1x60"}, "10m", False),
        Case({_UP: "0x60", 'up{component="$c",pod="b"}': "1x60"}, "10m", False),
        Case({'up{component="other"}': "1x60"}, "10m", True),
    ],
    "Errors": [
        Case({_UP: "1x60", **_answers(90, 10)}, "30m", True),
        Case({_UP: "1x60", **_answers(99, 1)}, "30m", False),
        Case({_UP: "1x60", 'http_requests_total{component="other",status="503"}': "0+9x60"}, "30m", False),
    ],
    "Slow": [Case(_times(80, 20), "30m", True), Case(_times(99, 1), "30m", False)],
    "Quiet": [Case({_REQUESTS % "200": "0+2x90"}, "60m", True), Case({_REQUESTS % "200": "0+20x90"}, "60m", False)],
    "LogIncomplete": [
        Case({'request_log_dropped_total{component="$c",pod="a"}': "0+1x60"}, "30m", True),
        Case({'request_log_dropped_total{component="$c",pod="a"}': "3x60"}, "30m", False),
    ],
    "AtMaximum": [
        Case(_scaler(3, 3, 1), "30m", True, _SCALED),
        Case(_scaler(2, 3, 1), "30m", False),
        Case(_scaler(3, 3, 3), "30m", False),
    ],
    "NoMachine": [
        Case({_WAITING % "a": "1x60", _POD % "a": "1x60"}, "30m", True),
        Case({_WAITING % "b": "1x60", _POD % "a": "1x60"}, "30m", False),
    ],
    "Restarting": [
        Case({_RESTARTS % "a": "0+1x60", _POD % "a": "1x60"}, "30m", True),
        Case({_RESTARTS % "a": "0x20 1x40", _POD % "a": "1x60"}, "30m", False),
        Case({_RESTARTS % "b": "0+1x60", _POD % "a": "1x60"}, "30m", False),
    ],
    "GpusFull": [
        Case({_GPU % "a": "99x60", _POD % "a": "1x60"}, "30m", True),
        Case({_GPU % "a": "60x60", _POD % "a": "1x60", _GPU % "b": "99x60"}, "30m", False),
    ],
    "GpusIdle": [
        Case({_GPU % "a": "1x120", _POD % "a": "1x120"}, "100m", True),
        Case({_GPU % "a": "80x120", _POD % "a": "1x120"}, "100m", False),
        Case({_GPU % "b": "1x120", _POD % "a": "1x120"}, "100m", False),
    ],
    "Inaccurate": [
        Case({'model_accuracy{component="$c",model_version="3"}': "0.97x10 0.5x50"}, "30m", True),
        Case({'model_accuracy{component="$c",model_version="3"}': "0.97x60"}, "30m", False),
        Case({_UP: "1x60"}, "30m", False),  # no labels have arrived yet
    ],
    "ModelOld": [
        Case({'model_info{component="$c",model_version="3"}': "1x3200"}, "3100m", True),
        Case({'model_info{component="$c",model_version="3"}': "1x2000"}, "1900m", False),
        Case(
            {
                'model_info{component="$c",model_version="3"}': "1x2000",
                'model_info{component="$c",model_version="4"}': "_x2000 1x1200",
            },
            "3100m",
            False,
        ),
    ],
    "Failed": [
        Case({_FAILED % "r-1": "0x5 1x55", _JOB % "r-1": "1x60"}, "10m", True),
        Case({_FAILED % "r-1": "0x60", _JOB % "r-1": "1x60"}, "10m", False),
        Case({_FAILED % "other": "0x5 1x55", _JOB % "r-1": "1x60"}, "10m", False),
        Case({_FAILED % "r-1": "0x5 1x120", _JOB % "r-1": "1x120"}, "80m", False),  # it is known by then
        Case(
            {
                _FAILED % "r-1": "1x120",
                _JOB % "r-1": "1x120",
                _FAILED % "r-2": "_x60 0x5 1x60",
                _JOB % "r-2": "_x60 1x60",
            },
            "80m",
            True,
        ),
    ],
    # Jobs of 10 hours, and of the usual 24.
    "NearDeadline": [
        Case({**_RUNNING, _ACTIVE % "r-1": "1x1500"}, "22h10m", True),
        Case({**_RUNNING, _ACTIVE % "r-1": "1x1500"}, "8h50m", False),
        Case({**_RUNNING, _ACTIVE % "r-1": "1x500 0x1000"}, "22h10m", False),
    ],
    "Stale": [
        Case({_DONE % "r-1": "0x3200", _JOB % "r-1": "1x3200"}, "3100m", True),
        Case({_DONE % "other": "0x200", _JOB % "r-1": "1x200"}, "150m", True),
        Case({_UP: "1x120"}, "100m", True),  # there has been none at all
        Case({_DONE % "r-1": "0x200", _JOB % "r-1": "1x200"}, "150m", False),
    ],
    "Drifted": [
        Case({_PSI: "0.3x60", _KS: "0.1x60"}, "30m", True, {"feature": "age"}),
        Case({_PSI: "0.1x60", _KS: "0.3x60"}, "30m", True, {"feature": "age"}),
        Case({_PSI: "0.2x60", _KS: "0.1x60"}, "30m", False),
        Case({_PSI: "0.3x2 0.1x60"}, "30m", False),  # the next comparison is better
        Case({'data_drift{component="other",job="$c",feature="age",test="psi"}': "9x60"}, "30m", False),
    ],
    "Missing": [
        Case({_AGE % "data_missing_ratio": "0.3x60", _AGE % _TRAINED: "0.1x60"}, "30m", True, {"feature": "age"}),
        Case({_AGE % "data_missing_ratio": "0.3x60", _AGE % _TRAINED: "0.3x60"}, "30m", False),
    ],
    "NewCategories": [
        Case({_AGE % "data_new_categories": "2x60"}, "30m", True, {"feature": "age"}),
        Case({_AGE % "data_new_categories": "0x60"}, "30m", False),
    ],
    "Unfair": [
        Case({_UNFAIR: "0.2x60"}, "30m", True, {"group": "country"}),
        Case({_UNFAIR: "0.05x60"}, "30m", False),
    ],
    # The usual time is a day: half of it by the last push, half of it by waiting.
    "NotCompared": [
        Case({_PUSHED: "0x2000"}, "25h", True),
        Case({_PUSHED: "0x600 36000x1400"}, "25h", False),  # pushed again after ten hours
        Case({_UP: "1x2000"}, "13h", True),  # never pushed
        Case({_UP: "1x2000"}, "11h", False),  # the first comparison may still come
    ],
    "QuotaNearlyFull": [
        Case(_quota(95, 100), "30m", True, {"namespace": "ns", "resourcequota": "$c", "resource": "pods"}),
        Case(_quota(50, 100), "30m", False),
        Case(_quota(0, 0), "30m", False),
    ],
    "PodsWaiting": [
        Case({_WAITING % "a": "1x120"}, "100m", True),
        Case({_WAITING % "a": "1x30"}, "100m", False),
    ],
    "SourceDown": [
        Case({_SOURCE: "0x60"}, "30m", True, {"job": "kube-state-metrics"}),
        Case({_SOURCE: "1x60", 'up{job="pods",component="a"}': "0x60"}, "30m", False),
    ],
    "RulesFailing": [
        Case({'prometheus_rule_evaluation_failures_total{rule_group="a"}': "0+1x60"}, "30m", True),
        Case({'prometheus_rule_evaluation_failures_total{rule_group="a"}': "5x60"}, "30m", False),
    ],
    "AlertsLost": [
        Case({"prometheus_notifications_dropped_total": "0+1x60"}, "30m", True),
        Case({"prometheus_notifications_dropped_total": "7x60"}, "30m", False),
    ],
    "Undelivered": [
        Case(
            {'alertmanager_notifications_failed_total{integration="slack",pod="a"}': "0+1x60"},
            "30m",
            True,
            {"integration": "slack"},
        ),
        Case({'alertmanager_notifications_failed_total{integration="slack",pod="a"}': "2x60"}, "30m", False),
    ],
    # 99.9 %, of which 14.4, 6, 3 and 1 times the budget over 1 h, 6 h, 1 d and 3 d; and 99 % within 0.5 s.
    "AvailabilityBurn1h": _burn(70, (980, 20), (990, 10)),
    "AvailabilityBurn6h": _burn(370, (990, 10), (995, 5)),
    "AvailabilityBurn1d": _burn(1450, (995, 5), (998, 2)),
    "AvailabilityBurn3d": _burn(4330, (9980, 20), (9995, 5)),
    "LatencyBurn1h": _late(70, 150, 140),
    "LatencyBurn6h": _late(370, 65, 55),
    "LatencyBurn1d": _late(1450, 35, 25),
    "LatencyBurn3d": _late(4330, 15, 5),
    "LatencyUnknown": [
        Case({_COUNT: "0+9x90", _BUCKETS % "0.3": "0+9x90"}, "60m", True),
        Case({_COUNT: "0+9x90", _BUCKETS % "0.5": "0+9x90"}, "60m", False),
        Case({_UP: "1x90"}, "60m", False),
    ],
}
"""By the signal's name, which the alert's name ends with."""
