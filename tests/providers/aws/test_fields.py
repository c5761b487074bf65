"""Validation and defaults, from the fields alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.fields import Field, document_text, filled, problems
from mlinfra.providers.aws.shapes import from_aws, same, to_aws

INNER = (Field("kind", required=True, choices=("a", "b")), Field("count", int, bounds=(1, 5)))
FIELDS = (
    Field("name", required=True, pattern=(r"[a-z]+", "small letters")),
    Field("flag", bool, default=False),
    Field("ratio", float),
    Field("labels", dict),
    Field("names", many=True),
    Field("inner", INNER),
    Field("items", INNER, many=True),
    Field("policy", document=True),
)
CASES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"name": "a"}, {}),
    ({"name": UNKNOWN, "items": [UNKNOWN], "inner": {"kind": UNKNOWN}, "labels": {"a": UNKNOWN}}, {}),
    ({"name": "a", "policy": {"Statement": []}}, {}),
    ({"name": "a", "policy": "[1]", "ratio": 1, "inner": {"kind": "a", "count": 5.0}}, {}),
    ({"__defaults": ["name"], "name": "a"}, {}),
    ({}, {"name": "is required"}),
    ({"name": None}, {"name": "is required"}),
    ({"name": "A"}, {"name": "must be small letters"}),
    ({"name": 3}, {"name": "must be a text"}),
    ({"name": "a", "flag": "true"}, {"flag": "must be true or false"}),
    ({"name": "a", "ratio": True}, {"ratio": "must be a number"}),
    ({"name": "a", "labels": {"a": 1}}, {"labels": "must be a map of texts"}),
    ({"name": "a", "names": "b"}, {"names": "must be a list"}),
    ({"name": "a", "names": ["b", 1]}, {"names.1": "must be a text"}),
    ({"name": "a", "inner": []}, {"inner": "must be an object"}),
    ({"name": "a", "inner": {}}, {"inner.kind": "is required"}),
    ({"name": "a", "inner": {"kind": "c", "count": 1.5}},
     {"inner.kind": "must be one of a, b", "inner.count": "must be a whole number"}),
    ({"name": "a", "items": [{"kind": "a", "count": 6, "more": 1}]},
     {"items.0.more": "is not supported by mlinfra's embedded AWS provider", "items.0.count": "must be from 1 to 5"}),
    ({"name": "a", "policy": "{"}, {"policy": "must be JSON"}),
]  # fmt: skip


@pytest.mark.parametrize(("values", "expected"), CASES)
def test_problems(values: dict[str, Any], expected: dict[str, str]) -> None:
    assert {".".join(map(str, path)): reason for path, reason in problems(FIELDS, values)} == expected


@given(st.dictionaries(st.sampled_from([field.name for field in FIELDS]), st.just("s3cr3t-value")))
def test_reasons_never_hold_a_value(values: dict[str, str]) -> None:
    assert not any("s3cr3t" in reason for _, reason in problems(FIELDS, values))


def test_filled() -> None:
    found = filled(FIELDS, {"name": "a", "policy": {"b": 1, "a": [2]}, "ratio": None})
    assert found == {"name": "a", "flag": False, "policy": '{"a": [2], "b": 1}'}
    assert filled(FIELDS, {"name": "a", "policy": {"b": [UNKNOWN]}})["policy"] is UNKNOWN


@given(st.recursive(st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_document_text(value: Any) -> None:
    assert json.loads(document_text(value)) == value


OBJECT = st.fixed_dictionaries({"kind": st.text()}, optional={"count": st.integers()})
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(),
        "flag": st.booleans(),
        "labels": st.dictionaries(st.text(), st.text()),
        "names": st.lists(st.text()),
        "inner": OBJECT,
        "items": st.lists(OBJECT),
    },
)
SHAPED = (*(field for field in FIELDS if field.name != "labels"), Field("labels", dict, pairs=("Key", "Value")))


@given(VALUES, st.booleans())
def test_what_goes_to_aws_comes_back(values: dict[str, Any], plain: bool) -> None:
    arguments = (same,) if plain else ()
    back = from_aws(SHAPED, to_aws(SHAPED, values, *arguments), *arguments)
    assert {name: value for name, value in back.items() if value is not None} == values
