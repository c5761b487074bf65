"""Kinds of controllers that do not run on the local target: the API server knows their fields, nothing acts on them.

Kueue's queues, KubeRay's RayJobs, Argo Rollouts' Rollouts, Gateway API's routes and others are made like any other
object, and refused when a field is wrong. What would come of them is not known here: a queue lets nothing in, and no
Ray cluster starts. The definitions are in `crds/`, written from the fields that the projects' API references describe,
and each names the one that it follows.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from mlinfra.expansion import DOMAIN, MANAGER
from mlinfra.graph import Graph
from mlinfra.naming import short_hash
from mlinfra.providers.kubernetes.client import Cluster

FOLDER: Final = Path(__file__).with_name("crds")
KIND: Final = "CustomResourceDefinition"
API: Final = "apiextensions.k8s.io/v1"

COMPARED: Final[Mapping[str, tuple[str, str]]] = {
    "argoproj.io": ("github.com/argoproj/argo-rollouts", "v1.8.3"),
    "gateway.networking.k8s.io": ("sigs.k8s.io/gateway-api", "v1.5.1"),
    "kueue.x-k8s.io": ("sigs.k8s.io/kueue", "v0.15.0"),
    "monitoring.coreos.com": ("github.com/prometheus-operator/prometheus-operator", "v0.85.0"),
    "ray.io": ("github.com/ray-project/kuberay/ray-operator", "v1.5.1"),
}
"""The Go module, and its version, that has the projects' own definitions of a group, against which ours are tested."""

LOCAL: Final = f"{DOMAIN}/local"
"""The label of what the local target itself puts into its cluster."""

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's takes a tenth of the time
_DIGEST: Final = f"{DOMAIN}/definition-digest"
_OWN: Final = f"kubernetes:{API}:{KIND}"
_TEMPLATES: Final[Mapping[str, str]] = {"rayjob": "ray.io"}
"""The groups of what runs are made as, by what the label of a template in a ConfigMap says."""

_SECONDS: Final = 30.0


def every() -> tuple[Mapping[str, Any], ...]:
    """All the definitions there are."""
    return tuple(item for path in sorted(FOLDER.glob("*.yaml")) for item in _of_group(path.stem))


@functools.cache
def _of_group(group: str) -> tuple[Mapping[str, Any], ...]:
    """The definitions of a group, which has a file of its own: they are read in each run that needs them."""
    path = FOLDER / f"{group}.yaml"
    if not path.exists():
        return ()
    return tuple(yaml.load_all(path.read_text(encoding="utf-8"), _LOADER))


def missing(graph: Graph) -> list[Mapping[str, Any]]:
    """The definitions that a graph's objects, and the runs of its jobs, need and that it does not bring itself."""
    brought = {str(node.inputs.get("metadata", {}).get("name")) for node in graph if node.type == _OWN}
    groups = sorted({group for group in _groups(graph) if "." in group})
    return [item for group in groups for item in _of_group(group) if item["metadata"]["name"] not in brought]


def ensure(kubeconfig: Path, graph: Graph) -> None:
    """See to it that a local cluster serves what a graph needs, before anything of it is made."""
    if not (wanted := missing(graph)):
        return
    cluster = Cluster.from_kubeconfig(kubeconfig)
    try:
        for item in wanted:
            _put(cluster, item)
        for item in wanted:
            spec = item["spec"]
            cluster.resource(f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"], _SECONDS)
    finally:
        cluster.close()


def _groups(graph: Graph) -> Iterable[str]:
    for node in graph:
        package, _, rest = node.type.partition(":")
        if package == "kubernetes":
            yield rest.partition("/")[0]
            labels = node.inputs.get("metadata", {}).get("labels", {})
            yield _TEMPLATES.get(str(labels.get(f"{DOMAIN}/template")), "")


def _put(cluster: Cluster, item: Mapping[str, Any]) -> None:
    """Make or change a definition; nothing to do where it is there as it should be, or somebody else's is."""
    live = cluster.get(API, KIND, item["metadata"]["name"])
    digest = short_hash(json.dumps(item, sort_keys=True), length=16)
    if live is not None and live["metadata"].get("annotations", {}).get(_DIGEST, digest) == digest:
        return
    notes = {**item["metadata"].get("annotations", {}), _DIGEST: digest}
    metadata = {**item["metadata"], "labels": {LOCAL: "true"}, "annotations": notes}
    cluster.apply({**item, "metadata": metadata}, manager=f"{MANAGER}-local", force=True)
