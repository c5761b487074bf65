"""What a run has done, as plain data."""

from __future__ import annotations

import pytest

from mlinfra.report import Operation, PropertyChange, Report, State, Step


def report_of(counts: dict[Operation, int]) -> Report:
    return Report("up", "dev", "b@1.0.0", "dev", "local", succeeded=True, counts=counts)


@pytest.mark.parametrize(
    ("counts", "changes"),
    [
        ({}, 0),
        ({Operation.SAME: 5, Operation.READ: 1, Operation.REFRESH: 3}, 0),
        (dict.fromkeys(Operation, 1), len(Operation) - 3),
    ],
)
def test_what_counts_as_a_change(counts: dict[Operation, int], changes: int) -> None:
    assert report_of(counts).changes == changes


def test_a_step_as_plain_data() -> None:
    change = PropertyChange("a.b", "update", None, 2)
    step = Step("n", "t:t:T", None, Operation.REPLACE, State.DONE, (change,), ("a",), 1.23456)
    assert step.as_json() == {
        "node": "n",
        "resource_type": "t:t:T",
        "operation": "replace",
        "state": "done",
        "changes": [{"path": "a.b", "kind": "update", "old": None, "new": 2}],
        "replaces": ["a"],
        "seconds": 1.235,
    }
    assert Step("n", "t", None, Operation.SAME, State.STARTED).as_json() == {
        "node": "n",
        "resource_type": "t",
        "operation": "same",
        "state": "started",
    }
