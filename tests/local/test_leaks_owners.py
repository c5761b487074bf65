"""Whose a thing is, by the marks that controllers leave."""

from __future__ import annotations

import pytest

from mlinfra.local.leaks_owners import owner_by_labels, owner_by_tags


@pytest.mark.parametrize(
    ("tags", "owner"),
    [
        ({}, ""),
        ({"Name": "x", "team": "y"}, ""),
        ({"mlinfra:component": "data", "Name": "x"}, "component data, which destroy has left"),
        ({"kubernetes.io/cluster/prod": "owned"}, "cluster prod: a controller in it made it"),
        ({"kubernetes.io/cluster/prod": "shared"}, ""),
        ({"k8s.io/cluster-autoscaler/enabled": "true"}, ""),
        ({"k8s.io/cluster-autoscaler/prod": "owned"}, "cluster prod: a controller in it made it"),
        (
            {"kubernetes.io/cluster/prod": "owned", "kubernetes.io/service-name": "ml/api"},
            "cluster prod: a controller in it made it for Service ml/api",
        ),
        (
            {"elbv2.k8s.aws/cluster": "prod", "ingress.k8s.aws/stack": "ml/web"},
            "cluster prod: a controller in it made it for Ingress ml/web",
        ),
        (
            {
                "kubernetes.io/cluster/prod": "owned",
                "kubernetes.io/created-for/pvc/name": "data",
                "kubernetes.io/created-for/pvc/namespace": "ml",
                "kubernetes.io/created-for/pv/name": "pvc-1",
            },
            "cluster prod: a controller in it made it for PersistentVolumeClaim ml/data",
        ),
        ({"CSIVolumeName": "pvc-1"}, "a cluster: a controller in it made it for PersistentVolume pvc-1"),
        (
            {"eks:cluster-name": "prod", "karpenter.sh/nodepool": "gpu"},
            "cluster prod: a controller in it made it for Karpenter's NodePool gpu",
        ),
    ],
)
def test_by_tags(tags: dict[str, str], owner: str) -> None:
    assert owner_by_tags(tags) == owner


@pytest.mark.parametrize(
    ("labels", "owners", "owner"),
    [
        ({}, [], ""),
        ({}, ["Job fit-1"], "made for Job fit-1"),
        ({"mlinfra.dev/component": "fit"}, ["Job fit-1"], "component fit, which destroy has left"),
        (
            {"app.kubernetes.io/managed-by": "mlinfra", "app.kubernetes.io/name": "train"},
            [],
            "component train, which destroy has left",
        ),
        ({"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/name": "x"}, [], "managed by Helm"),
    ],
)
def test_by_labels(labels: dict[str, str], owners: list[str], owner: str) -> None:
    assert owner_by_labels(labels, owners) == owner
