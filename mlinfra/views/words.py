"""Words and signs that the person's view uses: short names of types, verbs of operations, values cut to size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlinfra.report import Operation

SIGNS = {
    Operation.CREATE: ("+", "green"),
    Operation.UPDATE: ("~", "yellow"),
    Operation.REPLACE: ("±", "magenta"),
    Operation.DELETE: ("-", "red"),
    Operation.IMPORT: ("=", "cyan"),
    Operation.FORGET: ("·", "dim"),
    Operation.REFRESH: ("~", "cyan"),
    Operation.READ: (" ", "dim"),
    Operation.SAME: (" ", "dim"),
}
"""Sign and colour of each operation; the sign alone says it all where there is no colour."""

DOING = {
    Operation.CREATE: "creating",
    Operation.UPDATE: "updating",
    Operation.REPLACE: "replacing",
    Operation.DELETE: "deleting",
    Operation.IMPORT: "importing",
    Operation.REFRESH: "reading",
    Operation.READ: "reading",
    Operation.FORGET: "forgetting",
    Operation.SAME: "checking",
}
DONE = {
    Operation.CREATE: "created",
    Operation.UPDATE: "updated",
    Operation.REPLACE: "replaced",
    Operation.DELETE: "deleted",
    Operation.IMPORT: "imported",
    Operation.REFRESH: "changed outside",
    Operation.READ: "read",
    Operation.FORGET: "forgotten",
    Operation.SAME: "unchanged",
}
WORKING = {"preview": "planning", "up": "updating", "refresh": "reading", "destroy": "destroying"}
"""What the engine is at, by its verb."""


def short_type(token: str) -> str:
    """A type as people say it: `aws:s3/bucketPolicy:BucketPolicy` → `S3 BucketPolicy`; Kubernetes' → its kind."""
    package, _, rest = token.partition(":")
    module, _, name = rest.rpartition(":")
    if package == "kubernetes":
        return name
    service = module.partition("/")[0]
    return f"{service.upper() if len(service) <= 3 else service} {name}".strip()


def counted(counts: Mapping[Operation, int], *, planned: bool) -> str:
    """The counts as a phrase: `3 to create, 1 to update, 40 unchanged`."""
    order = [item for item in Operation if item not in (Operation.SAME, Operation.READ, Operation.REFRESH)]
    shown = [f"{counts[item]} {f'to {item}' if planned else DONE[item]}" for item in order if counts.get(item)]
    if found := counts.get(Operation.REFRESH, 0):
        shown.append(f"{found} {DONE[Operation.REFRESH]}")
    if unchanged := counts.get(Operation.SAME, 0):
        shown.append(f"{unchanged} unchanged")
    return ", ".join(shown) or "no resources"


def cell(column: str, item: Any) -> str:
    """A value in a table: an operation's counts as signs, nothing as nothing."""
    if column == "changes":
        known = {str(operation): sign for operation, (sign, _) in SIGNS.items() if sign.strip()}
        return " ".join(f"{known[name]}{count}" for name, count in (item or {}).items() if name in known and count)
    return "" if item is None else value(item, width=120)


def value(item: Any, width: int = 60) -> str:
    """A value on one line, cut to `width` characters."""
    if item is None:
        return "(none)"
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, sort_keys=True)
    text = text.replace("\n", "⏎")
    return text if len(text) <= width else f"{text[: width - 1]}…"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
