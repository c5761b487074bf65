from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import reveal
from mlinfra.graph import Secret
from mlinfra.providers.kubernetes.secrets import conceal, output_secrets, secret_paths, without_indexes

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
plain_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
marked_values = st.recursive(
    leaves | leaves.map(Secret),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | inner.map(reveal).map(Secret)
    ),
    max_leaves=10,
)


@given(marked_values)
def test_concealing_undoes_revealing(value: Any) -> None:
    assert conceal(reveal(value), secret_paths(value)) == value


@given(plain_values, st.lists(st.lists(st.text(max_size=3) | st.integers(0, 2), max_size=3).map(tuple)))
def test_concealing_changes_marks_alone(value: Any, paths: list[tuple[str | int, ...]]) -> None:
    assert reveal(conceal(value, paths)) == value


@given(marked_values, plain_values)
def test_a_secret_does_not_show_wherever_a_list_was_reordered(inner: Any, other: Any) -> None:
    inputs = {"spec": {"items": [other, {"inner": inner}, {"token": Secret("hunter2")}]}}
    shuffled = {"spec": {"items": [{"token": "hunter2"}, *reveal(inputs)["spec"]["items"]]}}
    assert "hunter2" not in str(conceal(shuffled, without_indexes(secret_paths(inputs))))


def test_data_of_a_secret_is_secret() -> None:
    assert {("data",), ("__inputs", "data")} <= output_secrets("Secret", [])
    assert output_secrets("ConfigMap", []) == set()


def test_what_is_secret_in_the_inputs_is_secret_in_all_their_copies() -> None:
    paths = output_secrets("ConfigMap", [("data", "token")])
    copy = ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
    assert paths == {("data", "token"), ("__inputs", "data", "token"), copy, ("__inputs", *copy)}
