"""One object of each representative kind, and a change to it that can be made in place."""

from __future__ import annotations

from typing import Any

CONTAINERS = [{"name": "app", "image": "registry.k8s.io/pause:3.10"}]
LABELS = {"app": "web"}


def template(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": CONTAINERS, **spec}}


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template(), **spec},
    }


def job(name: str = "job", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"template": template(restartPolicy="Never"), **spec}}


def config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def definition(plural: str, kind: str, scope: str = "Namespaced") -> dict[str, Any]:
    """A CustomResourceDefinition whose `spec.mode` cannot be changed once it is set."""
    spec = {
        "type": "object",
        "properties": {
            "mode": {
                "type": "string",
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "mode is immutable"}],
            },
            "size": {"type": "integer"},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    return {
        "metadata": {"name": f"{plural}.tests.example.com"},
        "spec": {
            "group": "tests.example.com",
            "scope": scope,
            "names": {"plural": plural, "singular": plural[:-1], "kind": kind},
            "versions": [version],
        },
    }


HPA_SPEC = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "minReplicas": 1,
    "maxReplicas": 3,
}
CLAIM_SPEC = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "waits",
    "resources": {"requests": {"storage": "1Gi"}},
}
STORAGE_CLASS = {
    "metadata": {"name": "waits"},
    "provisioner": "example.com/none",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "ConfigMap": ("kubernetes:core/v1:ConfigMap", config_map(a="1", b="2"), config_map(a="3")),
    "Secret": (
        "kubernetes:core/v1:Secret",
        {"metadata": {"name": "keys"}, "stringData": {"token": "one"}},
        {"metadata": {"name": "keys"}, "stringData": {"token": "two"}},
    ),
    "Deployment": ("kubernetes:apps/v1:Deployment", deployment(), deployment(replicas=2)),
    "Service": (
        "kubernetes:core/v1:Service",
        {"metadata": {"name": "bare"}, "spec": {"ports": [{"name": "a", "port": 80}]}},
        {"metadata": {"name": "bare"}, "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}},
    ),
    "HorizontalPodAutoscaler": (
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        {"metadata": {"name": "web"}, "spec": HPA_SPEC},
        {"metadata": {"name": "web"}, "spec": {**HPA_SPEC, "maxReplicas": 5}},
    ),
    "PodDisruptionBudget": (
        "kubernetes:policy/v1:PodDisruptionBudget",
        {"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}}},
        {"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": LABELS}}},
    ),
    "Job": ("kubernetes:batch/v1:Job", job(suspend=True), job(suspend=True, parallelism=2)),
    "PersistentVolumeClaim": (
        "kubernetes:core/v1:PersistentVolumeClaim",
        {"metadata": {"name": "disk"}, "spec": CLAIM_SPEC},
        {"metadata": {"name": "disk", "labels": LABELS}, "spec": CLAIM_SPEC},
    ),
    "Role": (
        "kubernetes:rbac.authorization.k8s.io/v1:Role",
        {"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        {
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
        },
    ),
    "RoleBinding": (
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        {
            "metadata": {"name": "readers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
        },
        {
            "metadata": {"name": "readers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [],
        },
    ),
    "PriorityClass": (
        "kubernetes:scheduling.k8s.io/v1:PriorityClass",
        {"metadata": {"name": "training"}, "value": 1000},
        {"metadata": {"name": "training"}, "value": 1000, "description": "for training"},
    ),
    "Namespace": (
        "kubernetes:core/v1:Namespace",
        {"metadata": {"name": "made"}},
        {"metadata": {"name": "made", "labels": {"team": "recsys"}}},
    ),
    "CustomResourceDefinition": (
        "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
        definition("gadgets", "Gadget"),
        {**definition("gadgets", "Gadget"), "metadata": {"name": "gadgets.tests.example.com", "labels": LABELS}},
    ),
}
"""By kind: the type token, inputs, and changed inputs."""
