"""KWOK nodes in the place of the machines that a blueprint declares: the scheduler counts them, nothing runs on them.

Each pool gets as many nodes as it may have machines: what does not fit then would not fit in the cloud either. A stack
that declares no pool gets one node without taints, so that what it deploys has a place.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.graph import Pool
from mlinfra.providers.kubernetes.client import Cluster, Object

POOL: Final = "mlinfra.dev/pool"
"""The label that marks a node as ours and names its pool."""
DIGEST: Final = "mlinfra.dev/node-digest"
_SYSTEM: Final = "node.kubernetes.io/"
_BETA: Final = "beta.kubernetes.io/"
"""Taints, and labels, that Kubernetes' own controllers set:
https://kubernetes.io/docs/reference/labels-annotations-taints/"""
_THREADS: Final = 16
_READY_SECONDS: Final = 60.0
FALLBACK: Final = Pool("default", instance_type="local", cpu=16, memory=64)


@dataclass(frozen=True, slots=True)
class Changes:
    """How many nodes one reconciliation made, changed and deleted, and how many there are now."""

    created: int
    changed: int
    deleted: int
    total: int


def declared(pools: Sequence[Pool], region: str) -> dict[str, Object]:
    """The nodes for a stack's pools, by name."""
    manifests = [_manifest(pool, index, region) for pool in pools or (FALLBACK,) for index in range(pool.max)]
    return {manifest["metadata"]["name"]: manifest for manifest in manifests}


def reconcile(cluster: Cluster, wanted: Mapping[str, Object], tell: Callable[[str], None] | None = None) -> Changes:
    """Bring the cluster's nodes that are ours to what is wanted: make the missing, change and delete others.

    Returns once every node is ready to take pods; raises `MlinfraError` where that does not come about. Nodes of others
    are left alone.
    """
    live = {node["metadata"]["name"]: node for node in cluster.list("v1", "Node", labels=POOL)}
    missing = [node for name, node in wanted.items() if name not in live]
    changed = [(live[name], node) for name, node in wanted.items() if name in live and _differs(live[name], node)]
    surplus = [name for name in live if name not in wanted]
    if missing or changed or surplus:
        if tell:
            tell(f"{len(wanted)} nodes: {len(missing)} to make, {len(changed)} to change, {len(surplus)} to delete")
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(lambda node: cluster.request("POST", "/api/v1/nodes", node), missing))
            list(threads.map(lambda pair: _change(cluster, *pair), changed))
            list(threads.map(lambda name: cluster.delete("v1", "Node", name), surplus))
    if missing or any(not _ready(node) for node in live.values()):
        _wait_until_ready(cluster, len(wanted))
    return Changes(len(missing), len(changed), len(surplus), len(wanted))


def remove(cluster: Cluster) -> int:
    """Delete every node that is ours; returns how many."""
    return reconcile(cluster, {}).deleted


def _manifest(pool: Pool, index: int, region: str) -> Object:
    name = f"{pool.name}-{index}"
    resources = {
        "cpu": f"{round(pool.cpu * 1000)}m",
        "memory": f"{round(pool.memory * 1024)}Mi",
        "pods": str(pool.pods),
        "ephemeral-storage": "1Ti",  # no pool declares it, so it is no limit
    }
    if pool.gpus:
        resources["nvidia.com/gpu"] = str(pool.gpus)
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": pool.instance_type,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": region + "abc"[index % 3],
        # As EKS labels the nodes of a managed node group:
        # https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
        "eks.amazonaws.com/nodegroup": pool.name,
        "eks.amazonaws.com/capacityType": "SPOT" if pool.spot else "ON_DEMAND",
        **pool.labels,
        POOL: pool.name,
    }
    taints = [{"key": key, "value": value, "effect": effect} for key, value, effect in pool.taints]
    manifest: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {"capacity": resources, "allocatable": resources},
    }
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    manifest["metadata"]["annotations"] = {DIGEST: digest}
    return manifest


def _differs(live: Object, node: Object) -> bool:
    """Whether a node was declared otherwise when it was made, or was changed by somebody since."""
    there, wanted = live["metadata"], node["metadata"]
    return (
        there.get("annotations", {}).get(DIGEST) != wanted["annotations"][DIGEST]
        or not wanted["labels"].items() <= there["labels"].items()
        or _declared_taints(live) != node["spec"]["taints"]
    )


def _declared_taints(live: Object) -> list[dict[str, Any]]:
    found = [taint for taint in live["spec"].get("taints", []) if not taint["key"].startswith(_SYSTEM)]
    return [{"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]} for taint in found]


def _change(cluster: Cluster, live: Object, node: Object) -> None:
    """Merge patches, without a resource version, since KWOK writes to nodes at the same time.

    The annotation comes last: a change that is interrupted is made again.
    """
    path = f"/api/v1/nodes/{node['metadata']['name']}"
    resources = {**dict.fromkeys(live["status"].get("capacity", {})), **node["status"]["capacity"]}
    status = {"status": {"capacity": resources, "allocatable": resources}}
    there = [key for key in live["metadata"]["labels"] if not key.startswith(_BETA)]
    labels = {**dict.fromkeys(there), **node["metadata"]["labels"]}
    system = [taint for taint in live["spec"].get("taints", []) if taint["key"].startswith(_SYSTEM)]
    main = {
        "metadata": {"labels": labels, "annotations": node["metadata"]["annotations"]},
        "spec": {"taints": system + node["spec"]["taints"]},
    }
    for where, patch in ((f"{path}/status", status), (path, main)):
        cluster.request("PATCH", where, patch, content_type="application/merge-patch+json")


def _ready(node: Object) -> bool:
    """Whether the scheduler takes a node: until its controller has seen it ready, it has a taint of the system's."""
    system = any(taint["key"].startswith(_SYSTEM) for taint in node["spec"].get("taints", []))
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not system


def _wait_until_ready(cluster: Cluster, count: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while (ready := sum(map(_ready, cluster.list("v1", "Node", labels=POOL)))) < count:
        if time.monotonic() > deadline:
            raise MlinfraError(
                Diagnostic(
                    f"{ready} of {count} local nodes became ready within {_READY_SECONDS:.0f} s",
                    detail="KWOK, which plays the nodes, or the controller manager does not keep up or does not work.",
                    remedy="See their logs, which `mlinfra local status` names, and run the command again.",
                    code="local-nodes-not-ready",
                )
            )
        time.sleep(0.1)
