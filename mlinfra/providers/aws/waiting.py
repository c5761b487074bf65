"""Waiting for AWS: a probe is asked again, ever more rarely, until it has nothing to wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from mlinfra.diagnostics import Diagnostic, MlinfraError

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
"""Seconds between two probes: each pause is half as long again as the one before."""


class NotReadyError(MlinfraError):
    """What was waited for did not come; `pending` says what it was."""

    def __init__(self, pending: str, why: str) -> None:
        self.pending = pending
        super().__init__(Diagnostic(f"still waiting for {pending}: {why}", code="aws-not-ready"))


def until(probe: Callable[[], str], seconds: float, cancelled: threading.Event) -> None:
    """Ask `probe` until it says "", that is, nothing is pending.

    Raises `NotReadyError` after `seconds`, or as soon as `cancelled` is set; whatever `probe` raises goes through.
    """
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while pending := probe():
        left = end - time.monotonic()
        if left <= 0:
            raise NotReadyError(pending, f"gave up after {seconds:g} s")
        if cancelled.wait(min(pause, left)):
            raise NotReadyError(pending, "the run was cancelled")
        pause = min(pause * 1.5, LONGEST_PAUSE)
