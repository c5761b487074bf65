"""What a cluster holds: every object of every kind that can be listed, whoever made it.

Which kinds there are is asked of the cluster, so that those of an operator are looked at, too:
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from mlinfra.local.leaks_owners import owner_by_labels
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import lookup, object_id

Key = tuple[str, ...]
"""Group, kind, namespace and name."""

_THREADS: Final = 8
_RECORDS: Final = frozenset(
    {("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease"), ("", "ComponentStatus")}
)
"""Kinds that are records of what happened, of who is alive: they end by themselves."""

_IN_EVERY_NAMESPACE: Final = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})


def keys(cluster: Cluster) -> frozenset[Key]:
    """The keys of all that is there."""
    return frozenset(key for key, _ in _all(cluster))


def left(cluster: Cluster, before: frozenset[Key]) -> list[tuple[str, str, str, dict[str, str]]]:
    """What is there beside what was there before: type, id, owner, labels."""
    there = {key: item for key, item in _all(cluster) if key not in before}
    spaces = {key[3] for key in there if key[:2] == ("", "Namespace")}
    found = []
    for key, item in there.items():
        if key[2] in spaces and key[1:2] + key[3:] in _IN_EVERY_NAMESPACE:
            continue  # what the cluster puts there is told of by telling of the namespace
        labels = item["metadata"].get("labels") or {}
        owners = [f"{owner['kind']} {owner['name']}" for owner in item["metadata"].get("ownerReferences") or []]
        owner = owner_by_labels(labels, owners) or _claimed(key, item)
        found.append((f"{key[1]} ({key[0]})" if key[0] else key[1], object_id(item), owner, labels))
    return sorted(found, key=lambda entry: entry[:2])


def _claimed(key: Key, item: Object) -> str:
    """For whom a volume was made: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#retain."""
    claim = lookup(item, "spec", "claimRef") if key[1] == "PersistentVolume" else None
    return f"made for PersistentVolumeClaim {claim.get('namespace')}/{claim.get('name')}" if claim else ""


def _all(cluster: Cluster) -> Iterator[tuple[Key, Object]]:
    with ThreadPoolExecutor(_THREADS) as threads:
        for found in threads.map(lambda kind: _objects(cluster, *kind), _kinds(cluster)):
            yield from found


def _objects(cluster: Cluster, path: str, group: str, kind: str) -> list[tuple[Key, Object]]:
    try:
        items = cluster.request("GET", path)["items"] or []
    except ApiError as error:
        if error.status in (404, 405):  # a kind that has gone meanwhile, or that cannot be listed after all
            return []
        raise
    return [((group, kind, item["metadata"].get("namespace", ""), item["metadata"]["name"]), item) for item in items]


def _kinds(cluster: Cluster) -> list[tuple[str, str, str]]:
    """Path, group and kind of everything that can be listed, each group in the version that the cluster prefers."""
    versions = [("/api/v1", "")]
    for group in cluster.request("GET", "/apis")["groups"]:
        versions.append((f"/apis/{group['preferredVersion']['groupVersion']}", group["name"]))
    found = []
    for path, group in versions:
        for resource in _resources(cluster, path):
            if "list" in resource["verbs"] and "/" not in resource["name"]:
                found.append((f"{path}/{resource['name']}", group, resource["kind"]))
    return [entry for entry in found if (entry[1], entry[2]) not in _RECORDS]


def _resources(cluster: Cluster, path: str) -> list[Any]:
    try:
        return list(cluster.request("GET", path)["resources"])
    except ApiError as error:
        if error.status in (404, 503):  # an API that another server was to serve, and that does not answer
            return []
        raise
