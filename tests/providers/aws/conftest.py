"""A moto server for the session, and a client that speaks to the provider as the engine does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import grpc
import pytest
from google.rpc.status_pb2 import Status

from mlinfra.functions import UNKNOWN, reveal
from mlinfra.local.accounts import access_key
from mlinfra.local.moto import Moto
from mlinfra.providers.aws import serve
from mlinfra.providers.aws.configuration import local_inputs
from mlinfra.providers.aws.registry import find
from mlinfra.wire.protocol import provider_pb2, provider_pb2_grpc
from mlinfra.wire.server import OPTIONS, Server
from mlinfra.wire.values import decode, encode

_ACCOUNTS = itertools.count(200000000001)


class Engine:
    """One provider instance, seen from the engine: a connection of its own, plain values in and out."""

    def __init__(self, address: str) -> None:
        # A connection of its own, as the engine's instances have; channels of one process would share one.
        self.channel = grpc.insecure_channel(address, options=[*OPTIONS, ("grpc.use_local_subchannel_pool", 1)])
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def configure(self, inputs: Mapping[str, Any]) -> Any:
        return self.stub.Configure(provider_pb2.ConfigureRequest(args=encode(inputs), acceptSecrets=True))

    def check(self, token: str, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> Any:
        return self.stub.Check(
            provider_pb2.CheckRequest(
                urn=urn(token), type=token, name="thing", news=encode(news), olds=encode(olds or {}), randomSeed=b"7"
            )
        )

    def checked(self, token: str, news: Mapping[str, Any]) -> dict[str, Any]:
        response = self.check(token, news)
        assert not response.failures, response.failures
        return decode(response.inputs)

    def diff(self, token: str, old: Mapping[str, Any], new: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                id="x", urn=urn(token), type=token, old_inputs=encode(old), news=encode(new), olds=encode(outputs)
            )
        )

    def create(self, token: str, inputs: Mapping[str, Any], preview: bool = False) -> tuple[str, dict[str, Any]]:
        response = self.stub.Create(
            provider_pb2.CreateRequest(urn=urn(token), type=token, properties=encode(inputs), preview=preview)
        )
        return response.id, decode(response.properties)

    def read(
        self,
        token: str,
        resource_id: str,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        request = provider_pb2.ReadRequest(id=resource_id, urn=urn(token), type=token, properties=encode(outputs or {}))
        if inputs is not None:
            request.inputs.CopyFrom(encode(inputs))
        response = self.stub.Read(request)
        return (decode(response.inputs), decode(response.properties)) if response.id else None

    def update(
        self,
        token: str,
        resource_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        outputs: Mapping[str, Any],
        preview: bool = False,
    ) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(
            id=resource_id,
            urn=urn(token),
            type=token,
            old_inputs=encode(old),
            news=encode(new),
            olds=encode(outputs),
            preview=preview,
        )
        return decode(self.stub.Update(request).properties)

    def delete(self, token: str, resource_id: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        self.stub.Delete(
            provider_pb2.DeleteRequest(
                id=resource_id, urn=urn(token), type=token, old_inputs=encode(inputs), properties=encode(outputs)
            )
        )

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Any:
        return self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=encode(arguments)))


class World:
    """An AWS account of its own: a provider instance in it, and boto3 to look at it with."""

    def __init__(self, endpoint: str, address: str, region: str = "us-east-1") -> None:
        self.endpoint, self.address, self.region = endpoint, address, region
        self.account = str(next(_ACCOUNTS))
        self.inputs = {**local_inputs(endpoint, region), "accessKey": access_key(self.account)}
        self._clients: dict[tuple[str, str], Any] = {}
        self.engine = self.another()

    def another(self, **inputs: Any) -> Engine:
        """Another provider instance in the same account."""
        engine = Engine(self.address)
        engine.configure({**self.inputs, **inputs})
        return engine

    def boto(self, service: str, region: str = "") -> Any:
        """A client, made once: to make one takes longer than most calls."""
        place = (service, region or self.region)
        if place not in self._clients:
            self._clients[place] = self._client(*place)
        return self._clients[place]

    def _client(self, service: str, region: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=self.inputs["accessKey"],
            aws_secret_access_key="local",
            config=botocore.config.Config(proxies={}, s3={"addressing_style": "path"}),
        )

    def tags(self, service: str, **target: str) -> dict[str, str]:
        """The tags of a resource, for the services that list them alike."""
        answer = self.boto(service).list_tags_for_resource(**target)
        found = answer.get("Tags") or answer.get("tags") or answer.get("TagList") or []
        return found if isinstance(found, dict) else {item["Key"]: item["Value"] for item in found}


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:dev::tests::{token}::{name}"


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    folder: Path = tmp_path_factory.mktemp("moto")
    moto = Moto(folder)
    yield moto
    moto.stop()


@pytest.fixture(scope="session")
def endpoint(moto: Moto) -> str:
    return moto.ensure().endpoint


@pytest.fixture
def slow(moto: Moto) -> Callable[[Any, int], None]:
    """Let EKS take its time in an account: what it does is done when it was looked at so many times more."""
    return lambda world, looks: moto.tell_eks(moto.ensure(), world.account, {"looks": looks})


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture
def world(endpoint: str, server: Server) -> World:
    return World(endpoint, server.address)


Unfinished = dict[str, set[str]]


@pytest.fixture
def unfinished() -> Unfinished:
    """The creates that `elsewhere`'s provider takes for cut off: URNs, each with the ids that are known for it."""
    return {}


@pytest.fixture
def elsewhere(unfinished: Unfinished, endpoint: str) -> Iterator[World]:
    """An account of its own, with a provider that is told of unfinished creates."""
    with serve(unfinished) as running:
        yield World(endpoint, running.address)


@pytest.fixture
def failure() -> Callable[..., tuple[grpc.RpcError, Any]]:
    """Call something that is to fail; gives the error, and the ErrorResourceInitFailed in it if there is one."""

    def call(body: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[grpc.RpcError, Any]:
        with pytest.raises(grpc.RpcError) as caught:
            body(*arguments, **named)
        details = None
        for key, value in caught.value.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                details = provider_pb2.ErrorResourceInitFailed()
                assert Status.FromString(value).details[0].Unpack(details)
        return caught.value, details

    return call


Look = Callable[[World, str], Any]


@pytest.fixture
def lifecycle(world: World) -> Callable[..., None]:
    """A resource's whole life, each step checked with boto3, which knows nothing of the provider.

    - `prepare` makes what the resource needs and gives the words that `inputs` and the expectations use;
    - `look` reads the resource with boto3, and is to find `made` after the creation, `changed` after the change;
    - `change` changes inputs in place (None takes one away), `replaces` lists changes that are to replace;
    - `drift` changes the resource behind our back, after which a refresh is to find `drifted` among the inputs;
    - `outputs` are to be among the outputs; `lasting` says that AWS keeps something after the deletion.
    """

    def live(
        token: str,
        inputs: Callable[[dict[str, Any]], dict[str, Any]],
        look: Look,
        made: Callable[[dict[str, Any]], Any],
        prepare: Callable[[World], dict[str, Any]] = lambda world: {},
        change: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        changed: Callable[[dict[str, Any]], Any] | None = None,
        replaces: Callable[[dict[str, Any]], list[dict[str, Any]]] = lambda words: [],
        drift: Callable[[World, str], Any] | None = None,
        drifted: dict[str, Any] | None = None,
        outputs: Callable[[dict[str, Any]], dict[str, Any]] = lambda words: {},
        lasting: bool = False,
    ) -> None:
        engine, kind = world.engine, find(token)
        words = {"account": world.account, **prepare(world)}
        program = inputs(words)
        first = engine.checked(token, program)

        _, expected = engine.create(token, first, preview=True)
        assert set(_unknown(expected)) == set(kind.outputs)

        resource_id, state = engine.create(token, first)
        assert look(world, resource_id) == made(words)
        assert set(state) == set(expected)
        assert UNKNOWN not in state.values()
        shown = reveal(state)
        for name, value in outputs(words).items():
            assert shown[name] == value

        assert engine.diff(token, first, first, state).changes == provider_pb2.DiffResponse.DIFF_NONE
        assert engine.read(token, resource_id, first, state) == (
            first,
            state,
        )  # no drift, and nothing is written otherwise
        _imports(engine, token, resource_id, first)

        current = first
        if change:
            current = engine.checked(token, _merged(program, change(words)))
            difference = engine.diff(token, first, current, state)
            assert set(difference.diffs) == set(change(words))
            assert not difference.replaces
            planned = engine.update(token, resource_id, first, current, state, preview=True)
            assert look(world, resource_id) == made(words)
            assert set(kind.volatile) == set(_unknown(planned))
            state = engine.update(token, resource_id, first, current, state)
            assert changed is not None
            assert look(world, resource_id) == changed(words)
            assert engine.read(token, resource_id, current, state) == (current, state)

        for other in replaces(words):
            difference = engine.diff(token, current, engine.checked(token, _merged(program, other)), state)
            assert set(difference.replaces) == set(other)
            assert difference.deleteBeforeReplace == any(
                bool(kept) and not set(other) & set(kept) for kept in (kind.names, kind.exclusive)
            )

        if drift:
            before = look(world, resource_id)
            drift(world, resource_id)
            assert look(world, resource_id) != before
            found = engine.read(token, resource_id, current, state)
            assert found is not None
            live_inputs, live_state = found
            plain = reveal(live_inputs)
            assert {name: plain.get(name) for name in drifted or {}} == drifted
            repair = engine.diff(token, live_inputs, current, live_state)
            assert set(repair.diffs) == set(drifted or {})
            state = engine.update(token, resource_id, live_inputs, current, live_state)
            assert look(world, resource_id) == before

        engine.delete(token, resource_id, current, state)
        engine.delete(token, resource_id, current, state)
        if not lasting:
            assert engine.read(token, resource_id, current, state) is None
            assert look(world, resource_id) is None

    return live


def _unknown(properties: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The names of what is unknown: `arn`, and `vpcConfig.vpcId` where only a part of an object is."""
    for name, value in properties.items():
        if value is UNKNOWN:
            yield f"{path}{name}"
        elif isinstance(value, Mapping):
            yield from _unknown(value, f"{path}{name}.")


def _merged(program: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**program, **change}.items() if value is not None}


def _imports(engine: Engine, token: str, resource_id: str, program: Mapping[str, Any]) -> None:
    """What an import finds is what the program says, except for what speaks to the provider alone."""
    found = engine.read(token, resource_id)
    assert found is not None
    inputs, outputs = found
    apart = {field.name for field in find(token).fields if field.apart}
    difference = engine.diff(token, inputs, program, outputs)
    assert set(difference.diffs) <= apart, difference
