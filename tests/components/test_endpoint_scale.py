from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_values import WorkingHours
from mlinfra.components.rollout_values import BlueGreen
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Autoscale, Image, ScaleMetric
from mlinfra.graph import Ref, join

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
HOURS = WorkingHours(start="07:05", stop="20:00", time_zone="Europe/Berlin")


def endpoint(adapter: bool = True, **fields: Any) -> Endpoint:
    return Endpoint("api", cluster=TrainingCluster("train", metrics_adapter=adapter), image=IMAGE, **fields)


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (
            ScaleMetric(name="http_requests", target=50),
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "http_requests"},
                    "target": {"type": "AverageValue", "averageValue": "50"},
                },
            },
        ),
        (
            ScaleMetric(name="queue_length", target=2.5, of="elsewhere", labels={"queue": "a"}),
            {
                "type": "External",
                "external": {
                    "metric": {"name": "queue_length", "selector": {"matchLabels": {"queue": "a"}}},
                    "target": {"type": "AverageValue", "averageValue": "2500m"},
                },
            },
        ),
    ],
)
def test_a_metric_moves_the_number_of_replicas(expanded: Any, metric: ScaleMetric, told: dict[str, Any]) -> None:
    result = expanded(lambda: endpoint(scale=Autoscale(min=1, max=3, metric=metric)))
    assert result.codes == []
    cpu, found = result.inputs("api/autoscaler")["spec"]["metrics"]
    assert cpu["type"] == "Resource"
    assert found == told
    alone = expanded(lambda: endpoint(scale=Autoscale(min=1, max=3, cpu_percent=None, metric=metric)))
    assert alone.inputs("api/autoscaler")["spec"]["metrics"] == [told]


def test_a_metric_wants_an_adapter(expanded: Any) -> None:
    scale = Autoscale(min=1, max=3, metric=ScaleMetric(name="http_requests", target=50))
    (said,) = expanded(lambda: endpoint(adapter=False, scale=scale)).diagnostics
    assert said.code == "metrics-adapter-missing"
    assert "metrics_adapter=True" in said.remedy


def test_something_has_to_move_it() -> None:
    with pytest.raises(ValueError, match="nothing would move the number of replicas"):
        Autoscale(min=1, max=2, cpu_percent=None)


def test_it_sleeps_and_wakes_by_the_clock(expanded: Any) -> None:
    result = expanded(lambda: endpoint(hours=HOURS))
    target = join("deployments.apps/", Ref("api/deployment", ("metadata", "name")))
    for verb, schedule, replicas in (
        ("stop", "0 20 * * mon,tue,wed,thu,fri", 0),
        ("start", "5 7 * * mon,tue,wed,thu,fri", 1),
    ):
        spec = result.inputs(f"api/schedule-{verb}")["spec"]
        assert (spec["schedule"], spec["timeZone"]) == (schedule, "Europe/Berlin")
        pod = spec["jobTemplate"]["spec"]["template"]
        assert pod["spec"]["containers"][0]["command"] == ["kubectl", "scale", f"--replicas={replicas}", target]
        assert "mlinfra.dev/component" not in pod["metadata"]["labels"], "the endpoint's Service would lead to it"
    assert result.inputs("api/service")["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}


def test_it_may_scale_this_and_nothing_else(expanded: Any) -> None:
    result = expanded(lambda: endpoint(hours=HOURS))
    name = Ref("api/deployment", ("metadata", "name"))
    assert result.inputs("api/schedule-role")["rules"] == [
        {"apiGroups": ["apps"], "resourceNames": [name], "resources": ["deployments"], "verbs": ["get"]},
        {
            "apiGroups": ["apps"],
            "resourceNames": [name],
            "resources": ["deployments/scale"],
            "verbs": ["get", "patch", "update"],
        },
    ]
    opened = result.inputs("api/schedule-egress")["spec"]
    assert opened["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "schedule"
    assert opened["egress"] == [{"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}]


def test_nobody_is_woken_because_it_sleeps() -> None:
    def down(served: Endpoint) -> Any:
        (found,) = [signal for signal in served.signals() if signal.name == "Down"]
        return found

    asleep, awake = down(endpoint(hours=HOURS)), down(endpoint())
    assert "kube_horizontalpodautoscaler_status_desired_replicas" in asleep.metrics
    assert (asleep.alarm, awake.alarm is not None) == (None, True)
    assert "kube_horizontalpodautoscaler_status_desired_replicas" not in awake.metrics


def test_the_clock_follows_what_serves(expanded: Any) -> None:
    def declare() -> Endpoint:
        cluster = TrainingCluster("train", argo_rollouts=True)
        return Endpoint("api", cluster=cluster, image=IMAGE, hours=HOURS, rollout=BlueGreen())

    result = expanded(declare)
    rule = result.inputs("api/schedule-role")["rules"][1]
    assert (rule["apiGroups"], rule["resources"]) == (["argoproj.io"], ["rollouts/scale"])
