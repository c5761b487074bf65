"""A `Monitoring` in a cluster that has the Prometheus operator: the same, as its custom resources.

A Prometheus and an Alertmanager of its own, which the operator runs; what they are told is made of the same plain data
as their files are elsewhere. Source: Prometheus Operator, "API Reference".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.components import monitoring_pod, operator_alerts, prometheus
from mlinfra.components.job_queue import cluster_of
from mlinfra.components.monitoring_part import MONITORING_LABEL, NOBODY, shared_labels
from mlinfra.components.people import bind
from mlinfra.components.prometheus import Subject
from mlinfra.components.workload import HTTP, UNAWAITED, pod_labels, pod_security, selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

API: Final = "monitoring.coreos.com/v1"
NEW_API: Final = "monitoring.coreos.com/v1alpha1"

_VERSION: Final = re.compile(r":(v[0-9]+\.[0-9]+\.[0-9]+)$")
_DISCOVERS: Final = {"": ["services", "endpoints", "pods"], "discovery.k8s.io": ["endpointslices"]}


def is_there(monitoring: Monitoring) -> bool:
    """Whether the cluster says that it has the operator."""
    cluster = cluster_of(monitoring.cluster)
    return cluster is not None and cluster.prometheus_operator


def add(
    monitoring: Monitoring,
    scope: Scope,
    account: Ref,
    subjects: Iterable[Subject],
    config: Mapping[str, Any],
    days: int,
) -> None:
    """Add Prometheus with what it scrapes and its rules, and Alertmanager with its ways, unless another is named.

    `config` is Prometheus' configuration as it is elsewhere, `days` for how long series are kept.
    """
    namespace = monitoring.cluster.namespace
    _permissions(scope, namespace, account)
    for job in config["scrape_configs"]:
        _add(scope, monitoring, f"scrape-{job['job_name']}", *_scraping(job), name=job["job_name"])
    groups = prometheus.rules(subjects, monitoring.route)
    _add(scope, monitoring, "rules", API, "PrometheusRule", groups)
    told = operator_alerts.add(monitoring, scope, account)
    spec = _prometheus(monitoring, scope, account, config["global"], days)
    spec["alerting"] = {"alertmanagers": [{"apiVersion": "v2", **told}]} if told else None
    _add(
        scope,
        monitoring,
        "prometheus",
        API,
        "Prometheus",
        {key: item for key, item in spec.items() if item is not None},
    )
    ports = [{"name": HTTP, "port": prometheus.PORT, "targetPort": prometheus.PORT, "protocol": "TCP"}]
    service = {"type": "ClusterIP", "selector": selector(scope), "ports": ports}
    scope.kubernetes(
        "service",
        "v1",
        "Service",
        monitoring.identity,
        {"spec": service},
        namespace=namespace,
        annotations=UNAWAITED,  # pods are the operator's matter
    )


def _add(
    scope: Scope, monitoring: Monitoring, local: str, api: str, kind: str, spec: Mapping[str, Value], name: str = ""
) -> None:
    """Add a custom resource with the label that our Prometheus selects by."""
    scope.kubernetes(
        local,
        api,
        kind,
        f"{monitoring.identity}-{name}" if name else monitoring.identity,
        {"spec": dict(spec)},
        namespace=monitoring.cluster.namespace,
        labels=shared_labels(scope),
    )


def _permissions(scope: Scope, namespace: Value, account: Ref) -> None:
    """Prometheus finds Alertmanager by its Service (Prometheus Operator, "RBAC")."""
    rules = [
        {"apiGroups": [group], "resources": what, "verbs": ["get", "list", "watch"]}
        for group, what in _DISCOVERS.items()
    ]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    bind(scope, "services", f"{scope.component.identity}-services", rules, [subject], namespace)


def _prometheus(
    monitoring: Monitoring, scope: Scope, account: Ref, common: Mapping[str, Any], days: int
) -> dict[str, Value]:
    """The spec of the Prometheus resource; kube-state-metrics is at its side."""
    ours = {"matchLabels": {MONITORING_LABEL: monitoring.identity}}
    version = _VERSION.search(monitoring.prometheus_image)
    return {
        "image": monitoring.prometheus_image,
        "version": version.group(1) if version else None,
        "replicas": 1,
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "priorityClassName": monitoring.cluster.priority_class("serving"),
        "securityContext": pod_security(NOBODY),
        "podMetadata": {"labels": {**pod_labels(scope), **shared_labels(scope)}},
        "podMonitorSelector": ours,
        "scrapeConfigSelector": ours,
        "ruleSelector": ours,
        "scrapeInterval": common["scrape_interval"],
        "evaluationInterval": common["evaluation_interval"],
        "externalLabels": common["external_labels"],
        # Alerts have the labels that they have elsewhere, and no others.
        "prometheusExternalLabelName": "",
        "replicaExternalLabelName": "",
        "retention": f"{days}d",
        "retentionSize": f"{monitoring.storage_gib}GB",
        "storage": {"emptyDir": {"sizeLimit": f"{monitoring.storage_gib + 2}Gi"}},
        "resources": monitoring.request.resources(),
        "containers": [monitoring_pod.state_metrics(monitoring)],
    }


# ------------------------------------------------------------------------------------------------ what is scraped


def _scraping(job: Mapping[str, Any]) -> tuple[str, str, dict[str, Value]]:
    """A job of Prometheus' configuration as a resource: API, kind and spec."""
    relabelings = [_relabeling(rule) for rule in job.get("relabel_configs", ())]
    honors = {"honorLabels": True} if job.get("honor_labels") else {}
    found = job.get("kubernetes_sd_configs")
    if found:
        spaces = found[0]["namespaces"]
        named = {"namespaceSelector": {"matchNames": spaces["names"]}} if "names" in spaces else {}
        # The operator names jobs and containers itself; a pod with two ports would be two targets.
        ours = [{"targetLabel": "job", "replacement": job["job_name"]}, {"action": "labeldrop", "regex": "container"}]
        endpoint = {**honors, "relabelings": [*relabelings, *ours]}
        return API, "PodMonitor", {"selector": {}, **named, "podMetricsEndpoints": [endpoint]}
    spec: dict[str, Value] = {"jobName": job["job_name"], **honors}
    if static := job.get("static_configs"):
        spec["staticConfigs"] = static
    if names := job.get("dns_sd_configs"):
        spec["dnsSDConfigs"] = names
    return NEW_API, "ScrapeConfig", spec


def _relabeling(rule: Mapping[str, Any]) -> dict[str, Value]:
    """Fields are named as in Prometheus' file, in another case."""
    return {_camel(key): value for key, value in rule.items()}


def _camel(text: str) -> str:
    first, *rest = text.split("_")
    return first + "".join(part.capitalize() for part in rest)
