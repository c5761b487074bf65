"""gRPC servers and channels on loopback, with the settings that the engine needs."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

import grpc

OPTIONS: Final = [
    ("grpc.max_receive_message_length", -1),  # the default of 4 MB is less than one large ConfigMap list or state
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # with http_proxy set, loopback would be dialled through the proxy
]


class Server:
    """A gRPC server on a free loopback port, running until it is stopped or its `with` block ends.

    `register` is a generated `add_…Servicer_to_server` function. A server that nobody refers to is collected and stops
    serving, so keep the object for as long as it is to serve.
    """

    def __init__(self, register: Callable[[Any, grpc.Server], None], servicer: Any, threads: int) -> None:
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(threads), options=OPTIONS)
        register(servicer, self._server)
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop at once; calls in flight end as cancelled."""
        self._server.stop(grace=None).wait()

    def __enter__(self) -> Server:
        """The server, already serving."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def channel(address: str) -> grpc.Channel:
    """A channel to a server on this machine."""
    return grpc.insecure_channel(address, options=OPTIONS)
