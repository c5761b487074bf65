"""What tests of every room share: a project of their own, and a way to hold diagnostics against what is expected."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings

from mlinfra.diagnostics import Diagnostic
from mlinfra.project import Project

MakeProject: TypeAlias = Callable[..., Project]
HoldAgainst: TypeAlias = Callable[[Iterable[Diagnostic], list[dict[str, Any]], str], None]

# The same examples in every run, and none that fails for being slow on a busy machine.
settings.register_profile(
    "timeless", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("timeless")

# What a shell starts in the background ignores SIGINT, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

STACK = """\
blueprint: {blueprint}
environment: {{name: dev, tier: dev}}
owner: {{team: tests, cost_center: none}}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start the engine or a cluster come first: a long one that came last would run beside nothing."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[MakeProject]:
    """A factory of projects: files by name, as texts or bytes. What blueprints leave in `sys` goes with the test.

    A stack that is given as None is an ordinary one of the first blueprint.
    """
    before, path = set(sys.modules), list(sys.path)

    def make(
        stacks: Mapping[str, str | bytes | None] | None = None,
        blueprints: Mapping[str, str | bytes] | None = None,
    ) -> Project:
        root = tmp_path / "project"
        ordinary = STACK.format(blueprint=next(iter(blueprints or ()), "none"))
        files: dict[Path, str | bytes] = {
            root / "stacks" / f"{name}.yaml": ordinary if text is None else text
            for name, text in (stacks or {}).items()
        }
        files |= {root / "blueprints" / f"{name}.py": text for name, text in (blueprints or {}).items()}
        for folder in ("stacks", "blueprints"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Project(root)

    yield make
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("mlinfra_blueprints", "blueprints"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def hold_against() -> HoldAgainst:
    """Exactly the expected diagnostics, in order: code, file, line, severity, and words somewhere in the text."""

    def check(found: Iterable[Diagnostic], expected: list[dict[str, Any]], file: str) -> None:
        found = list(found)
        told = "\n".join(str(item.as_json()) for item in found)
        wanted = [
            (item["code"], item.get("severity", "error"), item.get("file", file), item.get("line", 1))
            for item in expected
        ]
        places = [(item.code, str(item.severity), *_place(item)) for item in found]
        assert places == wanted, told
        for item, want in zip(found, expected, strict=True):
            text = f"{item.summary}\n{item.detail}\n{item.remedy}"
            for words in want.get("says", []):
                assert words in text, told
            assert "/project/" not in text, told

    return check


def _place(item: Diagnostic) -> tuple[str | None, int | None]:
    return (item.location.file, item.location.line) if item.location else (None, None)
