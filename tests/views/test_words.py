"""Words of the person's view."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.report import Operation
from mlinfra.views.words import DOING, DONE, SIGNS, counted, duration, short_type, value


def test_every_operation_has_its_words() -> None:
    assert set(SIGNS) == set(DOING) == set(DONE) == set(Operation)


@pytest.mark.parametrize(
    ("token", "short"),
    [
        ("aws:s3/bucketPolicy:BucketPolicy", "S3 BucketPolicy"),
        ("aws:cloudwatch/logGroup:LogGroup", "cloudwatch LogGroup"),
        ("aws:iam/role:Role", "IAM Role"),
        ("kubernetes:apps/v1:Deployment", "Deployment"),
        ("kubernetes:core/v1:Secret", "Secret"),
    ],
)
def test_short_types(token: str, short: str) -> None:
    assert short_type(token) == short


@pytest.mark.parametrize(
    ("counts", "planned", "text"),
    [
        (
            {Operation.CREATE: 3, Operation.UPDATE: 1, Operation.SAME: 40},
            True,
            "3 to create, 1 to update, 40 unchanged",
        ),
        ({Operation.DELETE: 2, Operation.REPLACE: 1}, False, "1 replaced, 2 deleted"),
        ({Operation.READ: 2, Operation.CREATE: 0}, True, "no resources"),
        ({Operation.REFRESH: 5, Operation.SAME: 1}, False, "5 changed outside, 1 unchanged"),
    ],
)
def test_counts_as_a_phrase(counts: dict[Operation, int], planned: bool, text: str) -> None:
    assert counted(counts, planned=planned) == text


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (None, "(none)"),
        ("a\nb", "a⏎b"),
        ({"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        (True, "true"),
        ("x" * 61, "x" * 59 + "…"),
    ],
)
def test_values_on_one_line(item: Any, text: str) -> None:
    assert value(item) == text


@given(item=st.text() | st.lists(st.text()), width=st.integers(1, 80))
def test_a_value_is_never_wider(item: Any, width: int) -> None:
    assert len(value(item, width)) <= width
    assert "\n" not in value(item, width)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (3.21, "3.2 s"), (12.4, "12 s"), (61, "1 min 1 s"), (3600, "60 min 0 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
