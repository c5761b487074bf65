"""Grafana of a `Monitoring`: its pod, its files, and dashboards held by Grafana's schema and by Prometheus itself."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.grafana_values import Grafana, Oidc
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.promql import metrics_in
from mlinfra.components.training_cluster import TrainingCluster
from tests.components.grafana_schema import problems
from tests.components.watch_samples import IMAGE, watching
from tests.monitoring.programs import run

PARTS = {
    f"grafana-{part}" for part in ("account", "config", "dashboards", "deployment", "password", "secret", "service")
}
OIDC = {f"{part}_url": f"https://id.example.com/{part}" for part in ("auth", "token", "userinfo")}


def pages(result: Any) -> dict[str, dict[str, Any]]:
    data = result.inputs("watch/grafana-dashboards")["data"]
    return {name: json.loads(text) for name, text in data.items()}


def queries(page: dict[str, Any]) -> dict[str, list[str]]:
    """The expressions of each panel, by row and title."""
    found, row = {}, ""
    for panel in page["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        for one in panel["panels"] if panel["type"] == "row" else [panel]:
            found[f"{row}: {one['title']}"] = [target["expr"] for target in one["targets"]]
    return found


def settings(result: Any) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(result.inputs("watch/grafana-config")["data"]["grafana.ini"])
    return parsed


def signed_in(**fields: Any) -> Monitoring:
    cluster = TrainingCluster("train")
    token = ManagedSecret("token", in_cluster=[cluster])
    oidc = Oidc(client_id="grafana", client_secret=token, admins=["ml-leads"], **OIDC)
    grafana = Grafana(oidc=oidc, address="https://grafana.example.com", called_from=["ingress-nginx"], **fields)
    return watching(cluster=cluster, watches=[], grafana=grafana)


# ------------------------------------------------------------------------------------------------ the pod


def test_what_it_comes_to(expanded: Any) -> None:
    made = expanded(watching)
    assert made.codes == []
    assert made.names_of("watch") - expanded(lambda: watching(grafana=None)).names_of("watch") == PARTS


def test_the_pod_is_restricted_and_reads_its_password_from_a_file(expanded: Any) -> None:
    result = expanded(watching)
    spec = result.inputs("watch/grafana-deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    assert "env" not in container
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/etc/secrets/admin-password", "/etc/dashboards", "/etc/grafana/grafana.ini"} <= mounts
    said = settings(result)
    assert said["security"]["admin_password"] == "$__file{/etc/secrets/admin-password/value}"
    assert said["auth.anonymous"]["enabled"] == "false"
    assert said["users"]["allow_sign_up"] == "false"
    assert said["analytics"]["reporting_enabled"] == "false"
    secret = result.inputs("watch/grafana-secret")["stringData"]["value"]
    assert secret.node == "watch/grafana-password"


def test_it_asks_the_prometheus_at_its_side(expanded: Any) -> None:
    data = expanded(lambda: watching(scrape_seconds=15)).inputs("watch/grafana-config")["data"]
    (source,) = yaml.safe_load(data["datasources.yaml"])["datasources"]
    assert (source["url"], source["type"], source["uid"]) == ("http://watch:9090", "prometheus", "prometheus")
    assert source["jsonData"]["timeInterval"] == "15s"
    (provider,) = yaml.safe_load(data["dashboards.yaml"])["providers"]
    assert provider["allowUiUpdates"] is False


def test_another_setting_makes_another_pod_and_another_dashboard_does_not(expanded: Any) -> None:
    def mark(**fields: Any) -> str:
        template = expanded(lambda: watching(**fields)).inputs("watch/grafana-deployment")["spec"]["template"]
        found: str = template["metadata"]["annotations"]["mlinfra.dev/config-hash"]
        return found

    assert mark() == mark(gpus=0) != mark(scrape_seconds=15)


def test_people_sign_in_by_openid_connect(expanded: Any) -> None:
    result = expanded(signed_in)
    said = settings(result)["auth.generic_oauth"]
    assert said["client_secret"] == "$__file{/etc/secrets/client-secret/value}"
    assert said["role_attribute_path"] == "contains(groups[*], 'ml-leads') && 'Admin' || 'Viewer'"
    assert (said["role_attribute_strict"], said["use_pkce"]) == ("true", "true")
    policy = result.inputs("watch/grafana-network")["spec"]
    assert policy["policyTypes"] == ["Egress", "Ingress"]
    assert policy["egress"] == [{"ports": [{"port": 443, "protocol": "TCP"}]}]
    assert policy["ingress"][0]["ports"] == [{"port": 3000, "protocol": "TCP"}]


def test_viewers_by_group_leave_everybody_else_out(expanded: Any) -> None:
    from mlinfra.components import grafana_pod

    cluster = TrainingCluster("train")
    oidc = Oidc(client_id="g", client_secret=ManagedSecret("token", in_cluster=[cluster]), viewers=["a"], **OIDC)
    files = grafana_pod.files(Grafana(oidc=oidc, address="https://g.example.com"), "http://p", 30, "x.json")
    assert "role_attribute_path = contains(groups[*], 'a') && 'Viewer'\n" in files["grafana.ini"]


def test_a_secret_that_is_not_in_the_namespace(expanded: Any) -> None:
    token = ManagedSecret("token")
    result = expanded(lambda: watching(grafana=Grafana(admin_password=token)))
    assert result.codes == ["secret-elsewhere"]


@pytest.mark.parametrize(
    ("kind", "fields", "word"),
    [
        (Grafana, {"address": "http://grafana.example.com"}, "address"),
        (Grafana, {"address": "https://x.example.com/a;b"}, "address"),
        (Grafana, {"memory": 0.1}, "memory"),
        (Oidc, {"client_id": "a b", **OIDC}, "client_id"),
        (Oidc, {"client_id": "a", **OIDC, "admins": ["it's"]}, "admins"),
        (Oidc, {"client_id": "a", **OIDC, "token_url": "http://id.example.com"}, "token_url"),
    ],
)
def test_what_is_refused(kind: Any, fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        kind(**fields)


def test_openid_connect_needs_an_address() -> None:
    with pytest.raises(ValidationError, match="needs `address`"):
        Grafana(oidc=Oidc(client_id="g", client_secret=ManagedSecret("token"), **OIDC))


# ------------------------------------------------------------------------------------------------ dashboards


def test_a_page_for_each_kind_of_thing(expanded: Any) -> None:
    found = pages(expanded(watching))
    assert set(found) == {"endpoints.json", "models.json", "jobs.json", "cluster.json"}
    assert len({page["uid"] for page in found.values()}) == 4
    assert all(len(page["uid"]) <= 40 for page in found.values())
    asked = {name: queries(page) for name, page in found.items()}
    assert {f"my-api: {title}" for title in ("Traffic", "Errors", "Latency", "Replicas", "Saturation")} <= set(
        asked["endpoints.json"]
    )
    assert {"Served models: Version", "Served models: Accuracy"} <= set(asked["models.json"])
    assert {"fit: Runs", "fit: Going on for", "fit: GPU use"} <= set(asked["jobs.json"])
    assert {"Pods: Pods", "GPUs: Use", "Queue: Runs"} <= set(asked["cluster.json"])


def test_limits_are_those_of_the_alerts(expanded: Any) -> None:
    cluster = TrainingCluster("train")
    api = Endpoint("api", cluster=cluster, image=IMAGE, latency_seconds=0.25, error_percent=2)
    found = queries(pages(expanded(lambda: watching(cluster=cluster, watches=[api])))["endpoints.json"])
    assert "vector(0.25)" in found["api: Latency"]
    assert "vector(0.02)" in found["api: Errors"]


@pytest.mark.parametrize(
    ("fields", "page", "panel", "there"),
    [
        ({}, "jobs.json", "fit: GPU use", True),
        ({"gpus": 0}, "jobs.json", "fit: GPU use", False),
        ({}, "cluster.json", "Queue: Kueue", False),
        ({"external_metrics": ["kueue_*"]}, "cluster.json", "Queue: Kueue", True),
        ({}, "endpoints.json", "my-api: Objectives: bad requests", True),
    ],
)
def test_panels_have_a_source(expanded: Any, fields: dict[str, Any], page: str, panel: str, there: bool) -> None:
    assert (panel in queries(pages(expanded(lambda: watching(**fields)))[page])) is there


def test_an_endpoint_that_waits_for_its_first_version_has_no_page(expanded: Any) -> None:
    cluster = TrainingCluster("train")
    found = pages(expanded(lambda: watching(cluster=cluster, watches=[Endpoint("api", cluster=cluster)])))
    assert set(found) == {"cluster.json"}


def test_many_endpoints_are_closed_until_somebody_looks(expanded: Any) -> None:
    cluster = TrainingCluster("train")
    apis = [Endpoint(f"api-{number}", cluster=cluster, image=IMAGE) for number in range(4)]
    page = pages(expanded(lambda: watching(cluster=cluster, watches=apis)))["endpoints.json"]
    rows = [panel for panel in page["panels"] if panel["type"] == "row"]
    assert [row["collapsed"] for row in rows] == [False, True, True, True, True]
    assert problems(page) == []


def test_grafanas_schema_takes_them(expanded: Any) -> None:
    for name, page in pages(expanded(watching)).items():
        assert problems(page) == [], name


def _asked(found: dict[str, dict[str, Any]]) -> list[str]:
    return sorted({asked for page in found.values() for panel in queries(page).values() for asked in panel})


def _plain(expression: str) -> str:
    """As Grafana asks it."""
    return expression.replace("$__rate_interval", "5m")


def test_prometheus_can_read_them(expanded: Any, tmp_path: Path) -> None:
    asked = _asked(pages(expanded(lambda: watching(external_metrics=["kueue_*", "data_*", "fairness_*"]))))
    rules = [{"record": f"panel:{number}", "expr": _plain(item)} for number, item in enumerate(asked)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(asked)} rules found" in run("promtool", "check", "rules", file)


_API = 'component="my-api",pod="a"'
_JOB = 'namespace="ns",job_name="fit-1"'
_BUCKET = f"http_request_duration_seconds_bucket{{{_API},le="
SERIES = {
    f"up{{{_API}}}": "1x60",
    f'http_requests_total{{{_API},status="200"}}': "0+90x60",
    f'http_requests_total{{{_API},status="503"}}': "0+10x60",
    f'{_BUCKET}"0.1"}}': "0+50x60",
    f'{_BUCKET}"1"}}': "0+100x60",
    f'{_BUCKET}"+Inf"}}': "0+100x60",
    f'model_info{{{_API},model_version="3"}}': "1x60",
    f'model_accuracy{{{_API},model_version="3"}}': "0.9x60",
    'kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="my-api"}': "3x60",
    f"kube_job_created{{{_JOB}}}": "0x60",
    f"kube_job_status_start_time{{{_JOB}}}": "0x60",
    f"kube_job_status_active{{{_JOB}}}": "1x60",
    f'kube_job_labels{{{_JOB},label_mlinfra_dev_component="fit"}}': "1x60",
    'DCGM_FI_DEV_GPU_UTIL{namespace="ns",pod="fit-1-x",gpu="0",Hostname="a"}': "80x60",
    'kube_pod_labels{namespace="ns",pod="fit-1-x",label_mlinfra_dev_component="fit"}': "1x60",
    'kube_pod_status_phase{namespace="ns",pod="fit-1-x",phase="Running"}': "1x60",
    'kube_pod_status_phase{namespace="ns",pod="fit-0-x",phase="Running"}': "0x60",
    'kube_pod_container_resource_requests{namespace="ns",pod="fit-1-x",resource="nvidia_com_gpu"}': "1x60",
    'kube_pod_container_resource_requests{namespace="ns",pod="fit-0-x",resource="nvidia_com_gpu"}': "1x60",
}
SEEN = [
    ("endpoints.json", "All endpoints: Replicas that answer", 0, '{component="my-api"}', 1),
    ("endpoints.json", "All endpoints: Errors", 0, '{component="my-api"}', 0.1),
    ("endpoints.json", "my-api: Errors", 0, "{}", 0.1),
    ("endpoints.json", "my-api: Latency", 0, "{}", 0.1),
    ("endpoints.json", "my-api: Replicas", 2, "{}", 3),
    ("models.json", "Served models: Accuracy", 0, '{component="my-api",model_version="3"}', 0.9),
    ("models.json", "Served models: Version", 0, '{component="my-api",model_version="3"}', 1),
    ("jobs.json", "fit: Runs", 0, "{}", 1),
    ("jobs.json", "fit: Going on for", 0, f"{{{_JOB}}}", 1800),
    ("jobs.json", "fit: GPU use", 0, '{pod="fit-1-x"}', 0.8),
    ("cluster.json", "What pods ask for: GPUs", 0, "{}", 1),
    ("cluster.json", "What pods ask for: GPUs", 1, "{}", 4),
    ("cluster.json", "Queue: Runs", 0, "{}", 0),
    ("cluster.json", "Queue: Runs", 1, "{}", 1),
]


def test_panels_show_what_happens(expanded: Any, tmp_path: Path) -> None:
    """Prometheus works the panels' queries out from series as exporters give them."""
    found = {name: queries(page) for name, page in pages(expanded(watching)).items()}
    asked = [
        {
            "expr": _plain(found[page][panel][number]),
            "eval_time": "30m",
            "exp_samples": [{"labels": labels, "value": value}],
        }
        for page, panel, number, labels, value in SEEN
    ]
    series = [{"series": name, "values": values} for name, values in SERIES.items()]
    file = tmp_path / "test.yml"
    document = {"rule_files": [], "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}]}
    file.write_text(yaml.safe_dump(document))
    run("promtool", "test", "rules", file)


def test_every_metric_is_one_that_somebody_gives(expanded: Any) -> None:
    """What is shown comes from the served model, kube-state-metrics, the DCGM exporter, or is recorded."""
    known = ("up", "http_request", "model_", "request_log_", "kube_", "DCGM_FI_DEV_", "component:")
    metrics = {name for asked in _asked(pages(expanded(watching))) for name in metrics_in(asked)}
    assert [name for name in metrics if not name.startswith(known)] == []
