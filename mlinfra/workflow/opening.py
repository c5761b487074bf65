"""A stack is opened for the engine: the embedded providers are on their way before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlinfra.engine.attached import attached

if TYPE_CHECKING:
    from mlinfra.workflow.request import Request
    from mlinfra.workflow.run import Run, Settle


@contextmanager
def opened(request: Request, verb: str, settle: Settle | None = None) -> Iterator[Run]:
    """Compile the stack and land it on its target, locked, and repaired where a run before was cut off.

    `settle` says what the stack comes to beside its state; by default as it was rolled back, if it was.
    """
    with attached() as process:
        from mlinfra.workflow.run import opened_with  # gRPC and the engine's protocols load while the process does

        with opened_with(request, verb, settle, process) as run:
            yield run
