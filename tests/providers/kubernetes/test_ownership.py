from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.providers.kubernetes.ownership import Previous, applied_by, declares, manager_of

INPUTS = {
    "metadata": {"labels": {"app.kubernetes.io/name": "web", "app": "x"}, "finalizers": ["a/b"]},
    "spec": {
        "replicas": 1,
        "template": {"spec": {"containers": [{"name": "app", "image": "a", "env": [{"name": "A.B", "value": "1"}]}]}},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
    },
}
FIELDS = {
    ".spec.replicas": True,
    ".spec.paused": False,
    ".spec": True,
    ".spe": False,
    ".metadata.labels.app.kubernetes.io/name": True,
    ".metadata.labels.app": True,
    ".metadata.labels.app.kubernetes.io/part-of": False,
    '.spec.template.spec.containers[name="app"].image': True,
    '.spec.template.spec.containers[name="app"].command': False,
    '.spec.template.spec.containers[name="sidecar"].image': False,
    '.spec.template.spec.containers[name="app"].env[name="A.B"].value': True,
    '.spec.ports[port=80,protocol="TCP"].targetPort': True,
    '.spec.ports[port=81,protocol="TCP"].targetPort': False,
    ".spec.replicas[0]": False,
}


@pytest.mark.parametrize("field", FIELDS)
def test_declared_fields(field: str) -> None:
    assert declares(INPUTS, field) == FIELDS[field]


keys = st.text("ab./", min_size=1, max_size=4)
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8)


@given(trees)
def test_every_path_in_inputs_is_declared(tree: Any) -> None:
    def walk(value: Any, prefix: str) -> None:
        assert declares(tree, prefix)
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{prefix}.{key}")

    walk(tree, "")


def test_managers() -> None:
    urn = "urn:pulumi:dev::project::kubernetes:core/v1:ConfigMap::a"
    assert manager_of(urn, {}).startswith("mlinfra-dev-")
    assert manager_of(urn, {}) == manager_of(urn, {})
    assert manager_of(urn, {}) != manager_of(urn.replace("::a", "::b"), {})
    assert manager_of(urn, {"__fieldManager": "pulumi-kubernetes-1"}) == "pulumi-kubernetes-1"
    assert len(manager_of(f"urn:pulumi:{'s' * 300}::p::t::n", {})) <= 128


def test_applied_by_a_manager() -> None:
    live = {
        "metadata": {"managedFields": [{"manager": "a", "operation": "Update"}, {"manager": "b", "operation": "Apply"}]}
    }
    assert not applied_by(live, "a")
    assert applied_by(live, "b")


def test_inputs_of_the_official_providers_state() -> None:
    outputs = {"__inputs": {"data": {}}, "__fieldManager": "m", "metadata": {"uid": "1"}}
    assert Previous.of("urn:pulumi:d::p::t::n", outputs, {}) == Previous({"data": {}}, "1", "m")
    assert Previous.of("urn:pulumi:d::p::t::n", outputs, {"data": {"a": "b"}}).inputs == {"data": {"a": "b"}}
