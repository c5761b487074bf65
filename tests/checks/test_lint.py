from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.checks.lint import BRANCHES, CHANGES, SYNTAX, lint_source


@pytest.mark.parametrize(
    "case", yaml.safe_load((Path(__file__).parent / "cases/lint.yaml").read_text()), ids=lambda case: case["name"]
)
def test_cases(case: dict[str, Any]) -> None:
    found = lint_source(case["source"], "blueprints/b.py")

    severity = case.get("severity", "error")
    code = case.get("code", CHANGES if severity == "warning" else BRANCHES)
    assert [(item.location and item.location.line, item.code, item.severity) for item in found] == [
        (line, code, severity) for line in case.get("lines", [])
    ]
    assert all(item.location and item.location.file == "blueprints/b.py" for item in found)


def test_the_remedy_names_parameters_and_tiers() -> None:
    (found,) = lint_source("@blueprint('b')\ndef b(env, p):\n    return env.name\n", "b.py")

    assert "parameter" in found.remedy
    assert "env.tier" in found.remedy
    assert str(found.location) == "b.py:3:12"


@settings(deadline=None)
@given(st.text())
def test_any_text_is_linted_without_a_crash(text: str) -> None:
    assert all(item.code == SYNTAX for item in lint_source(text, "b.py"))
