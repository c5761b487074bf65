"""The project's documents as data: their links, headings, code blocks and inline code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SKIPPED = {".git", ".venv", ".mlinfra", ".hypothesis", "__pycache__", "node_modules", "dist"}


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, its lines, and the line of the document that it begins at."""

    language: str
    lines: tuple[str, ...]
    line: int


def files() -> Iterator[Path]:
    """Every file of the project that is not made by a tool."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        made = any(part in _SKIPPED or part.endswith(("_cache", ".egg-info")) for part in parts)
        if path.is_file() and not made:
            yield path


def documents() -> list[Path]:
    """Every Markdown file."""
    return [path for path in files() if path.suffix == ".md"]


def blocks(text: str) -> Iterator[Block]:
    """The fenced code blocks of a document."""
    language, begun, held = "", 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = re.match(r"\s*```(\w*)", line)
        if fence and not begun:
            language, begun, held = fence[1], number, []
        elif fence:
            yield Block(language, tuple(held), begun)
            begun = 0
        elif begun:
            held.append(line)


def prose(text: str) -> str:
    """A document without its fenced code blocks."""
    return re.sub(r"(?ms)^\s*```.*?^\s*```$", "", text)


def inline(text: str) -> list[str]:
    """The inline code of a document, joined where it goes over the end of a line."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(text))]


def links(text: str) -> list[str]:
    """Where the links and pictures of a document lead."""
    without_code = re.sub(r"`[^`]*`", "", prose(text))
    found = re.findall(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)", without_code)
    return found + re.findall(r"(?m)^\[[^\]]+\]: (\S+)$", without_code)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
