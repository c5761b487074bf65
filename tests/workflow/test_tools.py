from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.emit import silent
from mlinfra.tools.table import MONITORING, ROLLOUTS, TOOLS, USUAL
from mlinfra.workflow.tools import doctor, setup


@pytest.fixture(autouse=True)
def all_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tool is named by the user, at the version that it should have."""
    monkeypatch.setenv("MLINFRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/nowhere")
    for tool in TOOLS.values():
        path = tmp_path / tool.name
        path.write_text(f"#!/bin/sh\necho {tool.version}\n")
        path.chmod(0o755)
        monkeypatch.setenv(tool.variable, str(path))


def absent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.delenv(TOOLS[name].variable)


def test_setup_gets_what_every_run_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, *MONITORING, *ROLLOUTS)
    facts = setup(silent)
    assert [fact.name for fact in facts] == list(USUAL)
    assert all(fact.well for fact in facts)


def test_setup_gets_more_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, *ROLLOUTS)
    assert [fact.name for fact in setup(silent, monitoring=True)] == [*USUAL, *MONITORING]


def test_all_of_it() -> None:
    assert [fact.name for fact in setup(silent, monitoring=True, rollouts=True)] == list(TOOLS)


def test_doctor_does_not_miss_what_not_everybody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, *MONITORING, *ROLLOUTS)
    names = {fact.name for fact in doctor()}
    assert names >= set(USUAL)
    assert not names & {*MONITORING, *ROLLOUTS}


def test_doctor_tells_of_a_choice_that_will_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLINFRA_TOOL_PROMTOOL", "/nowhere/promtool")
    [fact] = [fact for fact in doctor() if fact.name == "promtool"]
    assert not fact.well
    assert "there is no such file" in fact.detail
