"""SHA-256 sums as publishers write them down."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

_LINE = re.compile(r"^([0-9a-fA-F]{64})(?:\s+\*?(\S+))?\s*$")


def sum_for(listing: str, file: str) -> str | None:
    """The SHA-256 sum, in lower case, that `listing` gives for `file`; None where it gives none.

    Three forms are read: lines of `sha256sum` (`SUM  FILE`), a single sum by itself (Kubernetes' `.sha256` files), and
    the JSON record of a GitHub release, whose assets carry `"digest": "sha256:SUM"`.
    """
    if listing.lstrip().startswith("{"):
        return _from_github(listing, file)
    found = [match for match in map(_LINE.match, listing.splitlines()) if match]
    for match in found:
        if match[2] and Path(match[2]).name == file:
            return match[1].lower()
    if len(found) == 1 and not found[0][2]:
        return found[0][1].lower()
    return None


def _from_github(listing: str, file: str) -> str | None:
    try:
        assets = json.loads(listing).get("assets", [])
        digests = {asset["name"]: asset.get("digest") or "" for asset in assets}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    kind, _, digest = str(digests.get(file, "")).partition(":")
    return digest.lower() if kind == "sha256" and _LINE.match(digest) else None


def sha256(path: Path) -> str:
    """The SHA-256 sum of a file, in lower case."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
