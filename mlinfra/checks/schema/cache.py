"""What was derived once, kept for later runs: one JSON file per package version, filled as types are needed.

A cache may be lost, half-written by a machine that went down, or written by two processes at once: whatever cannot be
read is derived again, and a file only ever appears whole, under its final name.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

FORMAT: Final = 1
"""Counts up with every change in what is derived or how it is written: files of another format are not read."""

Record: TypeAlias = dict[str, Any]
_SECTIONS: Final = ("schemas", "objects", "tokens")


class Cache:
    """One file. `schemas`, `objects` and `tokens` map names to records; `put` adds, `save` writes what was added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._added: dict[str, Record] = {section: {} for section in _SECTIONS}
        self._known: dict[str, Record] | None = None

    def get(self, section: str, name: str) -> Any:
        """A record, or None."""
        return self._records(section).get(name)

    def names(self, section: str) -> list[str]:
        """The names in a section."""
        return list(self._records(section))

    def put(self, section: str, name: str, record: Any) -> None:
        """Add a record."""
        self._records(section)[name] = self._added[section][name] = record

    def save(self) -> None:
        """Write what was added, together with what others have written since.

        A folder that cannot be written to is no error: everything is derived again next time.
        """
        if not any(self._added.values()):
            return
        merged = _read(self.path)
        for section in _SECTIONS:
            merged[section].update(self._added[section])
        with suppress(OSError):
            _write(self.path, orjson.dumps({"format": FORMAT, **merged}))
            self._added = {section: {} for section in _SECTIONS}

    def _records(self, section: str) -> Record:
        if self._known is None:
            self._known = _read(self.path)
        return self._known[section]


def _read(path: Path) -> dict[str, Record]:
    """The sections of a file; empty ones where it is missing, damaged or of another format."""
    empty: dict[str, Record] = {section: {} for section in _SECTIONS}
    try:
        data = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return empty
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return empty
    sections = {section: data.get(section) for section in _SECTIONS}
    return (
        {name: item for name, item in sections.items() if isinstance(item, dict)}
        if all(isinstance(item, dict) for item in sections.values())
        else empty
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
