from __future__ import annotations

import socket

from mlinfra.local import ports


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        assert not ports.free(taken)
    assert ports.free(taken)


def test_ports_are_chosen_apart_and_free() -> None:
    first = ports.choose(6)
    second = ports.choose(6, but=first)
    assert len({*first, *second}) == 12
    assert all(port in ports.RANGE for port in (*first, *second))
    assert ports.choose(0) == []
