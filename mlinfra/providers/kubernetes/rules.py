"""What is known of kinds beforehand. Everything else is asked of the server.

Each entry of `IMMUTABLE` names the document it comes from; a field that is missing from it is found by a dry run, so
the table saves requests and helps where the cluster cannot be asked, and need not be complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.kubernetes.objects import lookup

_WORKLOAD: Final = (("spec", "selector"),)
"""https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#label-selector-updates"""

IMMUTABLE: Final[Mapping[str, tuple[Path, ...]]] = {
    "Deployment": _WORKLOAD,
    # https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#writing-a-daemonset-spec
    "DaemonSet": _WORKLOAD,
    # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replica-set-v1/#ReplicaSetSpec
    "ReplicaSet": _WORKLOAD,
    # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/stateful-set-v1/#StatefulSetSpec
    "StatefulSet": (
        *_WORKLOAD,
        ("spec", "serviceName"),
        ("spec", "podManagementPolicy"),
        ("spec", "volumeClaimTemplates"),
    ),
    # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobSpec
    "Job": (*_WORKLOAD, ("spec", "template"), ("spec", "completionMode"), ("spec", "manualSelector")),
    # https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/
    "PersistentVolumeClaim": (
        ("spec", "accessModes"),
        ("spec", "selector"),
        ("spec", "volumeMode"),
        ("spec", "dataSource"),
    ),
    # https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/storage-class-v1/
    "StorageClass": (("provisioner",), ("parameters",), ("reclaimPolicy",), ("volumeBindingMode",)),
    # https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/
    "Secret": (("type",),),
    # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#clusterrolebinding-example
    "RoleBinding": (("roleRef",),),
    "ClusterRoleBinding": (("roleRef",),),
    # https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#priorityclass
    "PriorityClass": (("value",), ("preemptionPolicy",)),
    # https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/runtime-class-v1/
    "RuntimeClass": (("handler",),),
    # https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-class-v1/
    "IngressClass": (("spec", "controller"),),
    # https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
    "CustomResourceDefinition": (
        ("spec", "group"),
        ("spec", "scope"),
        ("spec", "names", "kind"),
        ("spec", "names", "plural"),
    ),
}

IDENTITY: Final[tuple[Path, ...]] = (("kind",), ("metadata", "name"), ("metadata", "namespace"))
"""What an object is known by: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""

SAYS_IMMUTABLE: Final = re.compile(
    r"immutab|(may|can) ?not (be )?(chang|updat|modif)|updates to .* for fields other than", re.IGNORECASE
)
"""How API servers and the rules of CustomResourceDefinitions refuse a change that only a replacement can bring."""

MUTABLE: Final = frozenset({"ConfigMap", "Secret", "Namespace", "ServiceAccount", "Role", "ClusterRole"})
"""Kinds whose fields, but for those in `IMMUTABLE` and `immutable: true`, all change in place: no dry run is
needed to find out."""

OWNERS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})
"""Kinds that are deleted after what they own, so that a replacement does not meet the pods of the old object. Others
need no garbage collector: https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion"""

SERVER_MADE: Final[tuple[Path, ...]] = (
    ("status",),
    ("metadata", "uid"),
    ("metadata", "resourceVersion"),
    ("metadata", "creationTimestamp"),
    ("metadata", "generation"),
    ("spec", "clusterIP"),
    ("spec", "clusterIPs"),
    ("spec", "volumeName"),
)
"""What the server makes up anew for each object, and what a dry run therefore cannot tell:
https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values"""

CHANGING: Final[tuple[Path, ...]] = (("status",), ("metadata", "resourceVersion"), ("metadata", "generation"))
"""What an update changes besides the fields that it sets."""

NOT_DRIFT: Final = frozenset(
    {"managedFields", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "uid", "selfLink"}
)
"""Fields of metadata that only the server writes."""


def begins_with(path: Path, prefix: Path) -> bool:
    """Whether `path` is `prefix` or leads into it."""
    return path[: len(prefix)] == prefix


def replaces(kind: str, path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a change at `path` is known to need a new object."""
    if path in IDENTITY:
        return True
    if path == ("apiVersion",):  # another version of the same group is the same object
        return str(old.get("apiVersion")).partition("/")[0] != str(new.get("apiVersion")).partition("/")[0]
    if old.get("immutable") is True and kind in ("ConfigMap", "Secret"):
        # https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-immutable
        return path[0] in ("data", "binaryData", "stringData", "immutable")
    if kind == "Job" and begins_with(path, ("spec", "template")) and lookup(old, "spec", "suspend") is True:
        # https://kubernetes.io/docs/concepts/workloads/controllers/job/#mutable-scheduling-directives
        return False
    return any(begins_with(path, field) for field in IMMUTABLE.get(kind, ()))
