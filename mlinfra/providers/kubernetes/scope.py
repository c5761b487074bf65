"""Whether a kind lives in namespaces, known without asking the cluster wherever that is possible.

The engine checks inputs one after the other, so that a request in a check would be waited for by everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.objects import lookup

_BUILT_IN: Final = frozenset(
    [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    ]
)
"""The API groups of Kubernetes with a dot in their names: https://kubernetes.io/docs/reference/kubernetes-api/"""

_CLUSTER_WIDE: Final = frozenset(
    [
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "ComponentStatus",
        "CustomResourceDefinition",
        "DeviceClass",
        "DeviceTaintRule",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "SelfSubjectAccessReview",
        "SelfSubjectReview",
        "SelfSubjectRulesReview",
        "ServiceCIDR",
        "StorageClass",
        "StorageVersion",
        "StorageVersionMigration",
        "SubjectAccessReview",
        "TokenReview",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    ]
)
"""Kinds of Kubernetes without namespaces: `kubectl api-resources --namespaced=false`."""

_CUSTOM_CLUSTER_WIDE: Final = frozenset(
    {
        ("kueue.x-k8s.io", kind)
        for kind in ("AdmissionCheck", "ClusterQueue", "Cohort", "ResourceFlavor", "Topology", "WorkloadPriorityClass")
    }
    | {("karpenter.sh", "NodePool"), ("karpenter.sh", "NodeClaim"), ("karpenter.k8s.aws", "EC2NodeClass")}
    | {("argoproj.io", "ClusterWorkflowTemplate"), ("argoproj.io", "ClusterAnalysisTemplate")}
    | {("gateway.networking.k8s.io", "GatewayClass"), ("serving.kserve.io", "ClusterServingRuntime")}
    | {("cert-manager.io", "ClusterIssuer")}
)
"""Custom kinds without namespaces, for when neither the cluster nor a definition in the program says so."""


class Scopes:
    """What is known of one program and its cluster. Definitions of custom kinds are noted as they are checked."""

    def __init__(self) -> None:
        self._defined: dict[tuple[str, str], bool] = {}

    def note(self, definition: Mapping[str, Any]) -> None:
        """Remember what a CustomResourceDefinition of the program says."""
        group, kind = lookup(definition, "spec", "group"), lookup(definition, "spec", "names", "kind")
        scope = lookup(definition, "spec", "scope")
        if isinstance(group, str) and isinstance(kind, str) and isinstance(scope, str):
            self._defined[group, kind] = scope == "Namespaced"

    def namespaced(self, api_version: str, kind: str, cluster: Cluster | None) -> bool:
        """Whether objects of a kind live in namespaces."""
        group = api_version.rpartition("/")[0]
        if "." not in group or group in _BUILT_IN:
            return kind not in _CLUSTER_WIDE
        if (group, kind) in self._defined:
            return self._defined[group, kind]
        return _ask(api_version, kind, cluster, (group, kind) not in _CUSTOM_CLUSTER_WIDE)


def _ask(api_version: str, kind: str, cluster: Cluster | None, otherwise: bool) -> bool:
    if cluster is None:
        return otherwise
    try:
        found = cluster.discovery.find(api_version, kind)
    except MlinfraError:  # told by the first method that needs the cluster; a check does not
        return otherwise
    return found.namespaced if found else otherwise
