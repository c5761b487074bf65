"""Small files, JSON most of them, that several processes of mlinfra write and read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote; empty where the file is not there or is damaged: all of it can be found out anew."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record, as `write_bytes` does."""
    write_bytes(path, json.dumps(record, indent=2).encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file for the owner's eyes; readers see the old one or the new one whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
