from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN, Unknown, holds, reveal
from mlinfra.graph import Secret
from mlinfra.providers.kubernetes.checking import Naming, check
from mlinfra.wire.values import decode, encode

CONFIG_MAP, SECRET, SERVICE = ("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "Service")
ROLE = ("rbac.authorization.k8s.io/v1", "Role")
NAMING = Naming("settings", b"seed")


def test_what_is_left_out_is_filled_in() -> None:
    checked = check({"data": {"a": "1"}}, {}, CONFIG_MAP, NAMING, "team")
    assert checked.problems == []
    metadata = checked.inputs.pop("metadata")
    assert checked.inputs == {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    assert metadata["namespace"] == "team"
    assert metadata["annotations"] == {"pulumi.com/autonamed": "true"}
    assert metadata["name"].startswith("settings-")


def test_what_is_given_stays() -> None:
    given_inputs = {"metadata": {"name": "a", "namespace": "b"}, "kind": "Other"}
    inputs = check(given_inputs, {}, CONFIG_MAP, NAMING, "team").inputs
    assert inputs["metadata"] == {"name": "a", "namespace": "b"}
    assert inputs["kind"] == "ConfigMap"


def test_a_kind_without_namespaces_gets_none() -> None:
    assert check({"metadata": {"name": "a"}}, {}, ("v1", "Node"), NAMING, None).inputs["metadata"] == {"name": "a"}


def test_names_are_the_same_for_the_same_seed_and_stay() -> None:
    first = check({}, {}, CONFIG_MAP, NAMING, "team").inputs
    assert check({}, {}, CONFIG_MAP, NAMING, "team").inputs == first
    other = Naming("settings", b"another seed")
    assert check({}, {}, CONFIG_MAP, other, "team").inputs != first
    assert check({}, first, CONFIG_MAP, other, "team").inputs == first


def test_the_rules_of_the_project_for_names() -> None:
    proposed = check({}, {}, CONFIG_MAP, Naming("a", b"", proposed="by-rule"), "team")
    assert proposed.inputs["metadata"]["name"] == "by-rule"
    off = check({}, {}, CONFIG_MAP, Naming("a", b"", off=True), "team")
    assert off.problems == [(("metadata", "name"), "is missing, and automatic names are off in this project")]


PROBLEMS: dict[str, tuple[tuple[str, str], dict[str, Any], str]] = {
    "upper case": (CONFIG_MAP, {"name": "Settings"}, "metadata.name"),
    "a dot in a Service": (SERVICE, {"name": "a.b"}, "metadata.name"),
    "a number": (CONFIG_MAP, {"name": 7}, "metadata.name"),
    "a slash in a role": (ROLE, {"name": "a/b"}, "metadata.name"),
    "generateName": (CONFIG_MAP, {"generateName": "a-"}, "metadata.generateName"),
    "waitFor": (CONFIG_MAP, {"name": "a", "annotations": {"pulumi.com/waitFor": "Ready"}}, "annotations"),
    "metadata": (CONFIG_MAP, "a", "metadata"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_problems_are_told(case: str) -> None:
    kind, metadata, where = PROBLEMS[case]
    ((path, reason),) = check({"metadata": metadata}, {}, kind, NAMING, "team").problems
    assert where in ".".join(map(str, path))
    assert reason


def test_names_that_are_fine() -> None:
    for kind, name in ((ROLE, "system:a:B"), (CONFIG_MAP, "a.b-c"), (SERVICE, "a-b"), (CONFIG_MAP, "a" * 253)):
        assert check({"metadata": {"name": name}}, {}, kind, NAMING, "team").problems == []


def test_a_secret_name_is_not_shown() -> None:
    assert check({"metadata": {"name": Secret("Not A Name")}}, {}, CONFIG_MAP, NAMING, "team").problems == []


def test_string_data_becomes_data() -> None:
    news = {"metadata": {"name": "a"}, "data": {"x": "WA=="}, "stringData": {"y": Secret("ü"), "z": UNKNOWN}}
    inputs = check(news, {}, SECRET, NAMING, "team").inputs
    assert "stringData" not in inputs
    assert isinstance(inputs["data"], Secret)
    expected = {"x": "WA==", "y": base64.b64encode("ü".encode()).decode(), "z": UNKNOWN}
    assert reveal(inputs["data"]) == expected


def test_string_data_that_is_none_is_left_to_the_server() -> None:
    for texts in ({"a": 1}, UNKNOWN, "x"):
        inputs = check({"metadata": {"name": "a"}, "stringData": texts}, {}, SECRET, NAMING, "team").inputs
        assert reveal(inputs["stringData"]) == texts


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8) | st.just(UNKNOWN),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "namespace", "annotations", "data", "x"]), inner, max_size=3)
        | inner.map(Secret)
    ),
    max_leaves=12,
)
inputs_of_any_shape = st.dictionaries(
    st.sampled_from(["metadata", "data", "stringData", "spec", "kind"]), values, max_size=4
)


@given(inputs_of_any_shape, inputs_of_any_shape, st.sampled_from([CONFIG_MAP, SECRET, SERVICE, ROLE]))
def test_any_inputs_can_be_checked_and_checking_again_changes_nothing(
    news: dict[str, Any], olds: dict[str, Any], kind: tuple[str, str]
) -> None:
    once = check(news, reveal(olds), kind, NAMING, "team").inputs
    again = check(decode(encode(once)), reveal(once), kind, NAMING, "team").inputs
    assert reveal(again) == reveal(decode(encode(once)))
    assert holds(once, Unknown) == holds({**news, "kind": "", "apiVersion": ""}, Unknown)
