from __future__ import annotations

import pytest

from mlinfra.providers.kubernetes.objects import kind_of, lookup, manifest, object_id, split_id, state

TOKENS = {
    "kubernetes:core/v1:Secret": ("v1", "Secret"),
    "kubernetes:apps/v1:Deployment": ("apps/v1", "Deployment"),
    "kubernetes:rbac.authorization.k8s.io/v1:Role": ("rbac.authorization.k8s.io/v1", "Role"),
    "kubernetes:kueue.x-k8s.io/v1beta1:ClusterQueue": ("kueue.x-k8s.io/v1beta1", "ClusterQueue"),
}


@pytest.mark.parametrize("token", TOKENS)
def test_type_tokens(token: str) -> None:
    assert kind_of(token) == TOKENS[token]


def test_ids_read_back() -> None:
    for namespace, name, identity in ((None, "a", "a"), ("n", "a", "n/a")):
        item = {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}}
        assert object_id(item) == identity
        assert split_id(identity) == (namespace, name)


def test_lookup() -> None:
    value = {"a": [{"b": None}]}
    assert lookup(value, "a", 0) == {"b": None}
    assert lookup(value, "a", 0, "b", default=1) is None
    assert lookup(value, "a", 1, default="none") == "none"
    assert lookup(value, "a", "b", "c") is None


def test_a_manifest_holds_what_is_declared() -> None:
    assert manifest({"kind": "Pod", "status": {}, "__x": 1, "spec": {}}) == {"kind": "Pod", "spec": {}}


def test_state_keeps_no_managed_fields() -> None:
    live = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "managedFields": [1]}}
    assert state(live, {"kind": "Pod"}, "m") == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "__inputs": {"kind": "Pod"},
        "__initialApiVersion": "v1",
        "__fieldManager": "m",
    }


def test_state_holds_what_the_engines_numbers_cannot_as_text() -> None:
    live = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "status": {"nanoseconds": [2**60, 5]}}
    assert state(live, {}, "m")["status"] == {"nanoseconds": [str(2**60), 5]}
