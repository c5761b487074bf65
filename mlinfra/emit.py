"""How what happens is told: rooms below the views call an `Emit` with an `Event` of `mlinfra.report`.

It stands apart from the events, since every command takes an `Emit` and few of them make an event: loading the events'
classes takes `mlinfra validate` a hundredth of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mlinfra.report import Event

Emit: TypeAlias = Callable[["Event"], None]


class ReaderGoneError(Exception):
    """Whoever was told has gone (`mlinfra runs follow … | head` has seen enough), or cannot be told."""


def silent(event: Event) -> None:
    """An `Emit` for callers that only want the report."""


def steady(emit: Emit) -> Emit:
    """An `Emit` for what changes things: it goes on to its end and is recorded, whether or not anybody reads of it."""

    def told(event: Event) -> None:
        with suppress(ReaderGoneError):
            emit(event)

    return told
