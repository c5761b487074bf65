from __future__ import annotations

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
PODS = {"service-account", "discovery", "discovery-binding", "config", "deployment", "service", "egress", "among"}
GPUS = {"gpu-namespace", "gpu-exporter", "gpu-exporter-policy", "gpu-discovery", "gpu-discovery-binding"}
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
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize(
    ("target", "route", "more"),
    [
        ("kubeconfig", {}, set()),
        ("local", {}, TOPICS | {"account"}),
        ("local", {"critical": "email:a@example.com"}, TOPICS | {"account", "topic-critical-subscription"}),
        (
            "eks",
            {"warning": "webhook:https://example.com/x"},
            TOPICS | {"topic-warning-subscription", "alarm-my-api-down", "dashboard"},
        ),
    ],
)
def test_what_monitoring_comes_to(expanded: Any, target: str, route: dict[str, str], more: set[str]) -> None:
    result = expanded(lambda: monitoring(**route), target)
    parts = {name for name in result.names_of("watch") if not name.startswith("grafana")}
    assert parts == PODS | GPUS | more
    assert result.codes == ["endpoint-waits"]


def test_every_watched_component_has_its_rules(expanded: Any) -> None:
    found = rules(expanded(monitoring))
    api = {"MyApiDown", "MyApiErrors", "MyApiSlow", "MyApiAtMaximum", "MyApiNoMachine", "MyApiRestarting"}
    own = {"WatchSourceDown", "WatchRulesFailing", "WatchAlertsLost"}
    assert set(found) == api | own | {"FitFailed", "FitNearDeadline", "FitGpusIdle"}
    assert found["MyApiDown"]["labels"] == {
        "severity": "critical",
        "component": "my-api",
        "team": "recsys",
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
    assert [job["job_name"] for job in config["scrape_configs"]] == ["pods", "kube-state-metrics", "prometheus", "gpus"]
    pods, state, _, gpus = config["scrape_configs"]
    assert pods["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"own_namespace": True}}]
    targets = {rule.get("target_label"): rule for rule in pods["relabel_configs"]}
    assert targets["component"]["source_labels"] == ["__meta_kubernetes_pod_label_mlinfra_dev_component"]
    assert targets["variant"]["source_labels"] == ["__meta_kubernetes_pod_label_mlinfra_dev_variant"]
    assert state["honor_labels"] is gpus["honor_labels"] is True
    assert gpus["kubernetes_sd_configs"][0]["namespaces"] == {"names": ["sample-test-watch-gpu"]}


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


def test_what_cannot_be_watched(expanded: Any) -> None:
    (diagnostic,) = expanded(lambda: monitoring(watches=[NodePool("c", instance_type="g5.xlarge")])).diagnostics
    said = "NodePool('c') cannot be watched; endpoints, jobs, clusters, databases, queues and buckets can"
    assert said in diagnostic.summary


def test_what_runs_in_another_namespace_is_not_watched(expanded: Any) -> None:
    elsewhere = lambda: Endpoint("far", cluster=TrainingCluster("other"), image=IMAGE)  # noqa: E731
    (diagnostic,) = expanded(lambda: monitoring(watches=[elsewhere()])).diagnostics
    assert diagnostic.code == "monitoring-other-place"
    assert "watch watches far, which runs in another namespace, 'other'" in diagnostic.summary
    (diagnostic,) = expanded(lambda: monitoring(watches=[TrainingCluster("other")])).diagnostics
    assert diagnostic.code == "monitoring-other-place"
