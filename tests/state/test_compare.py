"""What differs between two deployments; of secrets only that they do."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlinfra.graph import REDACTED
from mlinfra.report import PropertyChange
from mlinfra.state.compare import SECRET_CHANGED, Change, compare, redacted, with_secrets
from mlinfra.wire.values import SECRET, SIGNATURE
from tests.state.conftest import resource

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def secret(ciphertext: str) -> dict[str, str]:
    return {SIGNATURE: SECRET, "ciphertext": ciphertext}


def changes(before: Any, after: Any) -> list[PropertyChange]:
    found = compare({"resources": [resource("a", inputs=before)]}, {"resources": [resource("a", inputs=after)]})
    return [item for change in found for item in change.properties]


def test_properties_are_told_at_the_shortest_path_that_tells() -> None:
    assert changes({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"b": 2, "c": [1, 2]}, "e": 1}) == [
        PropertyChange("inputs.a.b", "update", 1, 2),
        PropertyChange("inputs.a.c", "update", [1], [1, 2]),
        PropertyChange("inputs.d", "delete", 1, None),
        PropertyChange("inputs.e", "add", None, 1),
    ]


def test_a_secret_is_told_as_changed_and_no_more() -> None:
    told = PropertyChange("inputs.key", SECRET_CHANGED)
    assert changes({"key": secret("aa")}, {"key": secret("bb")}) == [told]
    assert changes({"key": "plain"}, {"key": secret("bb")}) == [told]
    assert changes({"key": secret("aa")}, {"key": secret("aa")}) == []
    (whole,) = changes({"list": [secret("aa"), 1]}, {"list": [secret("bb"), 2]})
    assert (whole.old, whole.new) == ([REDACTED, 1], [REDACTED, 2])
    opened = [with_secrets({"resources": [resource("a", key=secret(text))]}, lambda _: "the same") for text in "xy"]
    assert compare(*opened) == []


def test_one_that_is_replaced_is_there_twice() -> None:
    old, new = resource("a", delete=True), resource("a")
    assert compare({"resources": [new]}, {"resources": [new, old]}) == [Change(new["urn"], new["type"], "added")]


@given(VALUES)
def test_nothing_differs_from_itself_and_plain_values_are_left_alone(value: Any) -> None:
    assert changes({"value": value}, {"value": value}) == []
    assert redacted(value) == value


@given(VALUES, VALUES)
def test_what_differs_is_found(old: Any, new: Any) -> None:
    assert bool(changes({"value": old}, {"value": new})) == (old != new)
