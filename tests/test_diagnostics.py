"""Diagnostics are values: they read back, say only what there is to say, and are collected."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError, Problems, Severity

LOCATIONS = st.builds(
    Location, st.text(min_size=1), st.none() | st.integers(1, 10_000), st.none() | st.integers(1, 200)
)
DIAGNOSTICS = st.builds(
    Diagnostic,
    summary=st.text(min_size=1),
    detail=st.text(),
    remedy=st.text(),
    location=st.none() | LOCATIONS,
    component=st.none() | st.text(min_size=1),
    resource=st.none() | st.text(min_size=1),
    code=st.text(),
    severity=st.sampled_from(Severity),
)


@given(item=DIAGNOSTICS)
def test_a_diagnostic_reads_back(item: Diagnostic) -> None:
    assert Diagnostic.from_json(json.loads(json.dumps(item.as_json()))) == item


def test_what_is_empty_is_left_out() -> None:
    assert Diagnostic("x").as_json() == {"severity": "error", "summary": "x"}


@pytest.mark.parametrize(
    ("location", "text"),
    [(Location("f"), "f"), (Location("f", 3), "f:3"), (Location("f", 3, 7), "f:3:7")],
)
def test_a_location_is_a_link(location: Location, text: str) -> None:
    assert str(location) == text


def test_problems_are_told_together() -> None:
    problems = Problems()
    problems.warning("careful", code="w")
    problems.raise_errors()
    problems.error("wrong", remedy="mend it")
    problems.extend([Diagnostic("wrong too")])
    assert [item.summary for item in problems.warnings] == ["careful"]
    assert [item.summary for item in problems.errors] == ["wrong", "wrong too"]
    with pytest.raises(MlinfraError, match="careful; wrong; wrong too") as caught:
        problems.raise_errors()
    assert caught.value.diagnostics == tuple(problems.found)
