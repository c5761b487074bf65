"""The stack files of this repository, and the schema that editors check them with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlinfra.project import Project
from mlinfra.stack import load_stack, stack_names, stack_schema


def test_the_schema_for_editors_is_current(project: Project, matches: Callable[[Path, str], None]) -> None:
    matches(project.stacks / "schema.json", json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n")


ENVIRONMENTS = ["dev", "staging", "prod"]
NAMES = sorted(
    [*ENVIRONMENTS, *(f"{part}-{name}" for part in ("features", "platform", "starter") for name in ENVIRONMENTS)]
)


@pytest.mark.parametrize("name", NAMES)
def test_each_stack_names_its_schema_and_loads(project: Project, name: str) -> None:
    text = (project.stacks / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    stack = load_stack(project, name)
    assert stack.file.environment.name == name.rpartition("-")[2]
    assert stack.file.target.kind == "local"


def test_each_blueprint_has_a_stack_for_each_environment(project: Project) -> None:
    assert stack_names(project) == NAMES
