"""Ports on loopback."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from typing import Final

RANGE: Final = range(20000, 32000)
"""Below what Linux and macOS give to outgoing connections, so that one of those does not take a port of ours."""


def free(port: int) -> bool:
    """Whether nothing listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(count: int, but: Sequence[int] = ()) -> list[int]:
    """`count` different free ports, none of those in `but`; by chance, so that two projects seldom want the same."""
    chosen: list[int] = []
    for port in random.sample(RANGE, len(RANGE)):
        if len(chosen) == count:
            break
        if port not in but and free(port):
            chosen.append(port)
    return chosen
