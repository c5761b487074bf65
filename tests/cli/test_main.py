"""What a command loads: no more than it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("sqlalchemy", "h11", "cryptography", "boto3", "moto", "grpc")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["state", "--help"],
        ["runs", "--help"],
        ["validate", "--stack", "dev"],
        ["report", "data", "--stack", "dev"],
        ["capacity", "--stack", "dev"],
        ["stacks"],
    ],
)
def test_what_needs_no_state_and_no_engine_loads_neither(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "mlinfra", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert "mlinfra.cli.main" in loaded
    assert not loaded & set(HEAVY)


def test_a_valid_stack_is_told_without_rich() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "mlinfra", "validate", "--stack", "dev"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "mlinfra.workflow.compile" in ran.stderr
    assert "rich.console" not in ran.stderr
