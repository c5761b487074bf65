from __future__ import annotations

from typing import Any

import pytest

from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.scope import Scopes
from tests.providers.kubernetes.kinds import definition

WITHOUT: list[tuple[str, str, bool]] = [
    ("v1", "ConfigMap", True),
    ("v1", "Namespace", False),
    ("apps/v1", "Deployment", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
    ("rbac.authorization.k8s.io/v1", "Role", True),
    ("kueue.x-k8s.io/v1beta1", "ClusterQueue", False),
    ("kueue.x-k8s.io/v1beta1", "LocalQueue", True),
    ("example.com/v1", "Namespace", True),
]


@pytest.mark.parametrize(("api_version", "kind", "expected"), WITHOUT)
def test_without_a_cluster(api_version: str, kind: str, expected: bool) -> None:
    assert Scopes().namespaced(api_version, kind, None) == expected


@pytest.mark.parametrize("scope", ["Cluster", "Namespaced"])
def test_definitions_of_the_program_decide(scope: str) -> None:
    scopes = Scopes()
    scopes.note(definition("things", "Thing", scope))
    assert scopes.namespaced("tests.example.com/v1", "Thing", None) == (scope == "Namespaced")


def test_definitions_that_say_nothing_are_passed_over() -> None:
    scopes = Scopes()
    broken: list[dict[str, Any]] = [{}, {"spec": None}, {"spec": {"group": 1, "names": {"kind": "X"}}}]
    for definition_ in broken:
        scopes.note(definition_)
    assert scopes.namespaced("example.com/v1", "X", None)


def test_the_table_of_built_in_kinds_is_that_of_the_server(cluster: Cluster) -> None:
    cluster.discovery.find("v1", "ConfigMap")
    scopes, asked = Scopes(), []
    for group in ("/api", "/apis"):
        for item in cluster.request("GET", group).get("groups", [{"versions": [{"groupVersion": "v1"}]}]):
            name = item["versions"][0]["groupVersion"]
            if name.startswith("tests.example.com"):
                continue
            prefix = "/api/" if "/" not in name else "/apis/"
            asked += [(name, entry) for entry in cluster.request("GET", prefix + name)["resources"]]
    assert len(asked) > 100
    for api_version, entry in asked:
        if "/" not in entry["name"]:
            assert scopes.namespaced(api_version, entry["kind"], None) == entry["namespaced"], entry["kind"]
