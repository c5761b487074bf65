from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Path
from mlinfra.providers.kubernetes.diffing import diff, immutable
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.ownership import Previous
from mlinfra.providers.kubernetes.session import Session
from mlinfra.wire.protocol import provider_pb2
from mlinfra.wire.values import differences, property_path

KINDS = provider_pb2.PropertyDiff
URN = "urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::a"


def compare(old: dict[str, Any], new: dict[str, Any]) -> Any:
    """The answer of a provider that has no cluster to ask."""
    return diff(Session(), URN, Previous(old, "uid", "m"), new)


def thing(kind: str = "ConfigMap", name: Any = "a", **others: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}, **others}


def test_paths_and_kinds_of_changes() -> None:
    answer = compare(thing(data={"a": "1", "b.c": "2"}), thing(data={"a": "3", "d": "4"}))
    assert {path: item.kind for path, item in answer.detailedDiff.items()} == {
        "data.a": KINDS.UPDATE,
        'data["b.c"]': KINDS.DELETE,
        "data.d": KINDS.ADD,
    }
    assert list(answer.diffs) == ["data"]
    assert not answer.replaces


def test_a_new_name_replaces_without_deleting_first() -> None:
    answer = compare(thing(), thing(name="b"))
    assert answer.detailedDiff["metadata.name"].kind == KINDS.UPDATE_REPLACE
    assert list(answer.replaces) == ["metadata.name"]
    assert not answer.deleteBeforeReplace


def test_a_kept_name_is_deleted_first_and_an_automatic_one_is_not() -> None:
    old, new = thing("PriorityClass", value=1), thing("PriorityClass", value=2)
    assert compare(old, new).deleteBeforeReplace
    for item in (old, new):
        item["metadata"]["annotations"] = {"pulumi.com/autonamed": "true"}
    assert list(compare(old, new).replaces) == ["value"]
    assert not compare(old, new).deleteBeforeReplace


def test_the_engines_own_keys_and_the_status_are_no_change() -> None:
    old = {**thing(), "__initialApiVersion": "v1", "status": {"phase": "Active"}}
    assert compare(old, thing()).changes == provider_pb2.DiffResponse.DIFF_NONE


def refusal(message: str, *fields: str, status: int = 422) -> ApiError:
    causes = [{"field": field, "message": message} for field in fields]
    return ApiError("PATCH", "/x", status, {"message": message, "details": {"causes": causes}})


CHANGES: list[Path] = [("spec", "a"), ("spec", "ports", 0, "nodePort"), ("metadata", "labels", "x")]
REFUSED: list[tuple[ApiError, set[Path]]] = [
    (refusal("field is immutable", "spec.a"), {("spec", "a")}),
    (refusal("field is immutable", "spec.a.b.c"), {("spec", "a")}),
    (refusal("is immutable after creation", "spec"), {("spec", "a"), ("spec", "ports", 0, "nodePort")}),
    (refusal("may not change once set", "spec.ports[0].nodePort"), {("spec", "ports", 0, "nodePort")}),
    (refusal("field is immutable"), set(CHANGES)),
    (refusal("must be positive", "spec.a"), set()),
    (refusal("field is immutable", "spec.a", status=409), set()),
]


@pytest.mark.parametrize(("error", "expected"), REFUSED)
def test_refused_changes(error: ApiError, expected: set[Path]) -> None:
    assert immutable(error, CHANGES) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("ab") | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b.c", '"']), inner, max_size=3),
    max_leaves=8,
)
things = st.builds(lambda name, spec: thing("Job", name, spec=spec), values, values)


@given(things)
def test_equal_inputs_are_no_change(one: dict[str, Any]) -> None:
    assert compare(one, one).changes == provider_pb2.DiffResponse.DIFF_NONE


@given(things, things)
def test_every_difference_is_told(old: dict[str, Any], new: dict[str, Any]) -> None:
    answer = compare(old, new)
    assert set(answer.detailedDiff) == {property_path(path) for path, _, _ in differences(old, new)}
    assert set(answer.replaces) <= set(answer.detailedDiff)
    replacing = (KINDS.ADD_REPLACE, KINDS.DELETE_REPLACE, KINDS.UPDATE_REPLACE)
    assert set(answer.replaces) == {path for path, item in answer.detailedDiff.items() if item.kind in replacing}
