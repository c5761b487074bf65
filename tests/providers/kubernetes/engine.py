"""An engine's side of the ResourceProvider protocol: what the Pulumi engine sends for each step, and keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.rpc.status_pb2 import Status

from mlinfra.wire.protocol import provider_pb2, provider_pb2_grpc
from mlinfra.wire.server import OPTIONS
from mlinfra.wire.values import decode, encode


@dataclass
class Kept:
    """What the engine's state holds of one resource."""

    identity: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    reasons: list[str] = field(default_factory=list)


class Failed(Exception):
    """The provider failed a call; the text is what a person would read."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(error.details())
        self.code = error.code()


def urn(name: str, token: str, stack: str = "dev") -> str:
    return f"urn:pulumi:{stack}::tests::{token}::{name}"


class Engine:
    """One connection to the provider, thus one provider instance, and the state of one stack."""

    def __init__(self, address: str, stack: str = "dev") -> None:
        # A subchannel pool of its own: by default, channels of one process to one address share a connection.
        self._channel = grpc.insecure_channel(address, options=[*OPTIONS, ("grpc.use_local_subchannel_pool", 1)])
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.stack = stack
        self.state: dict[str, Kept] = {}

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def configure(self, inputs: Mapping[str, Any]) -> None:
        self._call("Configure", provider_pb2.ConfigureRequest(args=encode(inputs), acceptSecrets=True))

    def check(self, name: str, token: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """The checked inputs and the failures."""
        kept = self.state.get(name)
        request = provider_pb2.CheckRequest(
            urn=urn(name, token, self.stack),
            olds=encode(kept.inputs if kept else {}),
            news=encode(inputs),
            randomSeed=name.encode(),
        )
        reply = self._call("Check", request)
        return decode(reply.inputs), list(reply.failures)

    def checked(self, name: str, token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        result, failures = self.check(name, token, inputs)
        assert not failures
        return result

    def diff(self, name: str, token: str, inputs: Mapping[str, Any]) -> Any:
        kept = self.state[name]
        return self._call(
            "Diff",
            provider_pb2.DiffRequest(
                id=kept.identity,
                urn=urn(name, token, self.stack),
                olds=encode(kept.outputs),
                old_inputs=encode(kept.inputs),
                news=encode(self.checked(name, token, inputs)),
            ),
        )

    def preview(self, name: str, token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What a preview says the outputs will be."""
        checked, kept = self.checked(name, token, inputs), self.state.get(name)
        where = urn(name, token, self.stack)
        if kept is None:
            create = provider_pb2.CreateRequest(urn=where, properties=encode(checked), preview=True)
            return decode(self._call("Create", create).properties)
        return decode(self._call("Update", self._update(kept, where, checked, preview=True)).properties)

    def create(self, name: str, token: str, inputs: Mapping[str, Any], timeout: float = 60) -> Kept:
        checked = self.checked(name, token, inputs)
        where = urn(name, token, self.stack)
        request = provider_pb2.CreateRequest(urn=where, properties=encode(checked), timeout=timeout)
        reply, reasons = self._made("Create", request)
        self.state[name] = Kept(reply.id, checked, decode(reply.properties), reasons)
        return self.state[name]

    def update(self, name: str, token: str, inputs: Mapping[str, Any], timeout: float = 60) -> Kept:
        checked, kept = self.checked(name, token, inputs), self.state[name]
        request = self._update(kept, urn(name, token, self.stack), checked, timeout=timeout)
        reply, reasons = self._made("Update", request)
        self.state[name] = Kept(kept.identity, checked, decode(reply.properties), reasons)
        return self.state[name]

    def read(self, name: str, token: str, identity: str = "") -> Kept | None:
        """Refresh what the state knows, or import what it does not: None for what is gone."""
        kept = self.state.get(name)
        request = provider_pb2.ReadRequest(
            id=identity or (kept.identity if kept else ""), urn=urn(name, token, self.stack)
        )
        if kept:
            request.inputs.CopyFrom(encode(kept.inputs))
            request.properties.CopyFrom(encode(kept.outputs))
        reply, reasons = self._made("Read", request)
        if not reply.id:
            return None
        self.state[name] = Kept(reply.id, decode(reply.inputs), decode(reply.properties), reasons)
        return self.state[name]

    def delete(self, name: str, token: str, timeout: float = 60) -> None:
        kept = self.state[name]
        self._call(
            "Delete",
            provider_pb2.DeleteRequest(
                id=kept.identity,
                urn=urn(name, token, self.stack),
                properties=encode(kept.outputs),
                old_inputs=encode(kept.inputs),
                timeout=timeout,
            ),
        )
        del self.state[name]

    def cancel(self) -> None:
        self._call("Cancel", Empty())

    def _update(self, kept: Kept, where: str, checked: dict[str, Any], **options: Any) -> Any:
        return provider_pb2.UpdateRequest(
            id=kept.identity,
            urn=where,
            olds=encode(kept.outputs),
            old_inputs=encode(kept.inputs),
            news=encode(checked),
            **options,
        )

    def _call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.stub, method)(request)
        except grpc.RpcError as error:
            raise Failed(error) from None

    def _made(self, method: str, request: Any) -> tuple[Any, list[str]]:
        """A reply, or what the engine makes of an ErrorResourceInitFailed: the same fields, and the reasons."""
        try:
            return getattr(self.stub, method)(request), []
        except grpc.RpcError as error:
            for key, value in error.trailing_metadata() or ():
                if key == "grpc-status-details-bin":
                    failed = provider_pb2.ErrorResourceInitFailed()
                    assert Status.FromString(value).details[0].Unpack(failed)
                    return failed, list(failed.reasons)
            raise Failed(error) from None
