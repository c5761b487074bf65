"""Prometheus' configuration and its rules, from what is watched.

All of it is plain data first, which others can make something else of; `text` is how it stands in a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.authoring import Component
from mlinfra.components.signals import PROMETHEUS_LABEL, PROMETHEUS_VARIANT, Record, Signal
from mlinfra.components.values import Route

STATE_METRICS_PORT: Final = 8082
"""Where the Prometheus operator runs the pod, 8080 and 8081 are those of its config reloader."""
PORT: Final = 9090
CONFIG: Final = "prometheus.yml"
RULES: Final = "rules.yml"
FOLDER: Final = "/etc/prometheus"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a group of rules is about: a component, what it says of itself and which metrics it gives, and the team that
    hears of its alerts."""

    component: Component
    team: str
    signals: tuple[Signal, ...]
    records: tuple[Record, ...] = ()
    exports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Targets:
    """What is scraped beside the pods of the namespace that ask for it, and who is told of alerts; hosts with ports."""

    alertmanagers: Sequence[str] = ()
    pushgateway: str = ""
    gpu_namespace: str = ""
    others: Sequence[str] = ()


def configuration(scrape_seconds: int, external_labels: Mapping[str, str], targets: Targets) -> dict[str, Any]:
    """`prometheus.yml` as data: what is scraped, and where alerts go.

    Source: Prometheus, "Configuration".
    """
    jobs = [_pods(), _static("kube-state-metrics", f"localhost:{STATE_METRICS_PORT}", honor=True)]
    jobs.append(_static("prometheus", f"localhost:{PORT}"))
    if targets.pushgateway:
        # What is pushed says itself of which component it is.
        jobs.append(_static("pushgateway", targets.pushgateway, honor=True))
    if targets.gpu_namespace:
        jobs.append(_gpus(targets.gpu_namespace))
    if targets.others:
        jobs.append(_others(targets.others))
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": f"{scrape_seconds}s",
            "evaluation_interval": f"{scrape_seconds}s",
            "external_labels": dict(external_labels),
        },
        "rule_files": [f"{FOLDER}/{RULES}"],
        "scrape_configs": jobs,
    }
    if targets.alertmanagers:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": list(targets.alertmanagers)}]}]}
    return config


def rules(subjects: Iterable[Subject], route: Route) -> dict[str, Any]:
    """`rules.yml` as data: for each component a group that records series, and one with an alert for each signal."""
    groups: list[dict[str, Any]] = []
    for subject in subjects:
        name = subject.component.identity
        if subject.records:
            groups.append({"name": f"{name}-records", "rules": [_record(name, item) for item in subject.records]})
        if asked := [item for item in subject.signals if item.expression]:
            groups.append({"name": name, "rules": [_alert(subject, item, route) for item in asked]})
    return {"groups": groups}


def alert_name(component: Component, signal: Signal) -> str:
    """`ApiDown` for the signal `Down` of a component `api`."""
    return "".join(part.capitalize() for part in component.identity.split("-")) + signal.name


def _record(component: str, record: Record) -> dict[str, Any]:
    return {
        "record": record.name,
        "expr": record.expression,
        "labels": {"component": component, **record.labels},
    }


def _alert(subject: Subject, signal: Signal, route: Route) -> dict[str, Any]:
    way = route.of(subject.team)
    receiver = way.critical if signal.severity == "critical" else way.warning
    return {
        "alert": alert_name(subject.component, signal),
        "expr": signal.expression,
        "for": f"{signal.minutes}m",
        "labels": {
            "severity": signal.severity,
            "component": subject.component.identity,
            "team": subject.team,
            "receiver": str(receiver),
        },
        "annotations": {"summary": signal.summary},
    }


def _pods() -> dict[str, Any]:
    """Pods with the annotations `prometheus.io/scrape`, `port` and `path`."""
    meta = "__meta_kubernetes_pod"
    annotation = f"{meta}_annotation_prometheus_io"
    return {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"own_namespace": True}}],
        "relabel_configs": [
            {"source_labels": [f"{annotation}_scrape"], "regex": "true", "action": "keep"},
            {"source_labels": [f"{meta}_phase"], "regex": "Succeeded|Failed", "action": "drop"},
            {"source_labels": [f"{annotation}_path"], "regex": "(.+)", "target_label": "__metrics_path__"},
            {
                "source_labels": [f"{meta}_ip", f"{annotation}_port"],
                "separator": ";",
                "regex": "(.+);(.+)",
                "replacement": "$1:$2",
                "target_label": "__address__",
            },
            {"source_labels": [f"{meta}_label_{PROMETHEUS_LABEL}"], "target_label": "component"},
            {
                "source_labels": [f"{meta}_label_{PROMETHEUS_VARIANT}"],
                "regex": "(.+)",
                "target_label": "variant",
            },
            {"source_labels": [f"{meta}_name"], "target_label": "pod"},
        ],
    }


def _gpus(namespace: str) -> dict[str, Any]:
    """DCGM exporters: the pod and namespace that they name are those of who uses the GPU."""
    return {
        "job_name": "gpus",
        "honor_labels": True,
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [namespace]}}],
        "relabel_configs": [
            {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Running", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": "node"},
        ],
    }


def _static(name: str, target: str, *, honor: bool = False) -> dict[str, Any]:
    """One address. `honor`: namespace and pod are those of what is told about, not of who tells it."""
    return {
        "job_name": name,
        **({"honor_labels": True} if honor else {}),
        "static_configs": [{"targets": [target]}],
    }


def _others(hosts: Sequence[str]) -> dict[str, Any]:
    """Exporters outside: every address that a name has, which is every pod where a Service is headless."""
    ports: dict[int, list[str]] = {}
    for host in hosts:
        name, _, port = host.rpartition(":")
        ports.setdefault(int(port), []).append(name)
    found = [{"names": names, "type": "A", "port": port} for port, names in ports.items()]
    return {"job_name": "others", "honor_labels": True, "dns_sd_configs": found}
