"""Whose a thing is that was left behind, by its tags or labels: a component of the stack, or a controller in a cluster.

What controllers in a cluster make outside of it (a load balancer for a Service, a volume for a claim) is in no state,
and no destroy knows of it. Each marks what it makes with tags, which are the names below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from mlinfra.expansion import DOMAIN, MANAGER

Tags = Mapping[str, str]

_COMPONENT: Final = f"{MANAGER}:component"
_COMPONENT_LABEL: Final = f"{DOMAIN}/component"
_CLUSTER: Final = re.compile(r"^(?:kubernetes\.io/cluster|k8s\.io/cluster-autoscaler)/(?!enabled$)(.+)$")
_CLUSTER_NAMES: Final = (
    "eks:cluster-name",
    "aws:eks:cluster-name",
    "elbv2.k8s.aws/cluster",
    "alpha.eksctl.io/cluster-name",
)

_MADE_FOR: Final[tuple[tuple[str, str], ...]] = (
    ("kubernetes.io/service-name", "Service {}"),
    ("service.k8s.aws/stack", "Service {}"),
    ("ingress.k8s.aws/stack", "Ingress {}"),
    ("gateway.k8s.aws.alb/stack", "Gateway {}"),
    ("kubernetes.io/created-for/pv/name", "PersistentVolume {}"),
    ("CSIVolumeName", "PersistentVolume {}"),
    ("karpenter.sh/nodeclaim", "Karpenter's NodeClaim {}"),
    ("karpenter.sh/nodepool", "Karpenter's NodePool {}"),
    ("eks:nodegroup-name", "node group {}"),
)
"""Tags that name the object in the cluster that something was made for. Sources: cloud-provider-aws ("Prerequisites",
"Service controller"), AWS Load Balancer Controller ("Resource tags"), aws-ebs-csi-driver ("Tagging"), Karpenter."""


def owner_by_tags(tags: Tags) -> str:
    """Whose an AWS resource is, in words; empty where its tags say nothing of it."""
    if component := tags.get(_COMPONENT):
        return f"component {component}, which destroy has left"
    cluster = _cluster(tags)
    what = _made_for(tags)
    if cluster and what:
        return f"cluster {cluster}: a controller in it made it for {what}"
    if cluster:
        return f"cluster {cluster}: a controller in it made it"
    return f"a cluster: a controller in it made it for {what}" if what else ""


def owner_by_labels(labels: Tags, owners: list[str]) -> str:
    """Whose an object in the cluster is, in words; `owners` are its owner references, as `Kind name`."""
    manager = labels.get("app.kubernetes.io/managed-by")
    ours = labels.get("app.kubernetes.io/name") if manager == MANAGER else ""
    if component := labels.get(_COMPONENT_LABEL) or ours:
        return f"component {component}, which destroy has left"
    if owners:
        return f"made for {', '.join(owners)}"
    return f"managed by {manager}" if manager else ""


def _cluster(tags: Tags) -> str:
    for key, value in sorted(tags.items()):
        if (match := _CLUSTER.match(key)) and value != "shared":  # what is shared was there before the cluster
            return match[1]
    return next((tags[name] for name in _CLUSTER_NAMES if tags.get(name)), "")


def _made_for(tags: Tags) -> str:
    claim = "kubernetes.io/created-for/pvc/"
    if name := tags.get(f"{claim}name"):
        return f"PersistentVolumeClaim {tags.get(f'{claim}namespace', 'default')}/{name}"
    return next((words.format(tags[key]) for key, words in _MADE_FOR if tags.get(key)), "")
