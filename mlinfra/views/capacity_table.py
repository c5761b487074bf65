"""The report on capacity, drawn."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from mlinfra.checks.capacity.record import CapacityReport
from mlinfra.views import capacity_words as words


def draw(report: CapacityReport, stack: str, out: Console) -> None:
    """Pools and quotas as blocks with bars; the tables are drawn by the view."""
    out.print(f"[bold]Capacity of {escape(stack)}[/] [dim]{words.LEGEND}[/]")
    for item in report.pools:
        name, what, lines = words.pool(item)
        out.print(f"\n[bold]{escape(name)}[/]  {escape(what)}")
        _bars(lines, out)
        for note in words.pool_notes(item):
            out.print(f"  [dim]{escape(note)}[/]")
    for limit in report.limits:
        name, lines = words.limit(limit)
        out.print(f"\n[bold]{escape(name)}[/]")
        _bars(lines, out)
    if report.pools or report.limits:
        out.print()


def _bars(lines: list[words.Line], out: Console) -> None:
    width = max((len(name) for name, _, _ in lines), default=0)
    for name, bar, text in lines:
        taken = len(bar.rstrip("·"))
        colored = f"[cyan]{bar[:taken]}[/][dim]{bar[taken:]}[/]"
        out.print(f"  {escape(name):<{width}}  {colored}  {escape(text)}")
