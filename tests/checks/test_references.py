from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.checks.references import check_references


@pytest.mark.parametrize(
    "case", yaml.safe_load((Path(__file__).parent / "cases/references.yaml").read_text()), ids=lambda case: case["name"]
)
def test_cases(case: dict[str, Any], make_graph: Any, assert_told: Any) -> None:
    assert_told(check_references(make_graph(case)), case.get("problems", []))
