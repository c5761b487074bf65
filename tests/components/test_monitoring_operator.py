"""A `Monitoring` as custom resources of the Prometheus operator: the same as its files say elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tests.components.watch_samples import watching

SHARED = {"service", "service-account", "egress", "among", "discovery", "discovery-binding", "alertmanager-egress"}
OWN = {"prometheus", "rules", "alertmanager", "alertmanager-config", "alertmanager-service", "services"}
SCRAPES = {f"scrape-{job}" for job in ("pods", "kube-state-metrics", "prometheus", "gpus")}


def elsewhere(expanded: Any, **fields: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The files of the same `Monitoring` without the operator: configuration, rules, Alertmanager's."""
    result = expanded(lambda: watching(**fields), "kubeconfig")
    data = result.inputs("watch/config")["data"]
    told = result.inputs("watch/alertmanager-config")["data"]["alertmanager.yml"]
    return yaml.safe_load(data["prometheus.yml"]), yaml.safe_load(data["rules.yml"]), yaml.safe_load(told)


def spec(result: Any, local: str) -> dict[str, Any]:
    found: dict[str, Any] = result.inputs(f"watch/{local}")["spec"]
    return found


def operated(expanded: Any, **fields: Any) -> Any:
    return expanded(lambda: watching(operator=True, **fields), "kubeconfig")


def test_what_it_comes_to(expanded: Any) -> None:
    result = operated(expanded)
    assert result.codes == []
    names = {name for name in result.names_of("watch") if not name.startswith(("grafana-", "gpu-"))}
    assert names == SHARED | OWN | SCRAPES | {"services-binding"}


def test_the_rules_are_the_same(expanded: Any) -> None:
    _, rules, _ = elsewhere(expanded)
    assert spec(operated(expanded), "rules") == rules


def test_prometheus_takes_what_is_ours_alone(expanded: Any) -> None:
    config, _, _ = elsewhere(expanded)
    result = operated(expanded)
    said = spec(result, "prometheus")
    ours = {"matchLabels": {"mlinfra.dev/monitoring": "watch"}}
    assert said["podMonitorSelector"] == said["scrapeConfigSelector"] == said["ruleSelector"] == ours
    for local in (*SCRAPES, "rules"):
        labels = result.inputs(f"watch/{local}")["metadata"]["labels"]
        assert labels["mlinfra.dev/monitoring"] == "watch", local
    assert said["externalLabels"] == config["global"]["external_labels"]
    assert said["prometheusExternalLabelName"] == said["replicaExternalLabelName"] == ""
    assert (said["version"], said["scrapeInterval"], said["retention"]) == ("v3.5.0", "30s", "4d")
    (beside,) = said["containers"]
    assert beside["name"] == "kube-state-metrics"
    assert beside["ports"][0]["containerPort"] not in (8080, 8081)  # those of the operator's reloader
    assert said["podMetadata"]["labels"]["mlinfra.dev/component"] == "watch"


def test_jobs_of_kubernetes_are_pod_monitors(expanded: Any) -> None:
    config, _, _ = elsewhere(expanded)
    pods = spec(operated(expanded), "scrape-pods")
    (endpoint,) = pods["podMetricsEndpoints"]
    wanted = config["scrape_configs"][0]["relabel_configs"]
    assert [rule.get("sourceLabels") for rule in endpoint["relabelings"][: len(wanted)]] == [
        rule["source_labels"] for rule in wanted
    ]
    assert {"targetLabel": "job", "replacement": "pods"} in endpoint["relabelings"]
    gpus = spec(operated(expanded), "scrape-gpus")
    assert gpus["namespaceSelector"] == {"matchNames": ["sample-test-watch-gpu"]}
    assert gpus["podMetricsEndpoints"][0]["honorLabels"] is True


def test_other_jobs_are_scrape_configs(expanded: Any) -> None:
    result = operated(expanded, scrapes=["queue.example.com:9100"], pushgateway=True)
    assert spec(result, "scrape-others") == {
        "jobName": "others",
        "honorLabels": True,
        "dnsSDConfigs": [{"names": ["queue.example.com"], "type": "A", "port": 9100}],
    }
    assert spec(result, "scrape-pushgateway")["staticConfigs"] == [{"targets": ["watch-pushgateway:9091"]}]
    port = spec(result, "prometheus")["containers"][0]["ports"][0]["containerPort"]
    assert spec(result, "scrape-kube-state-metrics")["staticConfigs"] == [{"targets": [f"localhost:{port}"]}]


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_a_port_that_there_cannot_be(port: int) -> None:
    with pytest.raises(ValidationError, match=f"{port} is no port"):
        watching(operator=True, scrapes=[f"queue.example.com:{port}"])


def test_who_is_told_is_the_same(expanded: Any) -> None:
    _, _, told = elsewhere(expanded)
    said = spec(operated(expanded), "alertmanager-config")
    assert said["route"]["receiver"] == told["route"]["receiver"]
    assert said["route"]["groupBy"] == told["route"]["group_by"]
    ways = [
        ([f'{item["name"]}{item["matchType"]}"{item["value"]}"' for item in way["matchers"]], way["receiver"])
        for way in said["route"]["routes"]
    ]
    assert ways == [(way["matchers"], way["receiver"]) for way in told["route"]["routes"]]
    assert [item["name"] for item in said["receivers"]] == [item["name"] for item in told["receivers"]]
    (rule,) = said["inhibitRules"]
    assert rule["equal"] == told["inhibit_rules"][0]["equal"]


def test_secrets_are_named(expanded: Any) -> None:
    said = spec(operated(expanded), "alertmanager-config")
    found = {item["name"]: next(value[0] for key, value in item.items() if key != "name") for item in said["receivers"]}
    assert found["slack:#recsys"]["apiURL"] == {"name": "alerting", "key": "slack-url"}
    assert found["pagerduty:recsys"]["routingKey"]["key"] == "value"
    assert found["pagerduty:recsys"]["routingKey"]["name"].node == "pager/in-train"
    mail = found["email:ads@example.com"]
    assert (mail["smarthost"], mail["from"], mail["requireTLS"]) == ("smtp.example.com:587", "a@example.com", True)
    assert (mail["authUsername"], mail["authPassword"]["key"]) == ("alerts", "value")
    hook = found["webhook:https://ads.example.com/hook"]
    assert hook["httpConfig"]["authorization"]["credentials"]["key"] == "value"
    assert all(item["sendResolved"] for item in found.values())


def test_a_secret_that_is_not_in_the_namespace(expanded: Any) -> None:
    assert "secret-elsewhere" in operated(expanded, held=False).codes


NAMED = {"secrets": {}, "mail": None}


def test_another_alertmanager_is_known_by_its_service(expanded: Any) -> None:
    result = operated(expanded, alertmanager="alertmanager.monitoring.svc:9093", **NAMED)
    assert result.codes == []
    (told,) = spec(result, "prometheus")["alerting"]["alertmanagers"]
    assert (told["name"], told["namespace"], told["port"]) == ("alertmanager", "monitoring", 9093)
    assert not {"alertmanager", "alertmanager-config"} & result.names_of("watch")


@pytest.mark.parametrize("address", ["alerts.example.com:9093", "10.0.0.1:9093"])
def test_one_without_a_service_is_refused(expanded: Any, address: str) -> None:
    assert operated(expanded, alertmanager=address, **NAMED).codes == ["alertmanager-no-service"]


def test_nobody_waits_for_the_operators_pods(expanded: Any) -> None:
    result = operated(expanded)
    for local in ("service", "alertmanager-service"):
        assert result.inputs(f"watch/{local}")["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
