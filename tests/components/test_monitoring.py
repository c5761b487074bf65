from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Autoscale, Route
from mlinfra.graph import Ref
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
PODS = {"service-account", "discovery", "discovery-binding", "config", "deployment", "service", "egress"}
TOPICS = {"topic-critical", "topic-critical-policy", "topic-warning", "topic-warning-policy"}


def monitoring(critical: str = "pagerduty:recsys", warning: str = "slack:#recsys", **fields: Any) -> Monitoring:
    pool = NodePool("gpu", instance_type="g5.xlarge")
    cluster = TrainingCluster("train", pools=[pool])
    api = Endpoint("my-api", cluster=cluster, image=IMAGE, scale=Autoscale(min=1, max=3))
    fit = TrainingJob("fit", cluster=cluster, pool=pool, gpus=1, image=IMAGE, deadline_hours=10)
    later = Endpoint("later", cluster=cluster)
    route = Route(critical=critical, warning=warning)  # type: ignore[arg-type]  # checked at run time
    given = {"watches": [api, fit, later], "alertmanager": "alertmanager.monitoring.svc:9093", **fields}
    return Monitoring("watch", cluster=cluster, route=route, **given)


def files(result: Any) -> dict[str, str]:
    found: dict[str, str] = result.inputs("watch/config")["data"]
    return found


def rules(result: Any) -> dict[str, Any]:
    groups = yaml.safe_load(files(result)["rules.yml"])["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.parametrize(
    ("target", "route", "more"),
    [
        ("kubeconfig", {}, set()),
        ("local", {}, TOPICS | {"account"}),
        ("local", {"critical": "email:a@example.com"}, TOPICS | {"account", "topic-critical-subscription"}),
        (
            "eks",
            {"warning": "webhook:https://example.com/x"},
            TOPICS | {"topic-warning-subscription", "alarm-my-api-down"},
        ),
    ],
)
def test_what_monitoring_comes_to(expanded: Any, target: str, route: dict[str, str], more: set[str]) -> None:
    result = expanded(lambda: monitoring(**route), target)
    assert result.names_of("watch") == PODS | more
    assert result.codes == []


def test_every_watched_component_has_its_rules(expanded: Any) -> None:
    found = rules(expanded(monitoring))
    assert set(found) == {"MyApiDown", "MyApiErrors", "MyApiSlow", "MyApiAtMaximum", "FitFailed", "FitNearDeadline"}
    assert found["MyApiDown"]["labels"] == {
        "severity": "critical",
        "component": "my-api",
        "receiver": "pagerduty:recsys",
    }
    assert found["FitFailed"]["labels"]["receiver"] == "slack:#recsys"
    assert all(rule["annotations"]["summary"] for rule in found.values())


def test_the_configuration(expanded: Any) -> None:
    config = yaml.safe_load(files(expanded(lambda: monitoring(scrape_seconds=15)))["prometheus.yml"])
    assert config["global"]["scrape_interval"] == "15s"
    assert config["alerting"]["alertmanagers"] == [
        {"static_configs": [{"targets": ["alertmanager.monitoring.svc:9093"]}]}
    ]
    pods, state = config["scrape_configs"]
    assert pods["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"own_namespace": True}}]
    targets = {rule.get("target_label"): rule for rule in pods["relabel_configs"]}
    assert targets["component"]["source_labels"] == ["__meta_kubernetes_pod_label_mlinfra_dev_component"]
    assert state["honor_labels"] is True


def test_another_rule_makes_another_pod(expanded: Any) -> None:
    def mark(**fields: Any) -> str:
        template = expanded(lambda: monitoring(**fields)).inputs("watch/deployment")["spec"]["template"]
        found: str = template["metadata"]["annotations"]["mlinfra.dev/config-hash"]
        return found

    assert mark() == mark()
    assert len({mark(), mark(watches=[]), mark(scrape_seconds=10), mark(warning="slack:#other")}) == 4


@pytest.mark.parametrize(
    ("tier", "fields", "days"), [(Tier.DEV, {}, 2), (Tier.PROD, {}, 30), (Tier.PROD, {"retention_days": 5}, 5)]
)
def test_retention(expanded: Any, tier: Tier, fields: dict[str, Any], days: int) -> None:
    spec = expanded(lambda: monitoring(**fields), tier=tier).inputs("watch/deployment")["spec"]["template"]["spec"]
    assert f"--storage.tsdb.retention.time={days}d" in spec["containers"][0]["args"]


def test_it_may_look_at_its_own_namespace_only(expanded: Any) -> None:
    result = expanded(monitoring)
    assert result.node("watch/discovery").type == "kubernetes:rbac.authorization.k8s.io/v1:Role"
    for rule in result.inputs("watch/discovery")["rules"]:
        assert set(rule["verbs"]) == {"get", "list", "watch"}
        assert "secrets" not in rule["resources"]
    assert result.inputs("watch/service-account")["automountServiceAccountToken"] is True


@pytest.mark.parametrize(
    ("receiver", "protocol", "endpoint"),
    [
        ("email:a@example.com", "email", "a@example.com"),
        ("webhook:https://example.com/hook?x=1", "https", "https://example.com/hook?x=1"),
    ],
)
def test_subscriptions(expanded: Any, receiver: str, protocol: str, endpoint: str) -> None:
    inputs = expanded(lambda: monitoring(critical=receiver)).inputs("watch/topic-critical-subscription")
    assert inputs == {"topic": Ref("watch/topic-critical", ("arn",)), "protocol": protocol, "endpoint": endpoint}


@pytest.mark.parametrize(
    ("target", "account"), [("local", Ref("watch/account", ("accountId",))), ("eks", "111122223333")]
)
def test_only_this_accounts_alarms_may_publish(expanded: Any, target: str, account: Any) -> None:
    policy = expanded(monitoring, target).inputs("watch/topic-critical-policy")["policy"]
    (statement,) = policy.value["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": account}}
    assert statement["Resource"] == Ref("watch/topic-critical", ("arn",))


def test_the_alarm(expanded: Any) -> None:
    alarm = expanded(monitoring, "eks").inputs("watch/alarm-my-api-down")
    assert alarm["namespace"] == "ContainerInsights"
    assert alarm["metricName"] == "service_number_of_running_pods"
    assert alarm["dimensions"] == {
        "ClusterName": "ml-prod",
        "Namespace": Ref("train/namespace", ("metadata", "name")),
        "Service": "my-api",
    }
    assert alarm["alarmActions"] == [Ref("watch/topic-critical", ("arn",))]
    assert (alarm["period"], alarm["evaluationPeriods"], alarm["threshold"]) == (60, 3, 1)


def test_alerts_that_reach_nobody_are_warned_of(expanded: Any) -> None:
    assert expanded(lambda: monitoring(alertmanager=None)).codes == ["alerts-undelivered"]


def test_what_cannot_be_watched(expanded: Any) -> None:
    (diagnostic,) = expanded(lambda: monitoring(watches=[TrainingCluster("c")])).diagnostics
    assert "TrainingCluster('c') cannot be watched; endpoints and training jobs can" in diagnostic.summary


# ---------------------------------------------------------------------------------------- by Prometheus itself

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")

_FAILED = 'kube_job_failed{namespace="ns",job_name="%s",condition="true"}'
_JOB = 'kube_job_labels{namespace="ns",job_name="%s",label_mlinfra_dev_component="fit"}'
_ACTIVE = 'kube_job_status_active{namespace="ns",job_name="%s"}'
_RUNNING = {'kube_job_status_start_time{namespace="ns",job_name="fit-1"}': "0x700", _JOB % "fit-1": "1x700"}
_SCALER = 'kube_horizontalpodautoscaler_%s{namespace="ns",horizontalpodautoscaler="my-api"}'
_UP = 'up{component="my-api",pod="a"}'
_REQUESTS = 'http_requests_total{component="my-api",pod="a",status="%s"}'
_BUCKETS = 'http_request_duration_seconds_bucket{component="my-api",pod="a",le="%s"}'

FIRING: list[tuple[str, dict[str, str], str, bool]] = [
    ("MyApiDown", {_UP: "0x60"}, "10m", True),
    ("MyApiDown", {_UP: "1x60"}, "10m", False),
    ("MyApiDown", {'up{component="other"}': "1x60"}, "10m", True),
    ("MyApiErrors", {_UP: "1x60", _REQUESTS % "200": "0+90x60", _REQUESTS % "503": "0+10x60"}, "30m", True),
    ("MyApiErrors", {_UP: "1x60", _REQUESTS % "200": "0+99x60", _REQUESTS % "503": "0+1x60"}, "30m", False),
    (
        "MyApiSlow",
        {_BUCKETS % "0.5": "0+80x60", _BUCKETS % "1": "0+100x60", _BUCKETS % "+Inf": "0+100x60"},
        "30m",
        True,
    ),
    (
        "MyApiSlow",
        {_BUCKETS % "0.5": "0+99x60", _BUCKETS % "1": "0+100x60", _BUCKETS % "+Inf": "0+100x60"},
        "30m",
        False,
    ),
    (
        "MyApiAtMaximum",
        {
            _SCALER % "status_current_replicas": "3x60",
            _SCALER % "spec_max_replicas": "3x60",
            _SCALER % "spec_min_replicas": "1x60",
        },
        "30m",
        True,
    ),
    (
        "MyApiAtMaximum",
        {
            _SCALER % "status_current_replicas": "3x60",
            _SCALER % "spec_max_replicas": "3x60",
            _SCALER % "spec_min_replicas": "3x60",
        },
        "30m",
        False,
    ),
    ("FitFailed", {_FAILED % "fit-1": "0x5 1x55", _JOB % "fit-1": "1x60"}, "10m", True),
    ("FitFailed", {_FAILED % "fit-1": "0x60", _JOB % "fit-1": "1x60"}, "10m", False),
    ("FitFailed", {_FAILED % "other": "0x5 1x55", _JOB % "fit-1": "1x60"}, "10m", False),
    ("FitFailed", {_FAILED % "fit-1": "0x5 1x120", _JOB % "fit-1": "1x120"}, "80m", False),  # it is known by then
    (
        "FitFailed",
        {
            _FAILED % "fit-1": "1x120",
            _JOB % "fit-1": "1x120",
            _FAILED % "fit-2": "_x60 0x5 1x60",
            _JOB % "fit-2": "_x60 1x60",
        },
        "80m",
        True,
    ),
    ("FitNearDeadline", {**_RUNNING, _ACTIVE % "fit-1": "1x700"}, "9h10m", True),
    ("FitNearDeadline", {**_RUNNING, _ACTIVE % "fit-1": "1x700"}, "8h50m", False),
    ("FitNearDeadline", {**_RUNNING, _ACTIVE % "fit-1": "1x500 0x200"}, "9h10m", False),
]


@promtool
def test_prometheus_takes_configuration_and_rules(expanded: Any, tmp_path: Path) -> None:
    written = files(expanded(monitoring))
    config = yaml.safe_load(written["prometheus.yml"])
    # Debian's promtool is built without discovery in Kubernetes; relabelling and the rest are checked as they are.
    config["scrape_configs"][0].pop("kubernetes_sd_configs")
    config["rule_files"] = [str(tmp_path / "rules.yml")]
    (tmp_path / "rules.yml").write_text(written["rules.yml"])
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 rules found" in done.stdout


@promtool
def test_alerts_fire_when_they_should_and_only_then(expanded: Any, tmp_path: Path) -> None:
    result = expanded(monitoring)
    (tmp_path / "rules.yml").write_text(files(result)["rules.yml"])
    known = rules(result)
    tests = []
    for alert, series, at, fires in FIRING:
        labels, summary = known[alert]["labels"], known[alert]["annotations"]
        absent = alert == "MyApiDown" and not any(key.startswith('up{component="my-api"') for key in series)
        expected = [{"exp_labels": labels, "exp_annotations": summary}] if fires else []
        assert absent or labels["component"] in ("my-api", "fit")
        if alert == "MyApiAtMaximum" and fires:
            expected[0]["exp_labels"] = {**labels, "namespace": "ns", "horizontalpodautoscaler": "my-api"}
        tests.append(
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": values} for key, values in series.items()],
                "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
            }
        )
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": tests}))
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_runs_in_another_namespace_is_not_watched(expanded: Any) -> None:
    elsewhere = lambda: Endpoint("far", cluster=TrainingCluster("other"), image=IMAGE)  # noqa: E731
    (diagnostic,) = [
        item
        for item in expanded(lambda: monitoring(watches=[elsewhere()])).diagnostics
        if item.code != "alerts-undelivered"
    ]
    assert diagnostic.code == "monitoring-other-place"
    assert "watch watches far, which runs in another namespace, 'other'" in diagnostic.summary
