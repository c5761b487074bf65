"""The graph goes to the engine: each node is registered as soon as all that it refers to is known.

Requests are sent without waiting for one another; the engine's replies, as they come, set free the nodes that waited
for them. One thread drives all of it.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from mlinfra.diagnostics import Diagnostic, Problems
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.session import ORIGIN, STACK_TYPE
from mlinfra.functions import UNKNOWN, MissingOutputError, Unknown, UnusableValueError, holds, resolve
from mlinfra.graph import Graph, Kind, Node, Secret, references
from mlinfra.wire.protocol import alias_pb2, resource_pb2, resource_pb2_grpc
from mlinfra.wire.values import UNKNOWN_TEXT, decode, encode

STOPPED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""How calls end when the engine has stopped for a reason that it tells itself."""


@dataclass(frozen=True)
class Program:
    """What is registered: the graph, and what the target adds to it.

    `provider_inputs` gives provider nodes the inputs that only the target knows (endpoints, kubeconfig); `versions` the
    version of the provider plugin for each package. `unprotect` registers everything without its protection. `params`
    are the parameters that the graph was made with, to be noted beside the outputs.
    """

    graph: Graph
    provider_inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    unprotect: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Registered:
    """What the engine answered for a node."""

    urn: str = ""
    id: str = ""
    outputs: Any = None
    urns: frozenset[str] = frozenset()
    """What depending on the node means: its own URN, or for a lookup those of all that its arguments refer to."""


class Registration:
    """One walk over the graph, for one run of the engine."""

    def __init__(self, program: Program, channel: grpc.Channel, project: str, stack: str, redactor: Redactor) -> None:
        self.program = program
        self.monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
        self.project, self.stack = project, stack
        self.redactor = redactor
        self.problems = Problems()
        self.known: dict[str, Registered] = {}
        self.outputs: dict[str, Any] = {}
        self.stack_outputs: dict[str, Any] = {}
        self._blind: set[str] = set()
        """Providers whose inputs are to come (a cluster's that is made anew): they tell nothing of what they made."""
        self._answers: queue.SimpleQueue[tuple[Node, Any]] = queue.SimpleQueue()
        self._root = ""

    def run(self) -> bool:
        """Register everything; False when the engine stopped or a problem was found (`problems` says which)."""
        root = resource_pb2.RegisterResourceRequest(
            type=STACK_TYPE, name=f"{self.project}-{self.stack}", custom=False, acceptSecrets=True
        )
        try:
            self._root = self.monitor.RegisterResource(root).urn
            self._walk()
            self._finish()
        except grpc.RpcError as error:
            self._refused(error)
            return False
        return not self.problems.errors

    # ------------------------------------------------------------------------------------ the walk

    def _walk(self) -> None:
        waits = {node.name: set(node.references()) for node in self.program.graph}
        users: dict[str, list[str]] = {}
        for name, needed in waits.items():
            for other in needed:
                users.setdefault(other, []).append(name)
        in_flight = 0
        for name in sorted(name for name, needed in waits.items() if not needed):
            in_flight += self._send(self.program.graph.nodes[name])
        while in_flight:
            node, answer = self._answers.get()
            in_flight -= 1
            self._take(node, answer)
            for user in users.get(node.name, ()):
                waits[user].discard(node.name)
                if not waits[user]:
                    in_flight += self._send(self.program.graph.nodes[user])

    def _send(self, node: Node) -> int:
        """Send a node's request; 1 when an answer will come, 0 when the node cannot be sent."""
        inputs = {**node.inputs, **self.program.provider_inputs.get(node.name, {})}
        try:
            resolved = resolve(inputs, self.outputs)
        except MissingOutputError as error:
            self._missing(node, error)
            return 0
        except UnusableValueError as error:
            self._problem(node, f"{node.name} needs a value that cannot be made: {error}", "unusable-value")
            return 0
        self.redactor.learn(resolved)
        if node.kind is Kind.LOOKUP:
            return self._look_up(node, resolved)
        self._when_done(node, self.monitor.RegisterResource.future(self._request(node, resolved)))
        return 1

    def _when_done(self, node: Node, future: Any) -> None:
        future.add_done_callback(lambda done: self._answers.put((node, done)))

    def _take(self, node: Node, answer: Any) -> None:
        if isinstance(answer, Registered):
            found = answer
        else:
            reply = answer.result()  # raises what the call ended with
            found = self._invoked(node, reply) if node.kind is Kind.LOOKUP else self._registered(node, reply)
        self.known[node.name] = found
        self.outputs[node.name] = found.outputs

    def _registered(self, node: Node, reply: Any) -> Registered:
        outputs = decode(reply.object)
        self.redactor.learn(outputs)
        known = bool(reply.id) and reply.id != UNKNOWN_TEXT
        outputs["id"] = reply.id if known else UNKNOWN
        outputs["urn"] = reply.urn
        found = _to_come(outputs) if node.options.provider in self._blind or not known else outputs
        if node.kind is Kind.PROVIDER and holds(found, Unknown):
            self._blind.add(node.name)
        return Registered(reply.urn, reply.id, found, frozenset({reply.urn}))

    # ------------------------------------------------------------------------------------ requests

    def _request(self, node: Node, inputs: Mapping[str, Any]) -> Any:
        options = node.options
        request = resource_pb2.RegisterResourceRequest(
            type=node.type,
            name=node.name,
            parent=self.known[node.component].urn if node.component else self._root,
            custom=node.kind is not Kind.COMPONENT,
            object=encode(inputs),
            protect=options.protect and not self.program.unprotect,
            retainOnDelete=options.retain_on_delete,
            deleteBeforeReplace=options.delete_before_replace,
            deleteBeforeReplaceDefined=options.delete_before_replace,
            ignoreChanges=options.ignore_changes,
            replaceOnChanges=options.replace_on_changes,
            additionalSecretOutputs=options.secret_outputs,
            aliases=[alias_pb2.Alias(spec=alias_pb2.Alias.Spec(name=name)) for name in options.aliases],
            aliasSpecs=True,
            importId=options.import_id or "",
            version=self.program.versions.get(package_of(node), ""),
            acceptSecrets=True,
            acceptResources=True,
            supportsPartialValues=True,
        )
        if options.provider:
            provider = self.known[options.provider]
            request.provider = f"{provider.urn}::{provider.id or UNKNOWN_TEXT}"
        if options.timeout_seconds:
            bound = f"{options.timeout_seconds}s"
            request.customTimeouts.create = request.customTimeouts.update = request.customTimeouts.delete = bound
        self._depend(request, node)
        return request

    def _depend(self, request: Any, node: Node) -> None:
        """Say which property depends on which node, exactly.

        An empty map would mean that every property depends on every dependency, and replacing one of them would then
        replace this node, too; so an order that comes from no property is told with one property that needs nothing.
        """
        everything: set[str] = set()
        for key, value in node.inputs.items():
            urns = self._urns(value)
            if urns:
                request.propertyDependencies[key].urns.extend(sorted(urns))
                everything |= urns
        for name in node.options.depends_on:
            everything |= self.known[name].urns
        if everything and not request.propertyDependencies:
            request.propertyDependencies[next(iter(node.inputs), "id")].SetInParent()
        request.dependencies.extend(sorted(everything))

    def _urns(self, value: Any) -> set[str]:
        return {urn for reference in references(value) for urn in self.known[reference.node].urns}

    def _look_up(self, node: Node, arguments: Mapping[str, Any]) -> int:
        if holds(arguments, Unknown):  # the engine would drop the argument and ask for something else
            self._answers.put((node, Registered(outputs=UNKNOWN, urns=frozenset(self._urns(node.inputs)))))
            return 1
        request = resource_pb2.ResourceInvokeRequest(
            tok=node.type,
            args=encode(arguments),
            version=self.program.versions.get(package_of(node), ""),
            acceptResources=True,
        )
        if node.options.provider:
            provider = self.known[node.options.provider]
            request.provider = f"{provider.urn}::{provider.id or UNKNOWN_TEXT}"
        self._when_done(node, self.monitor.Invoke.future(request))
        return 1

    def _invoked(self, node: Node, reply: Any) -> Registered:
        for failure in reply.failures:
            self._problem(node, f"{node.type} was refused: {failure.reason}", "lookup-refused")
        outputs = decode(getattr(reply, "return"))
        self.redactor.learn(outputs)
        return Registered(outputs=outputs, urns=frozenset(self._urns(node.inputs)))

    # ------------------------------------------------------------------------------------ the end

    def _finish(self) -> None:
        """Close components and the stack, with the stack's outputs."""
        pending = [
            self.monitor.RegisterResourceOutputs.future(
                resource_pb2.RegisterResourceOutputsRequest(urn=self.known[node.name].urn)
            )
            for node in self.program.graph
            if node.kind is Kind.COMPONENT and node.name in self.known
        ]
        for name, value in self.program.graph.outputs.items():
            try:
                self.stack_outputs[name] = resolve(value, self.outputs)
            except MissingOutputError as error:
                self.problems.error(f"output {name!r}: {error}", resource=error.node, code="missing-output")
            except UnusableValueError as error:
                self.problems.error(f"output {name!r}: {error}", code="unusable-value")
            except KeyError:
                continue  # the node was not registered: its own problem is told already
        for call in pending:
            call.result()
        outputs = {**self.stack_outputs, ORIGIN: origin(self.program.graph, self.program.params)}
        self.monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=self._root, outputs=encode(outputs))
        )

    def _missing(self, node: Node, error: MissingOutputError) -> None:
        remedy = f"See `mlinfra graph` for what {error.node} is, and its documentation for the outputs it has."
        self._problem(node, f"{node.name} needs an output that is not there: {error}", "missing-output", remedy)

    def _problem(self, node: Node, summary: str, code: str, remedy: str = "") -> None:
        self.problems.error(
            self.redactor.text(summary),
            remedy=remedy,
            component=node.component,
            resource=node.name,
            location=self.program.graph.source_of(node.name),
            code=code,
        )

    def _refused(self, error: grpc.RpcError) -> None:
        """A call that failed. When the engine has stopped, it says why in its events; nothing is added here."""
        if error.code() in STOPPED:
            return
        self.problems.found.append(
            Diagnostic(
                f"the engine refused a registration: {self.redactor.text(error.details() or str(error.code()))}",
                code="registration-refused",
            )
        )


def origin(graph: Graph, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Where a graph's outputs come from, as it is written beside them.

    Parameters are a JSON text, since the engine would drop those that are null, and a secret: a blueprint may make a
    secret of what it was given as a plain text.
    """
    resources = {node.name for node in graph if node.kind is Kind.RESOURCE}
    made_of = {
        name: sorted({item.node for item in references(value)} & resources) for name, value in graph.outputs.items()
    }
    noted = {"params": Secret(json.dumps(params, sort_keys=True, ensure_ascii=False))} if params else {}
    return {"blueprint": graph.blueprint, "version": graph.version, "resources": made_of, **noted}


class Outputs(dict[str, Any]):
    """The outputs of a node that does not exist yet: one that nobody has told of is unknown, not missing."""

    def __missing__(self, key: str) -> Unknown:
        """Known once the node is made."""
        return UNKNOWN


def _to_come(value: Any) -> Any:
    """Outputs of a node that does not exist yet, objects within them too: `metadata.uid` of a Kubernetes object."""
    match value:
        case Mapping():
            return Outputs({key: _to_come(item) for key, item in value.items()})
        case list():
            return [_to_come(item) for item in value]
        case Secret(inner):
            return Secret(_to_come(inner))
        case _:
            return value


def package_of(node: Node) -> str:
    """The package of a node's type: `aws` of `aws:s3/bucket:Bucket` and of `pulumi:providers:aws`."""
    parts = node.type.split(":")
    return parts[2] if parts[:2] == ["pulumi", "providers"] else parts[0]
