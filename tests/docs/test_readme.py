"""The commands of the README and of docs/serving.md, run on the real local target in the order in which a reader meets
them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, blocks
from tests.e2e.conftest import Lab, close_lab, new_lab, tools

__all__ = ["tools"]
pytestmark = pytest.mark.e2e

NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Shown:
    """A command and what the document shows that it prints."""

    command: str
    output: tuple[str, ...]
    line: int


def shown(document: Path) -> Iterator[Shown]:
    """The commands in a document's `console` blocks."""
    for block in blocks(document.read_text(encoding="utf-8")):
        if block.language != "console":
            continue
        assert block.lines[0].startswith("$ "), f"{document.name}:{block.line} begins without a command"
        starts = [index for index, line in enumerate(block.lines) if line.startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
            output = tuple(line for line in block.lines[start + 1 : end] if line.strip())
            yield Shown(block.lines[start][2:], output, block.line + start + 1)


def form(line: str) -> str:
    """A line without what differs from run to run: numbers, and how wide columns are."""
    return " ".join(NUMBER.sub("#", line).split())


def forms(lines: Iterable[str]) -> set[str]:
    """The lines that every run prints; a task (`·`) is told only where it takes a while."""
    return {form(line) for line in lines if line.strip() and line != "…" and not line.startswith("·")}


@pytest.fixture
def lab(tmp_path: Path, tools: object) -> Iterator[Lab]:
    made = new_lab(tmp_path)
    yield made
    close_lab(made)


def test_the_commands_do_what_the_readme_shows(lab: Lab) -> None:
    assert follow(lab, ROOT / "README.md") > 5


@pytest.mark.slow
def test_the_commands_do_what_is_shown_of_serving(lab: Lab) -> None:
    document = ROOT / "docs" / "serving.md"
    found = list(blocks(document.read_text(encoding="utf-8")))
    for language, path in (("python", "blueprints/ranker.py"), ("yaml", "stacks/ranker-dev.yaml")):
        [first, *_] = [block for block in found if block.language == language]
        (lab.root / path).write_text("\n".join([*first.lines, ""]), encoding="utf-8")
    assert follow(lab, document) > 5


def follow(lab: Lab, document: Path) -> int:
    """Run the commands of a document and compare what they print; returns how many there are."""
    commands = list(shown(document))
    folder = lab.home.parent
    script = "\n".join(
        f"{{ {item.command}\n}} >{folder}/{index}.out 2>&1; echo $? >{folder}/{index}.code"
        for index, item in enumerate(commands)
    )
    variables = lab.variables() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", script], cwd=lab.root, env=variables, stdin=subprocess.DEVNULL, check=True)
    for index, item in enumerate(commands):
        printed = (folder / f"{index}.out").read_text()
        where = f"{document.name}:{item.line}: {item.command}\n{printed}"
        assert (folder / f"{index}.code").read_text() == "0\n", where
        lines, wanted = forms(printed.splitlines()), forms(item.output)
        assert not wanted - lines, f"{where}\nnot printed: {wanted - lines}"
        if "…" not in item.output:
            assert not lines - wanted, f"{where}\nnot shown: {lines - wanted}"
    left = {str(path.relative_to(lab.home)) for path in lab.home.rglob("*") if path.is_file()}
    assert not {path for path in left if not path.startswith(".kube/cache/")}, "kubectl's own cache apart"
    return len(commands)
