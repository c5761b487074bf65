"""The pods of KubeRay's resources: a head, workers in groups, and for a job the pod that hands it in.

Sources: KubeRay, API reference (`RayCluster`, `RayJob`), "Autoscaling" and "RayJob" (`submissionMode`); the resources
of what KubeRay adds by itself: `GetDefaultSubmitterContainer` and `BuildAutoscalerContainer` of its operator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from mlinfra.checks.access.symbols import Symbols, at
from mlinfra.checks.capacity.requests import listed, mapped, whole
from mlinfra.expansion import DOMAIN
from mlinfra.graph import Node

TEMPLATE: Final = f"{DOMAIN}/template"
"""The label of a ConfigMap that holds the manifest of a run."""

MANIFEST: Final = "manifest.json"
_KINDS: Final = ("RayJob", "RayCluster")
TOKENS: Final = tuple(f"kubernetes:ray.io/v1:{kind}" for kind in _KINDS)
_SUBMITTER: Final = {"requests": {"cpu": "500m", "memory": "200Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
_AUTOSCALER: Final = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}


class RayGroup(NamedTuple):
    """Pods of one template."""

    template: Any
    fewest: int
    most: int
    role: str


def manifest(symbols: Symbols, node: Node) -> Mapping[str, Any] | None:
    """The manifest that a node is or holds; None where it is something else."""
    if node.type in TOKENS:
        return {"kind": node.type.rpartition(":")[2], **mapped(symbols.value(dict(node.inputs)))}
    if at(node.inputs, "metadata", "labels", TEMPLATE) is None:
        return None
    try:
        found = json.loads(symbols.text(at(node.inputs, "data", MANIFEST)))
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("kind") in _KINDS else None


def groups(record: Mapping[str, Any]) -> Iterator[RayGroup]:
    """The pods of a manifest, by role."""
    job = record.get("kind") == "RayJob"
    spec = record.get("spec")
    cluster = at(spec, "rayClusterSpec") if job else spec
    scales = at(cluster, "enableInTreeAutoscaling") is True
    if cluster is None:  # a job for a cluster that is there already
        return
    head = at(cluster, "headGroupSpec", "template")
    yield RayGroup(_with_autoscaler(head) if scales else head, 1, 1, "head")
    for index, group in enumerate(listed(cluster, "workerGroupSpecs")):
        hosts = whole(at(group, "numOfHosts"), 1)
        fixed = whole(at(group, "replicas"), 1)
        fewest = whole(at(group, "minReplicas"), fixed) if scales else fixed
        most = max(fewest, whole(at(group, "maxReplicas"), fixed)) if scales else fixed
        name = str(at(group, "groupName") or f"workers {index + 1}")
        yield RayGroup(at(group, "template"), fewest * hosts, most * hosts, name)
    if job and at(spec, "submissionMode") in (None, "K8sJobMode"):
        own = at(spec, "submitterPodTemplate")
        plain = {"spec": {"containers": [{"name": "ray-job-submitter", "resources": _SUBMITTER}]}}
        yield RayGroup(own if own is not None else plain, 1, 1, "submitter")


def _with_autoscaler(template: Any) -> Any:
    """The head's template with the container that KubeRay puts beside it."""
    containers = [*listed(at(template, "spec"), "containers"), {"name": "autoscaler", "resources": _AUTOSCALER}]
    return {**mapped(template), "spec": {**mapped(template, "spec"), "containers": containers}}
