"""What a run of the engine does."""

from __future__ import annotations

from enum import StrEnum


class Verb(StrEnum):
    """What a run does."""

    PREVIEW = "preview"
    UP = "up"
    REFRESH = "refresh"
    DESTROY = "destroy"
