"""The local EKS: facts that AWS keeps in tables: versions, add-ons, access policies.

They are for defaults and for what nobody has. AWS's own lists are longer and grow; a version of an add-on is taken as
it is given, if it has the form of one.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Version:
    """A minor version of Kubernetes: when EKS had it first, and the ends of its two kinds of support."""

    released: datetime.date
    standard: datetime.date
    extended: datetime.date


def _version(released: str, standard: str, extended: str) -> Version:
    return Version(*(datetime.date.fromisoformat(day) for day in (released, standard, extended)))


VERSIONS: Final[Mapping[str, Version]] = {
    "1.30": _version("2024-05-23", "2025-07-23", "2026-07-23"),
    "1.31": _version("2024-09-26", "2025-11-26", "2026-11-26"),
    "1.32": _version("2025-01-23", "2026-03-23", "2027-03-23"),
    "1.33": _version("2025-05-29", "2026-07-29", "2027-07-29"),
    "1.34": _version("2025-10-02", "2026-12-02", "2027-12-02"),
    "1.35": _version("2026-01-27", "2027-03-27", "2028-03-27"),
}
"""EKS user guide, "Amazon EKS Kubernetes release calendar". They are taken whatever the day is."""
DEFAULT_VERSION: Final = "1.34"
PLATFORM: Final = "eks.1"


def minor(version: str) -> int:
    """The number that goes up by one from version to version."""
    return int(version.partition(".")[2])


ADDONS: Final[Mapping[str, tuple[str, str]]] = {
    "adot": ("observability", "v0.131.0-eksbuild.1"),
    "amazon-cloudwatch-observability": ("observability", "v4.5.0-eksbuild.1"),
    "aws-ebs-csi-driver": ("storage", "v1.51.0-eksbuild.1"),
    "aws-efs-csi-driver": ("storage", "v2.1.13-eksbuild.1"),
    "aws-fsx-csi-driver": ("storage", "v1.7.0-eksbuild.1"),
    "aws-guardduty-agent": ("security", "v1.11.0-eksbuild.4"),
    "aws-mountpoint-s3-csi-driver": ("storage", "v2.1.0-eksbuild.1"),
    "aws-privateca-connector-for-kubernetes": ("security", "v1.6.0-eksbuild.1"),
    "aws-secrets-store-csi-driver-provider": ("security", "v2.1.1-eksbuild.1"),
    "cert-manager": ("security", "v1.19.1-eksbuild.1"),
    "coredns": ("networking", "v1.12.4-eksbuild.1"),
    "eks-node-monitoring-agent": ("observability", "v1.4.1-eksbuild.1"),
    "eks-pod-identity-agent": ("security", "v1.3.9-eksbuild.3"),
    "external-dns": ("networking", "v0.19.0-eksbuild.2"),
    "fluent-bit": ("observability", "v4.2.0-eksbuild.1"),
    "kube-proxy": ("networking", ""),
    "kube-state-metrics": ("observability", "v2.17.0-eksbuild.4"),
    "metrics-server": ("observability", "v0.8.0-eksbuild.2"),
    "prometheus-node-exporter": ("observability", "v1.10.2-eksbuild.4"),
    "snapshot-controller": ("storage", "v8.3.0-eksbuild.1"),
    "vpc-cni": ("networking", "v1.20.4-eksbuild.1"),
}
"""AWS's and the community's add-ons, each with its type and the version that a cluster gets where none is named."""


def addon_version(name: str, version: str) -> str:
    """The version of an add-on that a cluster of a Kubernetes version gets where none is named.

    kube-proxy has Kubernetes' own (EKS user guide, "Manage kube-proxy in Amazon EKS clusters"). What only others sell
    is not in the table.
    """
    return (ADDONS[name][1] if name in ADDONS else "v1.0.0-eksbuild.1") or f"v{version}.0-eksbuild.1"


POLICIES: Final = (
    "AmazonAIOpsAssistantPolicy",
    "AmazonARCRegionSwitchScalingPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSBlockStorageClusterPolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSClusterInsightsPolicy",
    "AmazonEKSComputeClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSEventPolicy",
    "AmazonEKSHybridPolicy",
    "AmazonEKSLoadBalancingClusterPolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingClusterPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSSecretReaderPolicy",
    "AmazonEKSViewPolicy",
)
"""EKS user guide, "Review access policy permissions"."""
ADMIN: Final = "AmazonEKSClusterAdminPolicy"


def policy_arn(partition: str, name: str) -> str:
    """The ARN of an access policy."""
    return f"arn:{partition}:eks::aws:cluster-access-policy/{name}"
