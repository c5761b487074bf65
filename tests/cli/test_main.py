"""What a command loads: no more than it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mlinfra.cli import main
from mlinfra.cli.main import GROUPS, build

ROOT = Path(__file__).parents[2]
STATE = ("sqlalchemy", "h11", "cryptography")
ENGINE = ("boto3", "moto", "grpc")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["state", "--help"],
        ["runs", "--help"],
        ["validate", "--stack", "dev"],
        ["stacks"],
    ],
)
def test_what_needs_no_state_and_no_engine_loads_neither(arguments: list[str]) -> None:
    assert not loaded(arguments) & {*STATE, *ENGINE}


@pytest.mark.parametrize("arguments", [["report", "data", "--stack", "dev"], ["capacity", "--stack", "dev"]])
def test_what_needs_a_state_loads_no_engine(arguments: list[str]) -> None:
    """They ask it for what was rolled back."""
    assert not loaded(arguments) & set(ENGINE)


def loaded(arguments: list[str]) -> set[str]:
    """The modules that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "mlinfra", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert "mlinfra.cli.main" in found
    return found


def test_the_table_of_commands_is_whole() -> None:
    every: Any = get_command(build())
    assert sorted(every.commands) == sorted(name for commands in GROUPS.values() for name in commands)
    modules = {path.name.removesuffix("_commands.py") for path in Path(main.__file__).parent.glob("*_commands.py")}
    assert modules == set(GROUPS)


@pytest.mark.parametrize("command", [name for commands in GROUPS.values() for name in commands])
def test_a_command_by_itself_is_the_one_among_all(command: str) -> None:
    alone, among = (CliRunner().invoke(app, [command, "--help"]) for app in (build(command), build()))
    assert alone.exit_code == 0
    assert alone.output == among.output


def test_what_is_no_command_is_looked_for_among_all() -> None:
    ran = CliRunner().invoke(build("validat"), ["validat"])
    assert "validate" in ran.output


def test_a_valid_stack_is_told_without_rich() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "mlinfra", "validate", "--stack", "dev"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "mlinfra.workflow.compile" in ran.stderr
    assert "rich.console" not in ran.stderr
