"""What pods with a volume in the cluster have in common: the claim of the volume, and who is let in."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.components import network_policies
from mlinfra.components.network_policies import NETWORKING
from mlinfra.components.workload import selector
from mlinfra.environment import LOCAL
from mlinfra.expansion import Scope
from mlinfra.graph import Value


def close(
    scope: Scope,
    local: str,
    name: str,
    pods: Mapping[str, str],
    namespace: Value,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Let nobody reach the pods with these labels, but who is let in by another policy."""
    closed = {"podSelector": {"matchLabels": pods}, "policyTypes": ["Ingress"]}
    scope.kubernetes(local, NETWORKING, "NetworkPolicy", name, {"spec": closed}, namespace=namespace, labels=labels)


def let_in(scope: Scope, store: str, pods: Mapping[str, str], port: int, namespace: Value) -> None:
    """Let the pods of `scope`'s component reach those of a store in the same namespace, by a policy of its own.

    Where the namespace is closed, they are let out to it, too.
    """
    local = f"to-{store}"
    if scope.component.node(local) in scope.expansion.nodes:
        return
    spec = {
        "podSelector": {"matchLabels": pods},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [network_policies.pods(selector(scope), namespace)], **network_policies.tcp(port)}],
    }
    name = f"{scope.component.identity}-{local}"
    scope.kubernetes(local, NETWORKING, "NetworkPolicy", name, {"spec": spec}, namespace=namespace)
    way = {"to": [network_policies.pods(pods, namespace)], **network_policies.tcp(port)}
    network_policies.let_out(scope, namespace, way)


def claim(
    scope: Scope, name: str, namespace: Value, gibibytes: int, storage_class: str | None, volume: str
) -> dict[str, Value]:
    """The spec of a claim of this size, called `name`.

    The local cluster has nothing that makes volumes, so there the one that is claimed is made beforehand: `volume`.
    """
    local = scope.environment.cluster == LOCAL
    size = {"storage": f"{gibibytes}Gi"}
    if local:
        spec = {
            "capacity": size,
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "hostPath": {"path": f"/var/lib/mlinfra/{volume}"},
            "claimRef": {"namespace": namespace, "name": name},
        }
        scope.kubernetes("volume", "v1", "PersistentVolume", volume, {"spec": spec})
    storage = "" if local else storage_class
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": size},
        **({} if storage is None else {"storageClassName": storage}),
    }
