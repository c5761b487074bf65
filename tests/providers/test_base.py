"""Routing and failing, over a real gRPC server."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.base import InitFailedError, UncertainError, autoname, check_failures, serve
from mlinfra.wire.protocol import provider_pb2, provider_pb2_grpc
from mlinfra.wire.server import OPTIONS
from mlinfra.wire.values import decode

ERRORS: dict[str, Exception] = {
    "refused": MlinfraError(
        Diagnostic("it is taken", detail="by them", remedy="take another"), Diagnostic("and so on")
    ),
    "uncertain": UncertainError(Diagnostic("the line broke")),
    "half": InitFailedError("id-1", {"arn": "a"}, ["not ready", "nor well"], {"name": "n"}),
    "bug": KeyError("s3cr3t"),
}


class Instance(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]
    """A provider that counts its instances, and fails as it is told."""

    numbers = itertools.count()

    def __init__(self) -> None:
        self.number = next(self.numbers)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse()

    def Read(self, request: Any, context: Any) -> Any:
        return provider_pb2.ReadResponse(id=str(self.number))

    def Create(self, request: Any, context: Any) -> Any:
        if request.name in ERRORS:
            raise ERRORS[request.name]
        return provider_pb2.CreateResponse(id="id-2")

    def Cancel(self, request: Any, context: Any) -> Any:
        return Empty()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve(Instance, 16) as server:
        yield server.address


def connect(address: str) -> Any:
    options = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    return provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(address, options=options))


def test_each_connection_has_an_instance_of_its_own(address: str) -> None:
    stubs = [connect(address) for _ in range(5)]
    first = [stub.Read(provider_pb2.ReadRequest()).id for stub in stubs]
    assert len(set(first)) == 5
    assert [stub.Read(provider_pb2.ReadRequest()).id for stub in stubs] == first


def test_a_connection_has_one_instance_for_calls_at_a_time(address: str) -> None:
    stub, found = connect(address), set()
    threads = [threading.Thread(target=lambda: found.add(stub.Read(provider_pb2.ReadRequest()).id)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1


CODES = {
    "refused": (grpc.StatusCode.FAILED_PRECONDITION, "it is taken\nby them\ntake another\nand so on"),
    "uncertain": (grpc.StatusCode.UNKNOWN, "the line broke"),
    "half": (grpc.StatusCode.UNKNOWN, "not ready; nor well"),
}


@pytest.mark.parametrize("name", CODES)
def test_codes(address: str, name: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        connect(address).Create(provider_pb2.CreateRequest(name=name))
    assert (caught.value.code(), caught.value.details()) == CODES[name]


def test_what_was_made_travels_with_the_failure(address: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        connect(address).Create(provider_pb2.CreateRequest(name="half"))
    status = Status.FromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"])
    assert status.code == grpc.StatusCode.UNKNOWN.value[0]
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    assert (failed.id, list(failed.reasons)) == ("id-1", ["not ready", "nor well"])
    assert (decode(failed.properties), decode(failed.inputs)) == ({"arn": "a"}, {"name": "n"})


class Log:
    """Who is told of creations."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []

    def begin(self, urn: str) -> None:
        self.lines.append(("begin", urn))

    def end(self, urn: str, resource_id: str) -> None:
        self.lines.append(("end", urn, resource_id))


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("made", [("end", "u", "id-2")]),
        ("half", [("end", "u", "id-1")]),
        ("refused", [("end", "u", "")]),
        ("uncertain", []),  # nobody knows
        ("bug", []),
    ],
)
def test_creations_are_told_before_and_after(name: str, end: list[tuple[str, ...]]) -> None:
    log = Log()
    with serve(Instance, 4, log) as server:
        stub = connect(server.address)
        with suppress(grpc.RpcError):
            stub.Create(provider_pb2.CreateRequest(name=name, urn="u"))
        with suppress(grpc.RpcError):
            stub.Create(provider_pb2.CreateRequest(name=name, urn="v", preview=True))
    assert log.lines == [("begin", "u"), *end]


def test_a_bug_is_told_as_one_with_its_place_and_no_values(address: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        connect(address).Create(provider_pb2.CreateRequest(name="bug"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details().startswith("This is a bug of mlinfra")
    assert "KeyError in Create, at test_base.py:" in caught.value.details()
    assert "s3cr3t" not in caught.value.details()


def test_what_a_provider_does_not_offer(address: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        connect(address).Update(provider_pb2.UpdateRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@given(st.text(min_size=1), st.binary(min_size=1), st.integers(9, 200))
def test_autoname(name: str, seed: bytes, longest: int) -> None:
    made = autoname(name, seed, longest)
    assert made == autoname(name, seed, longest)
    assert len(made) <= longest
    assert made.startswith(name[: longest - 8])
    assert autoname(name, seed + b"1", longest) != made
    assert autoname(name, b"", longest) != autoname(name, b"", longest)


def test_check_failures_name_no_secret_property() -> None:
    found = check_failures([(("a", 0, "b"), "is wrong"), (("s", "t"), "is wrong")], frozenset({"s"}))
    assert [(item.property, item.reason) for item in found] == [("a[0].b", "is wrong"), ("", "s.t is wrong")]
