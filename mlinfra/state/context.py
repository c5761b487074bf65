"""What the protocol's functions work with: the store, the service's own address, and what takes secrets out of texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlinfra.state.store import Store


@dataclass(slots=True)
class Context:
    """One service. `redact` takes secrets out of JSON data; events pass through it before they are kept."""

    store: Store
    url: str
    redact: Callable[[Any], Any] | None = None
    count: int = 100
    """How many versions of a stack are kept; the older ones go when an update ends."""
    seconds: float = 365 * 86400.0
    """For how long, in seconds, versions and the records of updates are kept."""
