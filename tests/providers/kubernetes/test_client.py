"""Against a real control plane."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.providers.kubernetes.client import NO_KIND, Cluster
from mlinfra.providers.kubernetes.errors import ApiError


def config_map(namespace: str, name: str = "a", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_apply_get_list_delete(cluster: Cluster, namespace: str) -> None:
    made = cluster.apply(config_map(namespace, x="1"), manager="test")
    assert made.created
    again = cluster.apply(config_map(namespace, x="2"), manager="test")
    assert not again.created
    assert cluster.get("v1", "ConfigMap", "a", namespace) == again.object
    cluster.apply(config_map(namespace, "b"), manager="test")
    assert [item["metadata"]["name"] for item in cluster.list("v1", "ConfigMap", namespace, labels="app in (b)")] == [
        "b"
    ]
    assert len(cluster.list("v1", "ConfigMap", namespace, limit=1)) == 1
    assert cluster.list("v1", "ConfigMap", namespace, labels="app=a")[0]["kind"] == "ConfigMap"
    assert cluster.delete("v1", "ConfigMap", "a", namespace) is None
    assert cluster.get("v1", "ConfigMap", "a", namespace) is None
    assert cluster.delete("v1", "ConfigMap", "a", namespace) is None


def test_a_dry_run_changes_nothing(cluster: Cluster, namespace: str) -> None:
    assert cluster.apply(config_map(namespace), manager="test", dry_run=True).created
    assert cluster.get("v1", "ConfigMap", "a", namespace) is None


def test_fields_of_others_are_taken_by_force_alone(cluster: Cluster, namespace: str) -> None:
    cluster.apply(config_map(namespace, x="1"), manager="one")
    with pytest.raises(ApiError) as error:
        cluster.apply(config_map(namespace, x="2"), manager="two")
    assert [cause.field for cause in error.value.conflicts] == [".data.x"]
    assert cluster.apply(config_map(namespace, x="2"), manager="two", force=True).object["data"] == {"x": "2"}


def test_an_object_made_anew_is_not_deleted(cluster: Cluster, namespace: str) -> None:
    cluster.apply(config_map(namespace), manager="test")
    with pytest.raises(ApiError) as error:
        cluster.delete("v1", "ConfigMap", "a", namespace, uid="another")
    assert error.value.status == 409
    assert cluster.get("v1", "ConfigMap", "a", namespace) is not None


def test_what_finalizers_keep_comes_back(cluster: Cluster, namespace: str) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    cluster.apply(held, manager="test")
    left = cluster.delete("v1", "ConfigMap", "a", namespace)
    assert left is not None
    assert left["metadata"]["finalizers"] == ["example.com/hold"]


def test_a_kind_that_is_not_there(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match=r"the cluster has no kind Nothing in example.com/v1") as error:
        cluster.list("example.com/v1", "Nothing")
    assert error.value.reason == NO_KIND
    assert cluster.get("example.com/v1", "Nothing", "a") is None
    assert cluster.delete("example.com/v1", "Nothing", "a") is None


def test_paths(cluster: Cluster) -> None:
    assert cluster.path("v1", "ConfigMap", None) == "/api/v1/configmaps"
    assert cluster.path("v1", "ConfigMap", "n", "a") == "/api/v1/namespaces/n/configmaps/a"
    role = cluster.path("rbac.authorization.k8s.io/v1", "ClusterRole", "ignored", "system:a/b")
    assert role == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%2Fb"


def test_events(cluster: Cluster, namespace: str) -> None:
    version = cluster.request("GET", cluster.path("v1", "ConfigMap", namespace))["metadata"]["resourceVersion"]
    cluster.apply(config_map(namespace, "seen"), manager="test")
    for event, item in cluster.events(cluster.path("v1", "ConfigMap", namespace), version):
        if item["metadata"].get("name") == "seen":
            assert event == "ADDED"
            break
