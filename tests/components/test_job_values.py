from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlinfra.components.job_values import MOST_COMBINATIONS, Ranks, Ray, Sweep, nested

VALUES = st.one_of(st.integers(-5, 5), st.booleans(), st.text(max_size=4), st.floats(0, 1, allow_nan=False))


def distinct(values: list[Any]) -> list[Any]:
    return list({json.dumps(value): value for value in values}.values())


def test_a_grid_in_the_order_in_which_it_is_written() -> None:
    sweep = Sweep(parameters={"lr": [0.1, 0.01], "model.layers": [2, 4], "model.kind": ["a"]})
    assert sweep.count == 4
    assert list(sweep.combinations) == [
        {"lr": 0.1, "model": {"layers": 2, "kind": "a"}},
        {"lr": 0.1, "model": {"layers": 4, "kind": "a"}},
        {"lr": 0.01, "model": {"layers": 2, "kind": "a"}},
        {"lr": 0.01, "model": {"layers": 4, "kind": "a"}},
    ]
    assert sweep.texts[0] == '{"lr":0.1,"model":{"kind":"a","layers":2}}'


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.lists(VALUES, min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_every_combination_is_there_once(parameters: dict[str, list[Any]]) -> None:
    parameters = {name: distinct(values) for name, values in parameters.items()}
    sweep = Sweep(parameters=parameters)
    assert len(sweep.texts) == sweep.count == len(set(sweep.texts))
    for text in sweep.texts:
        found = json.loads(text)
        assert set(found) == set(parameters)
        assert all(json.dumps(found[name]) in map(json.dumps, parameters[name]) for name in parameters)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"parameters": {}}, "at least 1"),
        ({"parameters": {"lr": []}}, "lr has no values"),
        ({"parameters": {"lr": [1, 2, 1]}}, "lr has the value 1 twice"),
        ({"parameters": {"lr": [float("nan")]}}, "lr is nan; it has to be what JSON can hold"),
        ({"parameters": {"lr": [object()]}}, "lr is of the type object"),
        ({"parameters": {"a b": [1]}}, "pattern"),
        ({"parameters": {"model": [1], "model.layers": [2]}}, "model is a value, and model.layers would be in it"),
        ({"parameters": {"a": list(range(101)), "b": list(range(10))}}, "1,010 combinations, more than 1,000"),
        ({"parameters": {"a": ["x" * 300_000, "y" * 300_000]}}, "more than 524,288"),
        ({"parameters": {"lr": [1]}, "parallelism": 0}, "parallelism"),
    ],
)
def test_sweeps_that_cannot_be(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sweep(**fields)
    assert says in str(caught.value)


def test_the_most_that_a_sweep_can_be() -> None:
    assert Sweep(parameters={"a": list(range(MOST_COMBINATIONS))}).count == MOST_COMBINATIONS


def test_values_may_be_lists_and_objects() -> None:
    sweep = Sweep(parameters={"layers": [[64, 64], [128]], "schedule": [{"kind": "cosine"}, None]})
    assert sweep.texts[0] == '{"layers":[64,64],"schedule":{"kind":"cosine"}}'


def test_true_and_one_are_two_values() -> None:
    assert Sweep(parameters={"bias": [True, 1]}).count == 2


def test_names_with_dots_lead_into_objects() -> None:
    assert nested({"a.b.c": 1, "a.d": 2, "e": 3}) == {"a": {"b": {"c": 1}, "d": 2}, "e": 3}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"count": 1}, "greater than or equal to 2"),
        ({"count": 4, "framework": "jax"}, "'pytorch' or 'tensorflow'"),
        ({"count": 4, "parameter_servers": 1}, "TensorFlow has them"),
        ({"count": 2, "framework": "tensorflow", "parameter_servers": 1}, "a chief and a worker beside them, 3 in all"),
        ({"count": 4, "port": 80}, "port"),
    ],
)
def test_ranks_that_cannot_be(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Ranks(**fields)
    assert says in str(caught.value)


def test_roles() -> None:
    assert Ranks(count=2, framework="tensorflow").roles == [("worker", 0), ("worker", 1)]
    assert Ranks(count=5, framework="tensorflow", parameter_servers=2).roles == [
        ("chief", 0),
        ("worker", 0),
        ("worker", 1),
        ("ps", 0),
        ("ps", 1),
    ]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "workers"),
        ({"workers": 0}, "greater than or equal to 1"),
        ({"workers": 2, "version": "latest"}, "pattern"),
        ({"workers": 2, "head_pool": "gpu"}, "NodePool"),
    ],
)
def test_ray_clusters_that_cannot_be(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Ray(**fields)
    assert says in str(caught.value)
