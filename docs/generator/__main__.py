"""`python -m docs.generator` writes every page."""

from __future__ import annotations

from docs.generator.pages import PAGES, REFERENCE

REFERENCE.mkdir(exist_ok=True)
for name, make in PAGES.items():
    (REFERENCE / name).write_text(make(), encoding="utf-8")
