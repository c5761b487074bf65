"""One world for all tests of a process: a cluster takes seconds to start, and a stack is as new after a destroy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.chaos.world import World, end_engines
from tests.e2e.conftest import Lab, close_lab, new_lab, tools

__all__ = ["tools"]


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory, tools: Mapping[str, Path]) -> Iterator[list[World]]:
    """The worlds so far; the last is the one in use."""
    lab: Lab = new_lab(tmp_path_factory.mktemp("chaos"))
    made: list[World] = [World(lab, "chaos")]
    yield made
    end_engines(lab.root)
    close_lab(lab)


@pytest.fixture
def world(worlds: list[World]) -> World:
    """A world in peace. A test that fails spoils it, and the next gets another, with a cluster and an account anew."""
    if worlds[-1].spoiled:
        end_engines(worlds[-1].lab.root)
        worlds.append(World(worlds[-1].lab, f"chaos-{len(worlds)}"))
    found = worlds[-1]
    found.spoiled = True
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many strikes came while their run was still going on: a late one shows nothing."""
    reports = [
        report for found in terminalreporter.stats.values() for report in found if getattr(report, "when", "") == "call"
    ]
    told = [value for report in reports for key, value in report.user_properties if key == "struck"]
    if told:
        late = sorted(value for value in told if str(value).endswith("too late"))
        terminalreporter.write_line(f"{len(told) - len(late)} of {len(told)} strikes came in time {late or ''}")
