"""What documents say of commands, files and variables is so; links lead somewhere; the tree is free of some words."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mlinfra.tools.table import TOOLS
from tests.docs.markdown import ROOT, anchors, blocks, documents, files, inline, links, prose
from tests.docs.test_reference import COMMANDS

DOCUMENTS = documents()
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
WRITTEN_BY_HAND = [path for path in DOCUMENTS if path.parent.name != "reference"]
GROUPS = {name.partition(" ")[0] for name in COMMANDS if " " in name}
"""Commands that only have commands of their own, such as `mlinfra runs`."""

HOSTS = ["proxy.golang" + ".org", "sum.golang" + ".org", "pypi" + ".org", "files.pythonhosted" + ".org"]
"""Package registries: which one is used is the user's own setting."""
FOLDERS = ["work", "root", "tmp/kk"]
"""Folders of the machines that this was written on."""


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(read(path)):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        where, _, anchor = link.partition("#")
        target = (path.parent / where).resolve() if where else path
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        if anchor:
            assert anchor in anchors(read(target)), f"{link}: there is no such heading"


def commands_in(path: Path) -> list[str]:
    """The calls of mlinfra in a document, inline and in blocks of shell commands."""
    shown = [line.removeprefix("$ ") for block in blocks(read(path)) for line in block.lines if block.language == "sh"]
    shown += [line[2:] for block in blocks(read(path)) for line in block.lines if line.startswith("$ ")]
    found = [text for text in inline(read(path)) if re.match(r"mlinfra [a-z]", text)]
    for line in shown:
        found += re.findall(r"mlinfra [a-z][^\")|;&#]*", line)
    return [text for text in found if "…" not in text]


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_commands_and_options_exist(path: Path) -> None:
    for text in commands_in(path):
        words = shlex.split(text)[1:]
        name = " ".join(words[:2]) if words[0] in GROUPS else words[0]
        if name in GROUPS:
            continue
        assert name in COMMANDS, f"{text}: there is no command {name!r}"
        known = {spelling for option in COMMANDS[name].params for spelling in option.opts} | {"--help"}
        assert {word for word in words if word.startswith("-")} <= known, text


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", read(ROOT / "Makefile")))
    text = "\n".join([*inline(read(path)), *(line for block in blocks(read(path)) for line in block.lines)])
    used = set(re.findall(r"(?m)^make ([a-z]+)", text))
    assert used <= targets


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(path: Path) -> None:
    for text in inline(read(path)):
        if re.fullmatch(r"(mlinfra|tests|docs|blueprints|stacks|bench)(/[\w.-]+)+/?", text):
            assert (ROOT / text).exists(), f"{path.name} names {text}"


def test_every_variable_is_documented_and_every_documented_one_is_used() -> None:
    source = "\n".join(read(path) for path in files() if path.is_relative_to(ROOT / "mlinfra") and path.suffix == ".py")
    used = set(re.findall(r"\"(MLINFRA_[A-Z_]+?)_?\"", source)) | {"MLINFRA_TOOL"}
    text = read(ROOT / "README.md").replace("`MLINFRA_TOOL_<NAME>`", "`MLINFRA_TOOL`")
    documented = set(re.findall(r"(?m)^\| `(MLINFRA_[A-Z_]+)`", text))
    assert documented == used
    assert all(tool.variable.startswith("MLINFRA_TOOL_") for tool in TOOLS.values())


def test_the_layers_in_the_architecture_are_those_that_are_held() -> None:
    config: dict[str, Any] = tomllib.loads(read(ROOT / "pyproject.toml"))
    [contract] = [item for item in config["tool"]["importlinter"]["contracts"] if item["type"] == "layers"]
    held = [sorted(name.strip() for name in layer.split("|")) for layer in contract["layers"]]
    section = read(ROOT / "docs" / "architecture.md").partition("## Who may import whom")[2]
    rows = [line for line in section.partition("Each foreign library")[0].splitlines() if line.startswith("| `")]
    assert [sorted(re.findall(r"`(\w+)`", row.split("|")[1])) for row in rows] == held


def test_the_blueprint_in_the_readme_is_the_one_in_the_library() -> None:
    source = read(ROOT / "blueprints" / "recommender.py")
    [shown] = ["\n".join(block.lines) for block in blocks(read(ROOT / "README.md")) if block.language == "python"]
    assert shown in source


def test_every_decision_is_listed_and_dated() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("[0-9]*.md"))
    listed = links(read(folder / "README.md"))
    assert [path.name for path in records] == [link for link in listed if link[0].isdigit()]
    for number, path in enumerate(records, start=1):
        title, _, state, *_ = read(path).splitlines()
        assert title.startswith(f"# {number}. ")
        assert path.name.startswith(f"{number:04d}-")
        assert re.match(r"\d{4}-\d\d-\d\d, (accepted|superseded)", state)
        assert {"Context", "Decision", "Consequences"} <= set(re.findall(r"(?m)^## (.*)$", read(path)))


def test_the_glossary_is_in_order() -> None:
    rows = [line for line in read(ROOT / "docs" / "glossary.md").splitlines() if line.startswith("| ")][2:]
    words = [row.split("|")[1].strip() for row in rows]
    assert words == sorted(words, key=str.casefold)


def test_no_registry_and_no_machine_is_named() -> None:
    pattern = re.compile(
        "|".join([*map(re.escape, HOSTS), *(rf"(?<![\w.$}})*~-])/{folder}(?![\w.-])" for folder in FOLDERS)])
    )
    found = []
    for path in files():
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_there_are_no_emojis() -> None:
    for path in WRITTEN_BY_HAND:
        for number, line in enumerate(prose(read(path)).splitlines(), start=1):
            assert not re.search("[\U0001f300-\U0001faff\u2600-\u27bf]", line), f"{path.name}:{number}"


@pytest.mark.parametrize("path", [path for path in files() if path.suffix == ".svg"], ids=lambda path: path.name)
def test_pictures_are_whole_and_are_told_in_words(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    told = [root.find(f"{{http://www.w3.org/2000/svg}}{name}") for name in ("title", "desc")]
    assert all(item is not None and item.text for item in told)
    shown = [
        text for document in DOCUMENTS for text in re.findall(rf"!\[([^\]]*)\]\([^)]*{path.name}\)", read(document))
    ]
    assert shown, "no document shows it"
    assert all(len(text) > 40 for text in shown), "what it shows is told to those who do not see it"
