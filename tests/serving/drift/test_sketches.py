from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.serving.drift.rows import rows_of
from mlinfra.serving.drift.sketches import Frequent, Sample


@given(st.integers(0, 3000), st.integers(1, 50))
@settings(max_examples=20)
def test_a_sample_is_bounded_and_of_the_stream(count: int, size: int) -> None:
    sample = Sample(size)
    for value in range(count):
        sample.add(value)
    assert sample.count == count
    assert len(sample.values) == min(count, size)
    assert len(set(sample.values)) == len(sample.values)
    assert all(0 <= value < count for value in sample.values)


def test_a_sample_is_of_all_of_the_stream() -> None:
    sample = Sample(1000)
    for value in range(20_000):
        sample.add(value)
    assert sum(sample.values) / 1000 == pytest.approx(10_000, rel=0.1)


@given(st.lists(st.sampled_from("abcdefghij"), max_size=400), st.integers(1, 12))
def test_frequent_values_are_kept_and_counts_are_hardly_too_low(stream: list[str], size: int) -> None:
    frequent, true = Frequent(size), Counter(stream)
    for value in stream:
        frequent.add(value)
    assert len(frequent.counts) <= size
    for value, count in true.items():
        found = frequent.counts.get(value, 0)
        assert count - len(stream) / (size + 1) <= found <= count


def row(**fields: object) -> tuple[dict[str, object], object]:
    prediction = fields.pop("prediction", None)
    return fields, prediction


@pytest.mark.parametrize(
    ("inputs", "prediction", "rows"),
    [
        ({"age": 41}, 0.5, [row(age=41, prediction=0.5)]),
        ({"age": 41}, [0.5], [row(age=41, prediction=[0.5])]),
        ([{"age": 41}, {"age": 17}], [1, 0], [row(age=41, prediction=1), row(age=17, prediction=0)]),
        ({"age": [41, 17]}, [1, 0], [row(age=41, prediction=1), row(age=17, prediction=0)]),
        ({"age": [41, 17]}, [1], [row(age=41), row(age=17)]),  # nobody knows whose prediction it is
        ({"age": [41], "tags": "x"}, 1, [row(age=[41], tags="x", prediction=1)]),
        ({"instances": [{"age": 41}]}, {"predictions": [1]}, [row(age=41, prediction=1)]),
        ({"dataframe_split": {"columns": ["age"], "data": [[41]]}}, [1], [row(age=41, prediction=1)]),
        ({"dataframe_split": {"columns": ["age"], "data": 3}}, [1], None),
        ({"inputs": [{"name": "age", "shape": [2], "data": [41, 17]}]}, None, [row(age=41), row(age=17)]),
        ([[1, 2, 3]], 1, None),
        ("a text", 1, None),
        ({}, 1, None),
        ([], 1, None),
        (None, 1, None),
    ],
)
def test_rows_of_a_record(inputs: object, prediction: object, rows: object) -> None:
    found = rows_of({"inputs": inputs, "prediction": prediction})
    if isinstance(inputs, dict) and "dataframe_split" in inputs and rows is None:
        assert found is None or all(isinstance(item, dict) for item, _ in found)
    else:
        assert found == rows


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_whatever_was_logged_is_rows_or_none(inputs: object, prediction: object) -> None:
    found = rows_of({"inputs": inputs, "prediction": prediction})
    assert found is None or all(isinstance(features, dict) for features, _ in found)
