"""Comparing with golden files.

`MLINFRA_UPDATE_GOLDEN=1` writes them anew; the difference is then reviewed like any other change.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlinfra.project import Project

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def project() -> Project:
    """This repository, which is a project itself."""
    return Project(ROOT)


@pytest.fixture(scope="session")
def matches() -> Callable[[Path, str], None]:
    """Fail with a difference where a file is not the text that it should be."""

    def compare(path: Path, text: str) -> None:
        if os.environ.get("MLINFRA_UPDATE_GOLDEN") == "1":
            path.write_text(text, encoding="utf-8")
        shown = str(path.relative_to(ROOT))
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        difference = list(difflib.unified_diff(known.splitlines(), text.splitlines(), shown, "now", lineterm="", n=4))
        if difference:
            rest = f"\n… and {len(difference) - 200} lines more" if len(difference) > 200 else ""
            remedy = (
                "\n\nIf this is as it should be: MLINFRA_UPDATE_GOLDEN=1 pytest tests/golden, and review the change."
            )
            pytest.fail("\n".join(difference[:200]) + rest + remedy, pytrace=False)
        assert known == text

    return compare
