"""What the protocol's functions work with: the store, and how this service is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from mlinfra.state.store import Store


class Redactor(Protocol):
    """Takes secrets out of what the engine tells, before it is kept."""

    def text(self, text: str) -> str:
        """A text without secrets."""

    def data(self, value: Any) -> Any:
        """JSON data without secrets."""


class NoSecrets:
    """Knows of none."""

    def text(self, text: str) -> str:
        """The text."""
        return text

    def data(self, value: Any) -> Any:
        """The data."""
        return value


@dataclass(slots=True)
class Context:
    """One service."""

    store: Store
    redactor: Redactor
    url: str = ""
    """Where the service is, once it listens."""
    count: int = 100
    """How many versions of a stack are kept; the older ones go when an update ends."""
    seconds: float = 90 * 86400.0
    """For how long, in seconds, versions and the records of updates are kept."""
    hold: tuple[int, str] | None = None
    """The stack that this process holds, and its token: an update of that stack starts only while the hold lasts."""
