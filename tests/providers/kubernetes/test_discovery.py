from __future__ import annotations

from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.discovery import Discovery, Resource


class Answers:
    """Discovery documents, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.kinds = {"Widget": "widgets"}

    def __call__(self, path: str, accept: str) -> dict[str, Any]:
        assert "apidiscovery.k8s.io" in accept
        if path == "/api":
            return {"kind": "APIGroupDiscoveryList", "items": []}
        self.asked += 1
        resources = [
            {"resource": plural, "scope": "Cluster", "responseKind": {"kind": kind}}
            for kind, plural in self.kinds.items()
        ]
        versions = [{"version": "v1", "resources": [*resources, {"resource": "odd", "scope": "Namespaced"}]}]
        return {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "x.io"}, "versions": versions}]}


def test_kinds_are_asked_for_once() -> None:
    answers = Answers()
    discovery = Discovery(answers)
    assert discovery.find("x.io/v1", "Widget") == Resource("widgets", namespaced=False)
    assert discovery.find("x.io/v1", "Widget") is not None
    assert discovery.find("x.io/v1", "Gadget") is None
    assert answers.asked == 1


def test_a_new_kind_is_found_once_it_is_said_to_be_there() -> None:
    answers = Answers()
    discovery = Discovery(answers)
    assert discovery.find("x.io/v1", "Gadget") is None
    answers.kinds["Gadget"] = "gadgets"
    discovery.forget()
    assert discovery.find("x.io/v1", "Gadget") == Resource("gadgets", namespaced=False)


def test_a_new_kind_is_waited_for() -> None:
    answers = Answers()
    discovery = Discovery(answers)
    assert discovery.find("x.io/v1", "Gadget") is None
    answers.kinds["Gadget"] = "gadgets"
    assert discovery.find("x.io/v1", "Gadget", wait=60) is not None


def test_old_clusters_are_told() -> None:
    with pytest.raises(MlinfraError, match="aggregated discovery"):
        Discovery(lambda path, accept: {"kind": "APIVersions"}).find("v1", "Pod")


def test_the_kinds_of_a_real_cluster(cluster: Cluster) -> None:
    assert cluster.resource("apps/v1", "Deployment") == Resource("deployments", namespaced=True)
    assert cluster.resource("v1", "Namespace") == Resource("namespaces", namespaced=False)
    assert cluster.discovery.find("v1", "Nothing") is None
