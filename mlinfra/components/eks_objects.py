"""Kubernetes objects that a cluster of EKS has for itself: volumes by default, GPUs, machines as they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra.components.eks_addons import AUTOSCALER_ACCOUNT, SYSTEM
from mlinfra.components.eks_values import VERSIONS, Eks
from mlinfra.components.node_group import AUTOSCALER
from mlinfra.components.node_pool import GPU_PRESENT
from mlinfra.components.people import bind
from mlinfra.components.workload import container_security, pod_security, selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

_PART: Final = "app.kubernetes.io/component"

DEVICE_PLUGIN: Final = "nvcr.io/nvidia/k8s-device-plugin:v0.17.1"
"""NVIDIA's own image of its device plugin, at a fixed version (NVIDIA/k8s-device-plugin, deployments/static)."""
AUTOSCALER_IMAGE: Final = "registry.k8s.io/autoscaling/cluster-autoscaler"
_HEALTH: Final = 8085
"""The port at which the autoscaler says how it is, and its metrics."""


def add_storage_class(scope: Scope) -> None:
    """Add the class of volumes that name none: gp3, encrypted, in the zone of the pod.

    EKS has none that is the default since version 1.30 (EKS user guide, "Kubernetes versions", release notes).
    """
    body = {
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Retain" if scope.environment.tier.defaults.keeps_data else "Delete",
    }
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    name = scope.label_name("gp3")
    scope.kubernetes("storage-class", "storage.k8s.io/v1", "StorageClass", name, body, annotations=default)


def add_device_plugin(scope: Scope, eks: Eks) -> None:
    """Add NVIDIA's device plugin to machines with GPUs, which tells the cluster of them."""
    name = scope.label_name("nvidia-device-plugin")
    folder = "/var/lib/kubelet/device-plugins"
    container = {
        "name": "nvidia-device-plugin",
        "image": eks.images.get("nvidia-device-plugin", DEVICE_PLUGIN),
        "env": [{"name": "FAIL_ON_INIT_ERROR", "value": "false"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": container_security(read_only=True),
        "volumeMounts": [{"name": "device-plugins", "mountPath": folder}],
    }
    pod = {
        "nodeSelector": {GPU_PRESENT: "true"},
        "tolerations": [{"operator": "Exists"}],  # whatever a pool's taints are, its GPUs are to be known
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": False,
        # Of root it has the name alone, for kubelet's folder: no capability, no privilege to be had.
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "device-plugins", "hostPath": {"path": folder, "type": "Directory"}}],
    }
    _run(scope, "device-plugin", "DaemonSet", name, pod, {})


def add_autoscaler(scope: Scope, eks: Eks, cluster: str) -> None:
    """Add the cluster autoscaler, which finds this cluster's node groups by their tags.

    Sources: Cluster Autoscaler, examples/cluster-autoscaler-autodiscover.yaml, and FAQ, "How can I scale my cluster to
    just 1 node?" for what its flags mean.
    """
    account = scope.kubernetes(
        "autoscaler-account",
        "v1",
        "ServiceAccount",
        AUTOSCALER_ACCOUNT,
        {"automountServiceAccountToken": True},
        namespace=SYSTEM,
    )
    _let_autoscaler(scope, account)
    found = f"asg:tag={AUTOSCALER}/enabled,{AUTOSCALER}/{cluster}"
    # It fails where no round of scaling has ended for a while (Cluster Autoscaler, FAQ, "What are the parameters to
    # CA?": `address`, `max-inactivity`).
    alive = {"httpGet": {"path": "/health-check", "port": _HEALTH}, "periodSeconds": 30, "timeoutSeconds": 5}
    container = {
        "name": "cluster-autoscaler",
        "image": eks.images.get("cluster-autoscaler", f"{AUTOSCALER_IMAGE}:{VERSIONS[eks.version].autoscaler}"),
        "command": [
            "./cluster-autoscaler",
            "--cloud-provider=aws",
            f"--node-group-auto-discovery={found}",
            "--balance-similar-node-groups",
            "--expander=least-waste",
            "--skip-nodes-with-system-pods=false",
        ],
        "env": [{"name": "AWS_REGION", "value": scope.environment.region}],
        "ports": [{"name": "health", "containerPort": _HEALTH, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "600Mi"}, "limits": {"memory": "600Mi"}},
        "securityContext": container_security(read_only=True),
        "readinessProbe": alive,
        "livenessProbe": {**alive, "failureThreshold": 10},
    }
    pod = {
        "serviceAccountName": Ref(account.node, ("metadata", "name")),
        "priorityClassName": "system-cluster-critical",
        "securityContext": pod_security(65534),
        "containers": [container],
    }
    _run(scope, "autoscaler", "Deployment", scope.label_name("autoscaler"), pod, {"replicas": 1})


def _run(
    scope: Scope, local: str, kind: str, name: str, pod: Mapping[str, Value], settings: Mapping[str, Value]
) -> None:
    labels = {**selector(scope), _PART: local}
    template = {"metadata": {"labels": labels}, "spec": dict(pod)}
    spec = {**settings, "selector": {"matchLabels": labels}, "template": template}
    scope.kubernetes(f"{local}-pods", "apps/v1", kind, name, {"spec": spec}, namespace=SYSTEM)


_RULES: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("", ("events", "endpoints"), ("create", "patch")),
    ("", ("pods/eviction",), ("create",)),
    ("", ("pods/status",), ("update",)),
    ("", ("nodes",), ("get", "list", "watch", "update", "delete")),
    (
        "",
        ("namespaces", "pods", "services", "replicationcontrollers", "persistentvolumeclaims", "persistentvolumes"),
        ("get", "list", "watch"),
    ),
    ("apps", ("daemonsets", "replicasets", "statefulsets"), ("get", "list", "watch")),
    ("batch", ("jobs", "cronjobs"), ("get", "list", "watch", "patch")),
    ("policy", ("poddisruptionbudgets",), ("get", "list", "watch")),
    (
        "storage.k8s.io",
        ("storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"),
        ("get", "list", "watch"),
    ),
    ("resource.k8s.io", ("deviceclasses", "resourceclaims", "resourceslices"), ("get", "list", "watch")),
)
"""What the autoscaler looks at in the whole cluster, and does to machines and pods."""

_OWN_RULES: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]] = (
    ("coordination.k8s.io", ("leases",), (), ("create",)),
    ("coordination.k8s.io", ("leases",), ("cluster-autoscaler",), ("get", "update")),
    ("", ("configmaps",), (), ("create", "list", "watch")),
    ("", ("configmaps",), ("cluster-autoscaler-status",), ("get", "update", "delete")),
)
"""What it keeps for itself in its namespace: a lease, and how it is."""


def _let_autoscaler(scope: Scope, account: Ref) -> None:
    """Roles of the autoscaler's pods in the cluster."""
    name = scope.label_name("autoscaler")
    everywhere = [{"apiGroups": [group], "resources": [*what], "verbs": [*verbs]} for group, what, verbs in _RULES]
    own = [
        {
            "apiGroups": [group],
            "resources": [*what],
            **({"resourceNames": [*names]} if names else {}),
            "verbs": [*verbs],
        }
        for group, what, names, verbs in _OWN_RULES
    ]
    subjects = [{"kind": "ServiceAccount", "name": Ref(account.node, ("metadata", "name")), "namespace": SYSTEM}]
    bind(scope, "autoscaler-everywhere", name, everywhere, subjects)
    bind(scope, "autoscaler-own", name, own, subjects, SYSTEM)
