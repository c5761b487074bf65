"""gRPC on loopback: large messages, proxies ignored, an end that ends."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from mlinfra.wire.protocol import provider_pb2, resource_pb2, resource_pb2_grpc
from mlinfra.wire.server import Server, channel
from mlinfra.wire.values import encode


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):  # type: ignore[misc]
    """Answers a lookup with its own arguments."""

    def Invoke(self, request: Any, context: Any) -> Any:
        return provider_pb2.InvokeResponse(**{"return": request.args})


def test_a_message_of_many_megabytes_goes_through_whatever_proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    text = "x" * 9_000_000
    with Server(resource_pb2_grpc.add_ResourceMonitorServicer_to_server, Monitor(), threads=2) as server:
        assert server.address == f"127.0.0.1:{server.port}"
        with channel(server.address) as opened:
            stub = resource_pb2_grpc.ResourceMonitorStub(opened)
            reply = stub.Invoke(resource_pb2.ResourceInvokeRequest(args=encode({"a": text})))
    assert getattr(reply, "return")["a"] == text


def test_a_stopped_server_is_gone() -> None:
    server = Server(resource_pb2_grpc.add_ResourceMonitorServicer_to_server, Monitor(), threads=1)
    server.stop()
    with channel(server.address) as opened, pytest.raises(grpc.RpcError) as caught:
        resource_pb2_grpc.ResourceMonitorStub(opened).Invoke(resource_pb2.ResourceInvokeRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
