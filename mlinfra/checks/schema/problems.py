"""What is wrong at one place of one node: found by the checks of values, told by `check_schema`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from mlinfra.diagnostics import Severity
from mlinfra.graph import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem at `path` within a node's inputs; `summary` completes the sentence that names node and property."""

    code: str
    path: Path
    summary: str
    remedy: str = ""
    detail: str = ""
    severity: Severity = Severity.ERROR


def place(path: Path) -> str:
    """A path as messages show it: `spec.ports[0]["a.b"]`."""
    # Imported here because Pulumi's values need protobuf, 0.1 s to load, and most runs have no problem to tell of.
    from mlinfra.wire.values import property_path

    return property_path(path)


def a(thing: object) -> str:
    """A thing in words, with its article."""
    words = str(thing)
    return f"{'an' if words[0] in 'aeiouAEIOU' else 'a'} {words}"


def suggestion(name: str, known: Iterable[str], also: str = "") -> str:
    """A remedy for a name that is not known: the nearest known one, if any is near, and `also`."""
    near = closest(name, known)
    return " ".join(part for part in (f"Did you mean {near}?" if near else "", also) if part)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to `name`, whatever its case, or None where none is near."""
    folded = {item.casefold(): item for item in sorted(known)}
    found = get_close_matches(name.casefold(), folded, 1, 0.7)
    return folded[found[0]] if found else None


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names in a row, cut short after `limit`."""
    names = sorted(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
