from __future__ import annotations

import time
from typing import Any

import pytest

from mlinfra.providers.kubernetes.awaiting import DEFAULT_SECONDS, deadline, kept_by

SECONDS: list[tuple[float, str, float]] = [
    (0, "", DEFAULT_SECONDS),
    (0, "30", 30),
    (0, "2.5", 2.5),
    (0, "soon", DEFAULT_SECONDS),
    (7, "30", 7),
]


@pytest.mark.parametrize(("timeout", "annotation", "expected"), SECONDS)
def test_how_long_to_wait(timeout: float, annotation: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    inputs = {"metadata": {"annotations": {"pulumi.com/timeoutSeconds": annotation}}}
    assert deadline(inputs, timeout) == 1000.0 + expected


KEPT: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"finalizers": ["a", "b"]}}, "finalizers: a, b"),
    ({"metadata": {}}, "finalizers: none"),
    (
        {
            "metadata": {},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {
                "conditions": [{"status": "True", "message": "2 pods left"}, {"status": "False", "message": "x"}]
            },
        },
        "finalizers: kubernetes (2 pods left)",
    ),
]


@pytest.mark.parametrize(("item", "words"), KEPT)
def test_what_keeps_a_deleted_object(item: dict[str, Any], words: str) -> None:
    assert kept_by(item) == words
