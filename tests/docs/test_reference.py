"""`docs/reference/` is what the models say now, and leaves no command and no option out."""

from __future__ import annotations

from typing import Any

import pytest
import typer

import mlinfra
from docs.generator.pages import PAGES, REFERENCE
from mlinfra.cli.main import app
from mlinfra.components.registry import KINDS
from mlinfra.components.values import Structure
from mlinfra.documented import descriptions
from mlinfra.stack import StackFile
from mlinfra.tools.table import TOOLS


def _commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every command by its full name, read from typer apart from the generator."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= _commands(command, f"{prefix}{name} ") if inner else {f"{prefix}{name}": command}
    return found


COMMANDS = _commands(typer.main.get_command(app))


def test_every_page_is_current() -> None:
    stale = [
        name
        for name, make in PAGES.items()
        if not (REFERENCE / name).exists() or (REFERENCE / name).read_text(encoding="utf-8") != make()
    ]
    assert not stale, "the models have changed: run `make docs` and review the difference"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in REFERENCE.iterdir()} == set(PAGES)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_there(name: str) -> None:
    text = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    section = text.partition(f"## `mlinfra {name}`\n")[2].partition("\n## ")[0]
    assert section, f"mlinfra {name} is not in the reference"
    for option in COMMANDS[name].params:
        assert option.help, f"{option.name} of mlinfra {name} has no help"
        assert all(f"`{spelling}`" in section for spelling in option.opts)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_of_its_command(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert text.splitlines()[0].rstrip().endswith("."), "the first line is a sentence"
    _, found, example = text.partition("Example")
    assert found, f"mlinfra {name} --help shows no example"
    assert f"mlinfra {name}" in example


def test_the_words_of_each_kind_and_field_are_there() -> None:
    text = (REFERENCE / "components.md").read_text(encoding="utf-8")
    for kind in KINDS:
        section = text.partition(f"\n## {kind.__name__}\n")[2].partition("\n## ")[0]
        for name in kind.model_fields:
            if name not in ("name", "moved_from"):
                description = descriptions(kind).get(name)
                assert description, f"{kind.__name__}.{name} has no docstring"
                assert f"| `{name}` |" in section
                assert " ".join(description.split()) in section


def test_every_value_that_blueprints_import_is_there() -> None:
    text = (REFERENCE / "components.md").read_text(encoding="utf-8")
    public = [getattr(mlinfra, name) for name in mlinfra.__all__]
    values = {item.__name__ for item in public if isinstance(item, type) and issubclass(item, Structure)}
    assert {name for name in values if f"\n## {name}\n" not in text} == set()


def test_every_field_of_a_stack_file_says_what_it_is_for() -> None:
    text = (REFERENCE / "stack-file.md").read_text(encoding="utf-8")
    for name in StackFile.model_fields:
        [row] = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith(f"| `{name}` |")]
        assert row.split(" | ")[-1].strip(" |"), name


def test_every_tool_is_there() -> None:
    text = (REFERENCE / "local-target.md").read_text(encoding="utf-8")
    assert all(f"| `{tool.name}` | {tool.version} |" in text for tool in TOOLS.values())


def test_codes_that_other_tests_expect_are_there() -> None:
    """The codes are read from the source by their place in calls; those that runs really gave must be among them."""
    text = (REFERENCE / "diagnostics.md").read_text(encoding="utf-8")
    seen = {"locked", "protected", "name-taken", "unreachable", "stack-yaml", "stack-binary", "blueprint-binary"}
    seen |= {"invalid-value", "unknown-field", "missing-output", "blueprint-not-reproducible", "dangling-reference"}
    assert {code for code in seen if f"| `{code}` |" not in text} == set()
