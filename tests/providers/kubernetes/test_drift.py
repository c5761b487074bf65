from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.providers.kubernetes.drift import drifted, overlay

APP = {"name": "app", "image": "a:1"}


def item(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": spec}


CASES: dict[str, tuple[Any, Any, Any, Any]] = {
    # inputs, live, wanted, drifted
    "nothing": (item(a=1), item(a=1, b=2), item(a=1, b=2), item(a=1)),
    "changed": (item(a=1), item(a=5, b=2), item(a=1, b=2), item(a=5)),
    "taken away": (item(a=1, c=3), item(a=1), item(a=1, c=3), item(a=1)),
    "left behind": (item(a=1), item(a=1, b=2), item(a=1), item(a=1, b=2)),
    "nested": (item(m={"a": 1}), item(m={"a": 2, "z": 0}), item(m={"a": 1, "z": 0}), item(m={"a": 2})),
    "rewritten by the server": (item(cpu="1000m"), item(cpu="1"), item(cpu="1"), item(cpu="1000m")),
    "item by name": (
        item(c=[APP]),
        item(c=[{"name": "sidecar"}, {**APP, "image": "a:2", "d": 1}]),
        item(c=[{"name": "sidecar"}, {**APP, "d": 1}]),
        item(c=[{**APP, "image": "a:2"}]),
    ),
    "named item gone": (item(c=[APP]), item(c=[]), item(c=[APP]), item(c=[])),
    "item by place": (
        item(p=[{"port": 80}]),
        item(p=[{"port": 81, "d": 1}]),
        item(p=[{"port": 80, "d": 1}]),
        item(p=[{"port": 81}]),
    ),
    "list of another length": (item(a=["x"]), item(a=["x", "y"]), item(a=["x"]), item(a=["x", "y"])),
    "emptied": (item(a=1), {"metadata": {"name": "x"}}, item(a=1), {"metadata": {"name": "x"}}),
}


@pytest.mark.parametrize("case", CASES)
def test_drift(case: str) -> None:
    inputs, live, wanted, expected = CASES[case]
    assert drifted(inputs, live, wanted) == expected


def test_what_only_the_server_writes_is_not_drift() -> None:
    live = {"metadata": {"name": "x", "resourceVersion": "2", "generation": 3}, "status": {"phase": "Active"}}
    assert drifted({"metadata": {"name": "x"}}, live, {"metadata": {"name": "x", "resourceVersion": "1"}}) == {
        "metadata": {"name": "x"}
    }


values = st.recursive(
    st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("xyz"), values, max_size=3).map(lambda spec: item(**spec))


@given(objects, objects)
def test_no_drift_where_live_is_as_wanted(inputs: Any, live: Any) -> None:
    assert drifted(inputs, live, live) == inputs


@given(objects, objects)
def test_without_defaults_drift_is_what_is_there(inputs: Any, live: Any) -> None:
    assert drifted(inputs, live, inputs) == live


@given(objects, objects)
def test_an_overlay_holds_the_inputs(live: Any, inputs: Any) -> None:
    assert overlay(overlay(live, inputs), inputs) == overlay(live, inputs)
    assert overlay({}, inputs) == inputs
