from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.checks.capacity.choosing import HOSTNAME, matches, names_machines, refusal

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "capacity_choosing.yaml").read_text(encoding="utf-8"))
LABELS = {HOSTNAME: "gpu-0", "kubernetes.io/arch": "amd64", "pool": "gpu", "cores": "8"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_a_machine(case: dict[str, Any]) -> None:
    taints = tuple((key, value, effect) for key, value, effect in case.get("taints", []))
    found = refusal(case["pod"], LABELS, taints)
    if "says" in case:
        assert case["says"] in found
    else:
        assert found == ""


def test_who_names_single_machines() -> None:
    named = [case["what"] for case in CASES if names_machines(case["pod"])]
    assert named == ["a field names the machine", "a field names another", "a machine by name"]
    assert names_machines({"nodeSelector": {HOSTNAME: "x"}})


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"pool": "gpu"}}, True),
        ({"matchLabels": {"pool": "cpu"}}, False),
        ({"matchLabels": {"pool": "gpu"}, "matchExpressions": [{"key": "team", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "pool", "operator": "Strange"}]}, False),
    ],
)
def test_selectors(selector: Any, wanted: bool) -> None:
    assert matches(selector, LABELS) is wanted
