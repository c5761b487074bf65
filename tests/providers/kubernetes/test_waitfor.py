from __future__ import annotations

from typing import Any

import pytest

from mlinfra.providers.kubernetes.waitfor import parse

STATUS: dict[str, Any] = {
    "conditions": [{"type": "Ready", "status": "False", "message": "no quota"}, {"type": "Done", "status": "True"}],
    "phase": "Running",
    "on": True,
    "count": 3,
}
CASES: dict[str, list[str | None]] = {
    "condition=Done": [None],
    "condition=done": [None],
    "condition=Ready": ["condition Ready to be True (now False: no quota)"],
    "condition=Ready=False": [None],
    "condition=Synced": ["condition Synced to be True (now not set)"],
    "jsonpath={.status.phase}": [None],
    "jsonpath={.status.phase}=Running": [None],
    "jsonpath={.status.on}=true": [None],
    "jsonpath={.status.count}=3": [None],
    "jsonpath={.status.phase}=Done": ["status.phase to be Done (now Running)"],
    "jsonpath={.status.url}": ["status.url to be set (now not set)"],
    '["condition=Done", "condition=Ready"]': [None, "condition Ready to be True (now False: no quota)"],
}


@pytest.mark.parametrize("annotation", CASES)
def test_waits(annotation: str) -> None:
    assert [wait.missing({"status": STATUS}) for wait in parse(annotation)] == CASES[annotation]


@pytest.mark.parametrize("annotation", ["Ready", "condition=", "jsonpath={.items[*].x}", '["condition=A"', "[1]"])
def test_what_is_not_understood(annotation: str) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        parse(annotation)
