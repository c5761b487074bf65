"""Pages and tables as Markdown."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Final

NOTICE: Final = "<!-- Written by docs/generator from the code; `make docs` writes it anew. -->\n"


def page(title: str, *parts: str) -> str:
    """A page: notice, title, parts, each apart from the next by an empty line."""
    return "\n\n".join([NOTICE + f"# {title}", *(part.strip() for part in parts if part.strip())]) + "\n"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def paragraphs(text: str | None) -> str:
    """A docstring as Markdown."""
    return inspect.cleandoc(text or "")
