"""Prometheus' configuration and alerting rules, from what is watched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import yaml

from mlinfra.components.signals import PROMETHEUS_LABEL, Signal, Watched
from mlinfra.components.values import Route

STATE_METRICS_PORT: Final = 8080
CONFIG: Final = "prometheus.yml"
RULES: Final = "rules.yml"
FOLDER: Final = "/etc/prometheus"


def configuration(scrape_seconds: int, external_labels: dict[str, str], alertmanager: str | None) -> str:
    """`prometheus.yml`: the pods of our own namespace that ask for it, and kube-state-metrics next door.

    Source: Prometheus, "Configuration".
    """
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": f"{scrape_seconds}s",
            "evaluation_interval": f"{scrape_seconds}s",
            "external_labels": external_labels,
        },
        "rule_files": [f"{FOLDER}/{RULES}"],
        "scrape_configs": [_pods(), _state_metrics()],
    }
    if alertmanager:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    return _text(config)


def rules(watched: Iterable[Watched], route: Route) -> str:
    """`rules.yml`: one group for each component, one alert for each of its signals."""
    groups = [
        {"name": component.identity, "rules": [_rule(component, signal, route) for signal in signals]}
        for component in watched
        if (signals := component.signals())
    ]
    return _text({"groups": groups})


def alert_name(component: Watched, signal: Signal) -> str:
    """`ApiDown` for the signal `Down` of a component `api`."""
    return "".join(part.capitalize() for part in component.identity.split("-")) + signal.name


def _rule(component: Watched, signal: Signal, route: Route) -> dict[str, Any]:
    receiver = route.critical if signal.severity == "critical" else route.warning
    return {
        "alert": alert_name(component, signal),
        "expr": signal.expression,
        "for": f"{signal.minutes}m",
        "labels": {"severity": signal.severity, "component": component.identity, "receiver": str(receiver)},
        "annotations": {"summary": signal.summary},
    }


def _pods() -> dict[str, Any]:
    """Pods with the annotations `prometheus.io/scrape`, `port` and `path`."""
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io"
    return {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"own_namespace": True}}],
        "relabel_configs": [
            {"source_labels": [f"{annotation}_scrape"], "regex": "true", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed", "action": "drop"},
            {"source_labels": [f"{annotation}_path"], "regex": "(.+)", "target_label": "__metrics_path__"},
            {
                "source_labels": ["__meta_kubernetes_pod_ip", f"{annotation}_port"],
                "separator": ";",
                "regex": "(.+);(.+)",
                "replacement": "$1:$2",
                "target_label": "__address__",
            },
            {"source_labels": [f"__meta_kubernetes_pod_label_{PROMETHEUS_LABEL}"], "target_label": "component"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        ],
    }


def _state_metrics() -> dict[str, Any]:
    return {
        "job_name": "kube-state-metrics",
        "honor_labels": True,  # namespace and pod are those of the object, not of kube-state-metrics
        "static_configs": [{"targets": [f"localhost:{STATE_METRICS_PORT}"]}],
    }


def _text(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, width=1000, allow_unicode=True)
