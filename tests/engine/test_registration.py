"""The graph as the engine gets it: a monitor in this process writes down every request and answers as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from mlinfra.engine.redaction import Redactor
from mlinfra.engine.registration import Program, Registration, origin, package_of
from mlinfra.engine.session import ORIGIN
from mlinfra.functions import UNKNOWN
from mlinfra.graph import Call, Document, Graph, Kind, Node, Options, Ref, Secret, join
from mlinfra.wire.protocol import provider_pb2, resource_pb2, resource_pb2_grpc
from mlinfra.wire.server import Server, channel
from mlinfra.wire.values import UNKNOWN_TEXT, decode, encode

Answer = Callable[[Any], Mapping[str, Any]]


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):  # type: ignore[misc]
    """Answers registrations with the inputs, an id and what `outputs` adds for a node."""

    def __init__(self, outputs: Mapping[str, Mapping[str, Any]] | None = None, *, preview: bool = False) -> None:
        self.outputs = outputs or {}
        self.preview = preview
        self.registered: dict[str, Any] = {}
        self.invoked: dict[str, Any] = {}
        self.closed: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        self.ended: list[str] = []
        self.failures: list[Any] = []
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any, context: Any) -> Any:
        with self._lock:
            assert request.name not in self.registered, "a node was registered twice"
            self.registered[request.name] = request
            self.order.append(request.name)
        if self.refusal and request.type != "pulumi:pulumi:Stack":
            context.abort(*self.refusal)
        outputs = {**decode(request.object), **self.outputs.get(request.name, {})}
        known = "" if self.preview or not request.custom else f"{request.name}-id"
        reply = resource_pb2.RegisterResourceResponse(urn=urn(request.name), id=known, object=encode(outputs))
        with self._lock:
            self.ended.append(request.name)
        return reply

    def Invoke(self, request: Any, context: Any) -> Any:
        with self._lock:
            self.invoked[request.tok] = request
            self.order.append(request.tok)
        answer = self.outputs.get(request.tok, {})
        return provider_pb2.InvokeResponse(**{"return": encode(answer)}, failures=self.failures)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        with self._lock:
            self.closed[request.urn] = decode(request.outputs)
        return Empty()


def urn(name: str) -> str:
    return f"urn:{name}"


@contextmanager
def registering(graph: Graph, monitor: Monitor, **program: Any) -> Iterator[Registration]:
    add = resource_pb2_grpc.add_ResourceMonitorServicer_to_server
    with Server(add, monitor, threads=8) as server, channel(server.address) as opened:
        yield Registration(Program(graph, **program), opened, "b", "dev", Redactor())


def register(graph: Graph, monitor: Monitor, **program: Any) -> tuple[bool, Registration]:
    with registering(graph, monitor, **program) as registration:
        return registration.run(), registration


def graph_of(*nodes: Node, outputs: Mapping[str, Any] | None = None) -> Graph:
    return Graph("b", "1.0.0", "dev", {node.name: node for node in nodes}, outputs or {})


def dependencies(request: Any) -> tuple[list[str], dict[str, list[str]]]:
    return list(request.dependencies), {key: list(value.urns) for key, value in request.propertyDependencies.items()}


AWS = Node("@aws", "pulumi:providers:aws", {"region": "eu-west-1"}, Kind.PROVIDER)


# ------------------------------------------------------------------------------------------------ order


def test_each_node_is_sent_when_all_that_it_refers_to_is_known() -> None:
    nodes = [AWS, Node("c", "mlinfra:component:C", kind=Kind.COMPONENT)]
    for index in range(60):
        inputs = {"parent": Ref(f"n{index // 2:02}")} if index else {}
        nodes.append(Node(f"n{index:02}", "aws:x:X", inputs, component="c", options=Options(provider="@aws")))
    graph = graph_of(*nodes)
    monitor = Monitor()
    succeeded, _ = register(graph, monitor)
    assert succeeded
    assert monitor.order[0] == "b-dev"
    assert sorted(monitor.order[1:]) == sorted(graph.nodes)
    for position, name in enumerate(monitor.order[1:]):
        assert graph.nodes[name].references() <= set(monitor.order[: position + 1])


def test_components_are_parents_and_are_closed() -> None:
    component = Node("data", "mlinfra:component:Bucket", kind=Kind.COMPONENT)
    monitor = Monitor()
    register(graph_of(component, Node("data/bucket", "aws:s3/bucket:Bucket", component="data")), monitor)
    assert monitor.registered["data"].parent == urn("b-dev")
    assert not monitor.registered["data"].custom
    assert monitor.registered["data/bucket"].parent == urn("data")
    assert monitor.registered["data/bucket"].custom
    assert set(monitor.closed) == {urn("data"), urn("b-dev")}


# ------------------------------------------------------------------------------------------------ requests


def test_each_property_says_exactly_what_it_depends_on() -> None:
    nodes = [Node(name, "t:t:T") for name in ("one", "two", "three")]
    user = Node(
        "user",
        "t:t:T",
        {
            "both": Document({"a": Ref("one"), "b": [join("x", Ref("two", ("arn",)))]}),
            "secret": Secret(Ref("one")),
            "call": Call("first", ([Ref("two")], 1)),
            "plain": {"x": 1},
        },
        options=Options(depends_on=("three",)),
    )
    monitor = Monitor({"two": {"arn": "arn:two"}})
    succeeded, _ = register(graph_of(*nodes, user), monitor)
    assert succeeded
    assert dependencies(monitor.registered["user"]) == (
        [urn("one"), urn("three"), urn("two")],
        {"both": [urn("one"), urn("two")], "secret": [urn("one")], "call": [urn("two")]},
    )
    assert dependencies(monitor.registered["one"]) == ([], {})
    sent = decode(monitor.registered["user"].object)
    assert sent == {
        "both": '{"a": "one-id", "b": ["xarn:two"]}',
        "secret": Secret("one-id"),
        "call": ["two-id"],
        "plain": {"x": 1},
    }


@pytest.mark.parametrize(("inputs", "key"), [({"plain": 1}, "plain"), ({}, "id")])
def test_an_order_alone_is_told_without_making_every_property_depend_on_it(inputs: dict[str, Any], key: str) -> None:
    """An empty map would mean to the engine that every property depends on everything."""
    monitor = Monitor()
    register(graph_of(Node("a", "t:t:T"), Node("b", "t:t:T", inputs, options=Options(depends_on=("a",)))), monitor)
    assert dependencies(monitor.registered["b"]) == ([urn("a")], {key: []})


def test_what_depends_on_a_lookup_depends_on_what_it_asked_with() -> None:
    lookup = Node("l", "aws:x:getX", {"name": Ref("a", ("name",))}, Kind.LOOKUP, options=Options(provider="@aws"))
    user = Node("u", "aws:x:X", {"value": Ref("l", ("found",)), "other": 1})
    monitor = Monitor({"a": {"name": "n"}, "aws:x:getX": {"found": "f"}})
    succeeded, _ = register(graph_of(AWS, Node("a", "aws:x:X"), lookup, user), monitor, versions={"aws": "7.1.0"})
    assert succeeded
    request = monitor.invoked["aws:x:getX"]
    assert decode(request.args) == {"name": "n"}
    assert (request.version, request.provider) == ("7.1.0", f"{urn('@aws')}::@aws-id")
    assert dependencies(monitor.registered["u"]) == ([urn("a")], {"value": [urn("a")]})
    assert decode(monitor.registered["u"].object) == {"value": "f", "other": 1}


def test_options_become_those_of_the_request() -> None:
    options = Options(
        protect=True,
        retain_on_delete=True,
        delete_before_replace=True,
        ignore_changes=("tags",),
        replace_on_changes=("name",),
        aliases=("former/x",),
        secret_outputs=("password",),
        provider="@aws",
        import_id="existing",
        timeout_seconds=90,
    )
    node = Node("x", "aws:s3/bucket:Bucket", {"a": 1}, options=options)
    monitor = Monitor()
    register(graph_of(AWS, node), monitor, versions={"aws": "7.1.0"}, provider_inputs={"@aws": {"endpoint": "e"}})
    request = monitor.registered["x"]
    assert (request.protect, request.retainOnDelete, request.deleteBeforeReplace) == (True, True, True)
    assert (list(request.ignoreChanges), list(request.replaceOnChanges)) == (["tags"], ["name"])
    assert [alias.spec.name for alias in request.aliases] == ["former/x"]
    assert list(request.additionalSecretOutputs) == ["password"]
    assert request.provider == f"{urn('@aws')}::@aws-id"
    assert (request.importId, request.version) == ("existing", "7.1.0")
    timeouts = request.customTimeouts
    assert (timeouts.create, timeouts.update, timeouts.delete) == ("90s", "90s", "90s")
    assert decode(monitor.registered["@aws"].object) == {"region": "eu-west-1", "endpoint": "e"}
    assert monitor.registered["@aws"].version == "7.1.0"


def test_unprotect_takes_the_protection_away() -> None:
    monitor = Monitor()
    register(graph_of(Node("x", "t:t:T", options=Options(protect=True))), monitor, unprotect=True)
    assert not monitor.registered["x"].protect


@pytest.mark.parametrize(
    ("node", "package"),
    [
        (AWS, "aws"),
        (Node("x", "aws:s3/bucket:Bucket"), "aws"),
        (Node("c", "mlinfra:component:Bucket", kind=Kind.COMPONENT), "mlinfra"),
    ],
)
def test_the_package_of_a_node(node: Node, package: str) -> None:
    assert package_of(node) == package


# ------------------------------------------------------------------------------------------------ unknowns and secrets


def test_what_is_not_known_before_an_update_stays_unknown() -> None:
    lookup = Node("l", "aws:x:getX", {"name": Ref("a")}, Kind.LOOKUP)
    metadata = Node("m", "t:t:T", {"metadata": {"name": "m"}})
    user = Node(
        "u",
        "t:t:T",
        {
            "id": Ref("a"),
            "text": join("arn:", Ref("a", ("arn",))),
            "given": Ref("a", ("given",)),
            "found": Ref("l", ("deep", 0, "x")),
            "uid": Ref("m", ("metadata", "uid")),
            "name": Ref("m", ("metadata", "name")),
        },
        options=Options(provider="@aws"),
    )
    outputs = {"u": Ref("u"), "given": Ref("a", ("given",))}
    monitor = Monitor(preview=True)
    succeeded, registration = register(
        graph_of(AWS, Node("a", "t:t:T", {"given": 1}), lookup, metadata, user, outputs=outputs), monitor
    )
    assert succeeded
    assert "aws:x:getX" not in monitor.invoked, "the engine would drop an unknown argument and ask for something else"
    assert decode(monitor.registered["u"].object) == {
        "id": UNKNOWN,
        "text": UNKNOWN,
        "given": 1,
        "found": UNKNOWN,
        "uid": UNKNOWN,
        "name": "m",
    }
    assert monitor.registered["u"].provider == f"{urn('@aws')}::{UNKNOWN_TEXT}"
    assert dependencies(monitor.registered["u"])[1]["found"] == [urn("a")]
    assert registration.stack_outputs == {"u": UNKNOWN, "given": 1}
    made = {"blueprint": "b", "version": "1.0.0"}
    assert monitor.closed[urn("b-dev")] == {
        "u": UNKNOWN,
        "given": 1,
        ORIGIN: {**made, "resources": {"u": ["u"], "given": ["a"]}},
    }


def test_a_provider_that_is_to_come_tells_nothing_of_what_it_has_made() -> None:
    """Of a cluster that is about to be made anew, the engine answers for what is in it with an id, and no more."""
    kubernetes = Node("k", "pulumi:providers:kubernetes", {"kubeconfig": Ref("@aws", ("to-come",))}, Kind.PROVIDER)
    map_ = Node("map", "kubernetes:core/v1:ConfigMap", {"metadata": {"name": "m"}}, options=Options(provider="k"))
    user = Node("user", "aws:x:X", {"uid": Ref("map", ("metadata", "uid"))})
    monitor = Monitor({"@aws": {"to-come": UNKNOWN}})
    succeeded, _ = register(graph_of(AWS, kubernetes, map_, user), monitor)
    assert succeeded
    assert decode(monitor.registered["user"].object) == {"uid": UNKNOWN}


def test_secrets_stay_secret_and_are_learnt_before_they_are_sent() -> None:
    outputs = {"token": Ref("a", ("token",)), "url": join("https://", Ref("a", ("token",)), "@host")}
    monitor = Monitor({"a": {"token": Secret("t0ken-of-a")}})
    user = Node("b", "t:t:T", {"auth": {"value": Ref("a", ("token",))}, "own": Secret("0wn-secret")})
    succeeded, registration = register(graph_of(Node("a", "t:t:T"), user, outputs=outputs), monitor)
    assert succeeded
    assert decode(monitor.registered["b"].object) == {
        "auth": {"value": Secret("t0ken-of-a")},
        "own": Secret("0wn-secret"),
    }
    token, url = Secret("t0ken-of-a"), Secret("https://t0ken-of-a@host")
    assert monitor.closed[urn("b-dev")] == {"token": token, "url": url, ORIGIN: origin(registration.program.graph)}
    assert registration.redactor.text("0wn-secret t0ken-of-a") == "[secret] [secret]"
    assert all(request.acceptSecrets for request in monitor.registered.values())


def test_parameters_are_noted_as_a_secret() -> None:
    """A blueprint may have made a secret of one of them."""
    noted = origin(graph_of(Node("a", "t:t:T")), {"token": "t0ken", "none": None})
    assert noted["params"] == Secret('{"none": null, "token": "t0ken"}')


# ------------------------------------------------------------------------------------------------ what goes wrong


def test_an_output_that_is_not_there_is_told_and_the_rest_goes_on() -> None:
    user = Node("c/user", "t:t:T", {"x": Ref("a", ("nope",))}, component="c")
    component = Node("c", "mlinfra:component:C", kind=Kind.COMPONENT)
    after = Node("c/after", "t:t:T", {"x": Ref("c/user")}, component="c")
    outputs = {"bad": Ref("a", ("neither",)), "never": Ref("c/user"), "good": Ref("a")}
    monitor = Monitor()
    succeeded, registration = register(
        graph_of(Node("a", "t:t:T"), component, user, after, Node("z", "t:t:T"), outputs=outputs), monitor
    )
    assert not succeeded
    assert [(item.code, item.resource) for item in registration.problems.found] == [
        ("missing-output", "c/user"),
        ("missing-output", "a"),
    ]
    assert "a has no output nope" in registration.problems.found[0].summary
    assert set(monitor.registered) == {"b-dev", "a", "c", "z"}
    assert registration.stack_outputs == {"good": "a-id"}


def test_a_value_that_cannot_be_made_is_told() -> None:
    user = Node("u", "t:t:T", {"x": join("arn:", Ref("a", ("nothing",)))})
    outputs = {"o": Call("base64_decode", ("?!",))}
    succeeded, registration = register(
        graph_of(Node("a", "t:t:T"), user, outputs=outputs), Monitor({"a": {"nothing": None}})
    )
    assert not succeeded
    assert [(item.code, item.resource) for item in registration.problems.found] == [
        ("unusable-value", "u"),
        ("unusable-value", None),
    ]


def test_a_lookup_that_is_refused_is_told_without_secrets() -> None:
    lookup = Node("l", "aws:x:getX", {"name": Secret("hunter2")}, Kind.LOOKUP)
    monitor = Monitor()
    monitor.failures = [provider_pb2.CheckFailure(property="name", reason="nothing is called hunter2")]
    succeeded, registration = register(graph_of(lookup), monitor)
    assert not succeeded
    (told,) = registration.problems.found
    assert (told.code, told.resource) == ("lookup-refused", "l")
    assert told.summary == "aws:x:getX was refused: nothing is called [secret]"


def test_an_engine_that_stops_has_told_why_itself() -> None:
    monitor = Monitor()
    monitor.refusal = (grpc.StatusCode.UNAVAILABLE, "resource monitor shut down")
    succeeded, registration = register(graph_of(Node("a", "t:t:T"), Node("b", "t:t:T", {"x": Ref("a")})), monitor)
    assert not succeeded
    assert registration.problems.found == []


def test_a_registration_that_the_engine_refuses_is_told_without_secrets() -> None:
    monitor = Monitor()
    monitor.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "no such thing as hunter2")
    succeeded, registration = register(graph_of(Node("a", "t:t:T", {"x": Secret("hunter2")})), monitor)
    assert not succeeded
    (told,) = registration.problems.found
    assert told.code == "registration-refused"
    assert "no such thing as [secret]" in told.summary
