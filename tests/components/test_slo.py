from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_runtimes import CONTRACT
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.slo import LatencyGoal, Slo, records, signals
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Receiver, Route
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
ROUTE = Route(critical=Receiver("pagerduty:recsys"), warning=Receiver("slack:#recsys"))
WORKBOOK = {
    "1h": ("5m", 14.4, "critical"),
    "6h": ("30m", 6, "critical"),
    "1d": ("2h", 3, "warning"),
    "3d": ("6h", 1, "warning"),
}


def test_the_four_pairs_of_windows() -> None:
    found = {signal.name: signal for signal in signals(Slo(availability=99.9), "api", "api")}
    assert set(found) == {f"AvailabilityBurn{long}" for long in WORKBOOK}
    for long, (short, factor, severity) in WORKBOOK.items():
        signal, series = found[f"AvailabilityBurn{long}"], '{component="api",slo="availability"}'
        limit = f"{factor / 1000:g}"
        assert signal.expression == (
            f"component:slo_errors:ratio_rate{long}{series} > {limit} and "
            f"component:slo_errors:ratio_rate{short}{series} > {limit}"
        )
        assert (signal.severity, signal.lookback_days) == (severity, 3)


def test_every_series_that_alerts_read_is_recorded() -> None:
    slo = Slo(availability=99.9, latency=LatencyGoal(seconds=0.5))
    recorded = {record.name for record in records(slo, "api", CONTRACT)}
    read = {metric for signal in signals(slo, "api", "api") for metric in signal.metrics if ":" in metric}
    assert read == recorded


@pytest.mark.parametrize(
    ("availability", "window", "alerts"),
    [(99.9, 30, 4), (99.9, 7, 4), (93.0, 30, 3), (90.0, 90, 2)],
)
def test_what_can_never_be_so_fast_has_no_alert(availability: float, window: int, alerts: int) -> None:
    assert len(signals(Slo(availability=availability, window_days=window), "api", "api")) == alerts


@pytest.mark.parametrize(("seconds", "matcher"), [(0.5, 'le="0.5"'), (1.0, 'le=~"1([.]0)?"'), (0.025, 'le="0.025"')])
def test_the_bucket_as_libraries_write_it(seconds: float, matcher: str) -> None:
    slo = Slo(latency=LatencyGoal(seconds=seconds))
    assert matcher in records(slo, "api", CONTRACT)[0].expression


@pytest.mark.parametrize(
    "fields", [{}, {"availability": 100.0}, {"availability": 80.0}, {"availability": 99.9, "window_days": 1}]
)
def test_what_is_no_objective(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Slo(**fields)


@pytest.mark.parametrize(
    ("tier", "days", "kept", "codes"),
    [
        (Tier.DEV, None, 4, []),
        (Tier.PROD, None, 30, []),
        (Tier.PROD, 3, 3, ["monitoring-retention"]),
        (Tier.DEV, 5, 5, []),
    ],
)
def test_series_are_kept_for_as_long_as_rules_look_back(
    expanded: Any, tier: Tier, days: int | None, kept: int, codes: list[str]
) -> None:
    def declare() -> Monitoring:
        cluster = TrainingCluster("train")
        api = Endpoint("api", cluster=cluster, image=IMAGE, slo=Slo(availability=99.9))
        fields: dict[str, Any] = {"watches": [api], "route": ROUTE, "retention_days": days}
        return Monitoring("watch", cluster=cluster, alertmanager="a:1", **fields)

    result = expanded(declare, tier=tier)
    assert result.codes == codes
    spec = result.inputs("watch/deployment")["spec"]["template"]["spec"]
    assert f"--storage.tsdb.retention.time={kept}d" in spec["containers"][0]["args"]
