"""NVIDIA's DCGM exporter, which tells how GPUs are used: on the machines with GPUs of what a `Monitoring` watches.

It has a namespace of its own: to tell which pod has which GPU it reads a socket of the kubelet from the machine, which
the levels `baseline` and `restricted` refuse (Kubernetes, "Pod Security Standards", "HostPath Volumes"). Sources:
NVIDIA, "DCGM-Exporter"; Kubernetes, "Device Plugins", "Monitoring device plugin resources".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.monitoring_part import shared_labels
from mlinfra.components.network_policies import NAMESPACE_LABEL, NETWORKING, let_out, pods, tcp
from mlinfra.components.node_pool import GPU_PRESENT, INSTANCE_TYPE, NodePool
from mlinfra.components.people import bind
from mlinfra.components.promql import is_among
from mlinfra.components.workload import COMPONENT_LABEL, Request, pod_labels
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

PORT: Final = 9400
METRICS: Final = ("DCGM_FI_DEV_*",)
_NAME: Final = "gpu-exporter"
_SOCKETS: Final = "/var/lib/kubelet/pod-resources"
_REQUEST: Final = Request(cpu=0.1, memory=0.5)


def pools(monitoring: Monitoring) -> list[NodePool]:
    """The pools whose GPUs are watched; none where the metrics are declared to come from elsewhere."""
    if is_among("DCGM_FI_DEV_GPU_UTIL", monitoring.external_metrics):
        return []
    asking = (component for component in monitoring.watches if getattr(component, "gpus", 0))
    found = (getattr(component, "pool", None) for component in asking)
    return list(dict.fromkeys(pool for pool in found if pool is not None and pool.machine.gpus))


def namespace(scope: Scope) -> str:
    """The name of the exporter's namespace."""
    return scope.label_name("gpu")


def add(monitoring: Monitoring, scope: Scope, account: Ref) -> None:
    """The exporter, where GPUs are watched, and what Prometheus may do there: find its pods and ask them."""
    watched = pools(monitoring)
    if not watched:
        return
    made = scope.kubernetes(
        "gpu-namespace",
        "v1",
        "Namespace",
        namespace(scope),
        {},
        labels={f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "warn", "audit")},
        provider=scope.kubernetes_provider(monitoring.cluster.namespace),
    )
    space = Ref(made.node, ("metadata", "name"))
    labels = {**pod_labels(scope), **_selector(scope)}
    spec = {
        "selector": {"matchLabels": _selector(scope)},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}},
        "template": {"metadata": {"labels": labels}, "spec": _pod(monitoring, scope, watched)},
    }
    name = f"{scope.component.identity}-{_NAME}"
    scope.kubernetes(_NAME, "apps/v1", "DaemonSet", name, {"spec": spec}, namespace=space)
    subject = {"kind": "ServiceAccount", "name": account, "namespace": monitoring.cluster.namespace}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    bind(scope, "gpu-discovery", name, rules, [subject], space)
    _close(monitoring, scope, space)


def _selector(scope: Scope) -> dict[str, str]:
    return {COMPONENT_LABEL: f"{scope.component.identity}.{_NAME}"}


def _close(monitoring: Monitoring, scope: Scope, space: Value) -> None:
    """Nobody but Prometheus asks the exporter, and it asks nobody."""
    asking = {
        "podSelector": {"matchLabels": shared_labels(scope)},
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: monitoring.cluster.namespace}},
    }
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [asking], **tcp(PORT)}]}
    name = f"{scope.component.identity}.{_NAME}"
    scope.kubernetes(f"{_NAME}-policy", NETWORKING, "NetworkPolicy", name, {"spec": spec}, namespace=space)
    way = {"to": [pods(_selector(scope), space)], **tcp(PORT)}
    let_out(scope, monitoring.cluster.namespace, way)


def _pod(monitoring: Monitoring, scope: Scope, watched: list[NodePool]) -> dict[str, Value]:
    container = {
        "name": _NAME,
        "image": monitoring.gpu_exporter_image,
        "env": [
            {"name": "DCGM_EXPORTER_KUBERNETES", "value": "true"},
            {"name": "DCGM_EXPORTER_LISTEN", "value": f":{PORT}"},
        ],
        "ports": [{"name": "metrics", "containerPort": PORT, "protocol": "TCP"}],
        "resources": _REQUEST.resources(),
        # The kubelet's socket is root's. Without SYS_ADMIN there are no profiling metrics (`DCGM_FI_PROF_…`).
        "securityContext": {
            "runAsUser": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "pod-resources", "mountPath": _SOCKETS, "readOnly": True}],
        # DCGM takes a while to find the GPUs of a large machine.
        "startupProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 10, "failureThreshold": 12},
        "readinessProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 10},
        "livenessProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 10, "failureThreshold": 6},
    }
    taints = {taint for pool in watched for taint in pool.all_taints}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _machines(scope, watched)}},
        "tolerations": [
            {"key": key, "operator": "Exists", "effect": effect}
            for key, effect in sorted({(key, effect) for key, _, effect in taints})
        ],
        "containers": [container],
        "volumes": [{"name": "pod-resources", "hostPath": {"path": _SOCKETS, "type": "Directory"}}],
    }


def _machines(scope: Scope, watched: list[NodePool]) -> dict[str, Value]:
    """Machines are known by instance type, which only AWS's have; elsewhere by the mark of NVIDIA's operators."""
    types = sorted({pool.instance_type for pool in watched})
    wanted = {"key": GPU_PRESENT, "operator": "In", "values": ["true"]}
    if scope.environment.has_aws:
        wanted = {"key": INSTANCE_TYPE, "operator": "In", "values": types}
    return {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}
