"""`mlinfra`, whose state service can be cut off from the engine at any moment: a program, called as the command is.

SIGUSR1 cuts the connections that are open, in the middle of whatever is said on them; the service goes on, and answers
those who come again. SIGUSR2 takes its door away too: from then on the engine finds nobody, as if the service had been
a process of its own that was killed. What it had begun to write it still finishes, with nobody to answer to; a service
that dies in the middle of writing is what killing the whole `mlinfra` process shows, in which it lives.
"""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from typing import Any

from mlinfra.cli.main import main
from mlinfra.state import service
from mlinfra.state.http import Front

FRONTS: list[Front] = []


class KnownFront(Front):
    """A front that the signals find."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        FRONTS.append(self)


def cut_connections(*_: object) -> None:
    for front in FRONTS:
        for connection in list(front._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def go_away(*_: object) -> None:
    for front in FRONTS:
        with suppress(OSError):
            front._listener.shutdown(socket.SHUT_RDWR)
        front._listener.close()
    cut_connections()


if __name__ == "__main__":
    service.Front = KnownFront  # type: ignore[misc]
    signal.signal(signal.SIGUSR1, cut_connections)
    signal.signal(signal.SIGUSR2, go_away)
    main()
