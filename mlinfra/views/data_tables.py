"""The report on data as rows: what a person's tables and a Markdown document share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlinfra.checks.data.record import DataReport, Reader, Store

STORES = ("store", "kind", "classification", "kept", "where", "encrypted with", "holds")
READERS = ("store", "reader", "used by", "reads", "by", "only if")
NOBODY = "nobody that the stack makes or names"


def stores(report: DataReport) -> list[Mapping[str, Any]]:
    """A row for each store."""
    return [
        {
            "store": store.name,
            "kind": f"{store.kind} in {store.within}" if store.within else store.kind,
            "classification": store.classification,
            "kept": store.retention.text,
            "where": " + ".join((store.where, *store.copies)),
            "encrypted with": f"{store.encrypted_with} ({store.key})" if store.key else store.encrypted_with,
            "holds": store.holds,
        }
        for store in report.stores
    ]


def readers(report: DataReport) -> list[Mapping[str, Any]]:
    """A row for each reader of each store, and one for a store that has none."""
    return [row for store in report.stores for row in _readers(store)]


def notes(report: DataReport) -> list[str]:
    """What has to be said beside the tables."""
    return [f"{store.name}: {note}." for store in report.stores for note in store.notes] + [
        note if note.endswith(".") else f"{note}." for note in report.notes
    ]


def markdown(report: DataReport, stack: str) -> str:
    """The report as a document."""
    parts = [
        f"# Data of {stack}",
        f"Blueprint {report.blueprint} {report.version} in {report.environment}.",
        "## Stores",
        _table(STORES, stores(report)),
        "## Readers",
        _table(READERS, readers(report)),
        "\n".join(f"- {note}" for note in notes(report)),
    ]
    return "\n\n".join(parts)


def _readers(store: Store) -> Iterator[Mapping[str, Any]]:
    if not store.readers:
        yield {"store": store.name, "reader": NOBODY}
    for reader in store.readers:
        yield {
            "store": store.name,
            "reader": _name(reader),
            "used by": ", ".join(reader.used_by),
            "reads": "all of it" if "*" in reader.reads else ", ".join(reader.reads),
            "by": ", ".join(dict.fromkeys((*reader.policies, *reader.decrypts_by))),
            "only if": "; or ".join(reader.only_if),
        }


def _name(reader: Reader) -> str:
    name = reader.name if reader.kind == "everybody" else f"{reader.kind} {reader.name}"
    name = f"{name} ({reader.component})" if reader.component else name
    return f"{name} through role {reader.through}" if reader.through else name


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join(' --- ' for _ in columns)}|"]
    lines += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows]
    return "\n".join(lines)


def _cell(item: Any) -> str:
    """A value in a Markdown table: nothing in it ends the cell, or is taken for Markdown."""
    text = str(item or "").replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return text.replace("*", "\\*").replace("<", "&lt;").replace("_", "\\_")
