from __future__ import annotations

import enum
import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.serving.plain import line, plain, without


class Array:
    """What numpy's arrays have."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def tolist(self) -> Any:
        return self.values


class Frame:
    """What pandas' DataFrame has."""

    columns = ("age",)

    def to_dict(self, orient: str) -> Any:
        assert orient == "records"
        return [{"age": Array(41)}]


class NAType:
    """As pandas calls it."""


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, 2.5, None, True)}, {"a": [1, 2.5, None, True]}),
        (math.nan, None),
        ([math.inf, -math.inf], [None, None]),
        (Array([1.0, math.nan]), [1.0, None]),
        (Array(3), 3),
        (Frame(), [{"age": 41}]),
        (NAType(), None),
        (Decimal("1.5"), 1.5),
        (Colour.RED, 1),
        (b"\x00\x01", "2 bytes"),
        ({1: frozenset({2})}, {"1": [2]}),
    ],
)
def test_values_as_json_has_them(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_what_has_no_end_has_one() -> None:
    endless: list[Any] = []
    endless.append(endless)
    json.dumps(plain(endless))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_a_line_is_one_line_of_json(value: Any) -> None:
    written = line({"value": plain(value)})
    assert written.count(b"\n") == 1
    assert set(json.loads(written)) == {"value"}


def test_what_utf8_does_not_have_is_no_trouble() -> None:
    assert json.loads(line({"name": "\ud800"})) == {"name": "?"}


EMAIL = {"email"}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"age": 41, "email": "a@example.com"}, {"age": 41}),
        ([{"age": 41, "email": "a"}, {"age": 17}], [{"age": 41}, {"age": 17}]),
        ({"age": [41], "email": ["a"]}, {"age": [41]}),
        ({"instances": [{"age": 41, "email": "a"}]}, {"instances": [{"age": 41}]}),
        ({"user": {"email": "a", "age": 1}}, {"user": {"age": 1}}),
        (
            {"dataframe_split": {"columns": ["age", "email"], "data": [[41, "a"], [17, "b"]]}},
            {"dataframe_split": {"columns": ["age"], "data": [[41], [17]]}},
        ),
        (
            {"inputs": [{"name": "age", "data": [41]}, {"name": "email", "data": ["a"]}]},
            {"inputs": [{"name": "age", "data": [41]}]},
        ),
        ([{"name": "email", "age": 41}], [{"name": "email", "age": 41}]),
        (41, 41),
    ],
)
def test_features_that_are_not_logged(inputs: Any, expected: Any) -> None:
    assert without(inputs, EMAIL) == expected
