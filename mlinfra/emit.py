"""How what happens is told: rooms below the views call an `Emit` with an `Event` of `mlinfra.report`.

It stands apart from the events, since every command takes an `Emit` and few of them make an event: loading the events'
classes takes `mlinfra validate` a hundredth of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mlinfra.report import Event

Emit: TypeAlias = Callable[["Event"], None]


def silent(event: Event) -> None:
    """An `Emit` for callers that only want the report."""
