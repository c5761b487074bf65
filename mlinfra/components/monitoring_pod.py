"""The pod of `Monitoring`, Prometheus with kube-state-metrics at its side, and what both may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components import prometheus
from mlinfra.components.metric_sources import STATE_METRICS
from mlinfra.components.monitoring_part import NOBODY
from mlinfra.components.people import bind
from mlinfra.components.workload import COMPONENT_LABEL, HTTP, Request, container_security, pod_security
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

PORT: Final = prometheus.PORT
_DATA: Final = "/prometheus"
_STATE_METRICS: Final = Request(cpu=0.05, memory=0.125)


def permissions(scope: Scope, namespace: Value, account: Ref) -> None:
    """A role to find the namespace's pods, and what else kube-state-metrics tells of, for the service account."""
    rules = [
        {"apiGroups": [group], "resources": list(resources), "verbs": ["get", "list", "watch"]}
        for group, resources in STATE_METRICS.items()
    ]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    bind(scope, "discovery", scope.component.identity, rules, [subject], namespace)


def spec(monitoring: Monitoring, account: Ref, config: Ref, retention_days: int) -> dict[str, Value]:
    """The pod's spec. `config` names the ConfigMap with Prometheus' files."""
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "priorityClassName": monitoring.cluster.priority_class("serving"),
        "securityContext": pod_security(NOBODY),
        "containers": [_prometheus(monitoring, retention_days), state_metrics(monitoring)],
        "volumes": [
            {"name": "config", "configMap": {"name": config}},
            # Room for the write-ahead log on top of what retention counts.
            {"name": "data", "emptyDir": {"sizeLimit": f"{monitoring.storage_gib + 2}Gi"}},
        ],
    }


def _prometheus(monitoring: Monitoring, retention_days: int) -> dict[str, Value]:
    """Flags: Prometheus, "Storage" and the command line's own help."""
    return {
        "name": "prometheus",
        "image": monitoring.prometheus_image,
        "args": [
            f"--config.file={prometheus.FOLDER}/{prometheus.CONFIG}",
            f"--storage.tsdb.path={_DATA}",
            f"--storage.tsdb.retention.time={retention_days}d",
            f"--storage.tsdb.retention.size={monitoring.storage_gib}GB",
        ],
        "ports": [{"name": HTTP, "containerPort": PORT, "protocol": "TCP"}],
        "resources": monitoring.request.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [
            {"name": "config", "mountPath": prometheus.FOLDER, "readOnly": True},
            {"name": "data", "mountPath": _DATA},
        ],
        # Replaying the write-ahead log takes a while after a crash.
        "startupProbe": {"httpGet": {"path": "/-/ready", "port": HTTP}, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": HTTP}, "periodSeconds": 10},
        "livenessProbe": {"httpGet": {"path": "/-/healthy", "port": HTTP}, "periodSeconds": 10},
    }


def state_metrics(monitoring: Monitoring) -> dict[str, Value]:
    """Flags: kube-state-metrics, "Command line arguments"; only our namespace, and the label that tells components."""
    resources = ",".join(name for names in STATE_METRICS.values() for name in names)
    return {
        "name": "kube-state-metrics",
        "image": monitoring.state_metrics_image,
        "args": [
            f"--port={prometheus.STATE_METRICS_PORT}",
            "--namespaces=$(NAMESPACE)",
            f"--resources={resources}",
            f"--metric-labels-allowlist=pods=[{COMPONENT_LABEL}],jobs=[{COMPONENT_LABEL}]",
        ],
        "env": [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
        "ports": [{"name": "state-metrics", "containerPort": prometheus.STATE_METRICS_PORT, "protocol": "TCP"}],
        "resources": _STATE_METRICS.resources(),
        "securityContext": container_security(read_only=True),
        # `/livez` asks the API server too, as the project's own Deployment has it: it is nothing without.
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "state-metrics"}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "state-metrics"}, "periodSeconds": 10},
    }
