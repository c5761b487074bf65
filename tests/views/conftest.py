"""Reports and events that both views show."""

from __future__ import annotations

import pytest

from mlinfra.diagnostics import Diagnostic, Location
from mlinfra.report import Operation, PropertyChange, Report, State, Step


def step(node: str, operation: Operation, *changes: PropertyChange, replaces: tuple[str, ...] = ()) -> Step:
    return Step(
        node, "aws:s3/bucket:Bucket", node.partition("/")[0], operation, State.DONE, changes, replaces, seconds=1.25
    )


@pytest.fixture
def report() -> Report:
    """A run that creates, updates, replaces and leaves alone."""
    return Report(
        verb="up",
        stack="dev",
        blueprint="rec@1.0.0",
        environment="dev",
        target="local",
        succeeded=True,
        steps=(
            step("models/bucket", Operation.CREATE),
            step("data/bucket", Operation.UPDATE, PropertyChange("tags[env]", "update", "[red]old", {"a": 1})),
            step(
                "data/name",
                Operation.REPLACE,
                PropertyChange("name", "update", "one", "two"),
                PropertyChange("size", "add", None, 3),
                replaces=("name",),
            ),
        ),
        counts={Operation.CREATE: 1, Operation.UPDATE: 1, Operation.REPLACE: 1, Operation.SAME: 5, Operation.READ: 2},
        outputs={"url": "https://x", "arn": "arn:aws:x:key:y", "password": "[secret]"},
        seconds=12.3456,
    )


@pytest.fixture
def problem() -> Diagnostic:
    return Diagnostic(
        "it is [bold]wrong[/]",
        detail="first line\nsecond :key: line",
        remedy="mend it",
        location=Location("stacks/dev.yaml", 3, 1),
        component="data",
        code="some-code",
    )
