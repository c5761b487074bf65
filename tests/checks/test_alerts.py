"""Alerts that reach nobody, found in what Prometheus and Alertmanager are given."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mlinfra.checks.alerts import check_alerts

ALERT = {"alert": "ApiDown", "expr": "up == 0", "labels": {"severity": "critical", "component": "api", "team": "ads"}}
HOOK = {"name": "hook", "webhook_configs": [{"url": "https://alerts.example.com"}]}
PROMETHEUS = {"scrape_configs": [], "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["a:9093"]}]}]}}


def config(*files: Any, component: str = "watch") -> dict[str, Any]:
    data = {f"{index}.yml": item if isinstance(item, str) else yaml.safe_dump(item) for index, item in enumerate(files)}
    return {"type": "kubernetes:core/v1:ConfigMap", "component": component, "inputs": {"data": data}}


def rules(*alerts: Any) -> dict[str, Any]:
    return {"groups": [{"name": "api", "rules": [{"record": "x", "expr": "y"}, *alerts]}]}


def routes(*matchers: str, receiver: str = "hook", **more: Any) -> dict[str, Any]:
    inner = [{"matchers": [item], "receiver": "hook"} for item in matchers]
    return {"route": {"receiver": receiver, "routes": inner, **more}, "receivers": [HOOK]}


def told(make_graph: Any, *nodes: dict[str, Any]) -> list[tuple[str, str]]:
    graph = make_graph({"nodes": {f"n{index}": node for index, node in enumerate(nodes)}})
    return [(item.code, item.summary) for item in check_alerts(graph)]


@pytest.mark.parametrize(
    "files",
    [
        (PROMETHEUS, rules(ALERT)),
        (PROMETHEUS, rules(ALERT), routes('severity="critical"')),
        (rules(ALERT), routes("severity=critical")),
        (rules(ALERT), routes('severity=~"critical|warning"')),
        (rules(ALERT), routes('team!="other"')),
        (rules(ALERT), routes('team!~"other.*"')),
        (rules(ALERT), routes()),  # one route for all
        (rules(ALERT), routes(routes=[{"match": {"severity": "critical"}, "receiver": "hook"}])),
        (rules(ALERT), routes(routes=[{"match_re": {"team": "a.*"}}])),
        (rules(),),
        ("alert: [", "receivers: are named here", ""),
        ({"receivers": ["hook"], "route": "alert:"},),
    ],
)
def test_what_reaches_somebody_is_not_told_of(make_graph: Any, files: tuple[Any, ...]) -> None:
    assert told(make_graph, config(*files)) == []


@pytest.mark.parametrize(
    ("files", "summary"),
    [
        ((rules(ALERT), routes('severity="warning"')), "no route is for alert ApiDown"),
        ((rules(ALERT), routes('severity!="critical"', 'team=~"a"')), "no route is for alert ApiDown"),
        (
            (rules({**ALERT, "labels": {"severity": "page"}}), routes()),
            "alert ApiDown has the severity 'page', and no route is for that",
        ),
        ((rules({"alert": "Odd", "expr": "x"}),), "alert Odd has no severity, and no route is for that"),
        (({"scrape_configs": []}, rules(ALERT)), "the alerts in n0 are sent nowhere"),
    ],
)
def test_an_alert_without_a_route(make_graph: Any, files: tuple[Any, ...], summary: str) -> None:
    assert told(make_graph, config(*files)) == [("alert-without-route", summary)]


@pytest.mark.parametrize(
    ("content", "summary"),
    [
        (routes(receiver="none"), "a route to 'none' has no receiver"),
        (
            {"route": {"receiver": "x"}, "receivers": [{"name": "x", "slack_configs": []}]},
            "a route to 'x' tells nobody",
        ),
        ({"route": {"routes": []}, "receivers": [HOOK]}, "the route for all alerts names no receiver"),
        (
            {**routes(), "route": {"receiver": "hook", "routes": [{"routes": [{"receiver": "deep"}]}]}},
            "a route to 'deep' has no receiver",
        ),
    ],
)
def test_a_route_without_a_receiver(make_graph: Any, content: Any, summary: str) -> None:
    assert told(make_graph, config(content)) == [("route-without-receiver", summary)]


def test_the_operators_objects_are_looked_at_alike(make_graph: Any) -> None:
    rule = {"type": "kubernetes:monitoring.coreos.com/v1:PrometheusRule", "component": "watch"}
    routing = {"type": "kubernetes:monitoring.coreos.com/v1alpha1:AlertmanagerConfig", "component": "watch"}
    matchers = [{"name": "severity", "matchType": "=", "value": "warning"}]
    spec = {
        "route": {"receiver": "hook", "routes": [{"matchers": matchers}]},
        "receivers": [{"name": "hook", "webhookConfigs": [{"url": "https://alerts.example.com"}]}],
    }
    nodes = ({**rule, "inputs": {"spec": rules(ALERT)}}, {**routing, "inputs": {"spec": spec}})
    assert told(make_graph, *nodes) == [("alert-without-route", "no route is for alert ApiDown")]
    matchers[0]["value"] = "critical"
    assert told(make_graph, *nodes) == []


def test_an_alert_is_told_of_where_its_component_was_written(make_graph: Any) -> None:
    odd = {**ALERT, "labels": {"severity": "page", "component": "api"}}
    api = {"type": "aws:s3/bucket:Bucket", "component": "api"}
    graph = make_graph({"nodes": {"n": config(rules(odd)), "api/x": api}})
    [found] = check_alerts(graph)
    assert (found.component, found.location) == ("api", graph.sources["api"])
    assert graph.sources["api"] != graph.sources["watch"]
