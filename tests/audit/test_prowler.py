"""The scan itself, with the real Prowler: every finding has an answer. Skipped where Prowler is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROWLER = os.environ.get("MLINFRA_PROWLER") or shutil.which("prowler")


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.skipif(not PROWLER, reason="prowler is neither on PATH nor named by MLINFRA_PROWLER")
def test_every_finding_on_a_prod_stack_has_an_answer(tmp_path: Path) -> None:
    page = tmp_path / "prowler.md"
    command = [sys.executable, "-m", "audit.prowler", "--prowler", str(PROWLER), "--page", str(page)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "warning: " not in ran.stderr.replace("warning: the local AWS", ""), "no waiver is needless"
    assert "## Open" not in page.read_text()
