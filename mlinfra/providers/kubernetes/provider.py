"""The provider instance: Pulumi's ResourceProvider protocol over the modules beside this one.

Type tokens and inputs are those of the official package pulumi_kubernetes (`kubernetes:apps/v1:Deployment`); custom
resources are `kubernetes:GROUP/VERSION:KIND`. Calls are routed here by `mlinfra.providers.base.Router`.
Protocol: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/provider.proto
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.functions import Unknown, holds, reveal
from mlinfra.naming import type_of
from mlinfra.providers import base
from mlinfra.providers.kubernetes import applying, checking, deleting, diffing, reading
from mlinfra.providers.kubernetes.objects import kind_of
from mlinfra.providers.kubernetes.ownership import Previous
from mlinfra.providers.kubernetes.secrets import kept_secret
from mlinfra.providers.kubernetes.session import Session
from mlinfra.wire.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc
from mlinfra.wire.values import decode, encode

VERSION: Final = "4.34.2"
"""The version of pulumi_kubernetes whose tokens and inputs are served."""

_IDENTIFIER: Final = "clusterIdentifier"


class Provider(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]  # generated code has no types
    """One provider instance: one cluster. `local` is the kubeconfig of the local target's, on that target."""

    def __init__(self, local: Path | None = None) -> None:
        self._session = Session(local)

    # ---------------------------------------------------------------- the instance

    def Handshake(self, request: Any, _: grpc.ServicerContext) -> Any:
        """The engine introduces itself."""
        self._session.attach(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, _: grpc.ServicerContext) -> Empty:
        """The engine introduces itself, in the older way."""
        self._session.attach(request.address)
        return Empty()

    def GetPluginInfo(self, _: Any, __: grpc.ServicerContext) -> Any:
        """The version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, _: Any, __: grpc.ServicerContext) -> Any:
        """No schema: every kind is driven the same way."""
        return provider_pb2.GetSchemaResponse(schema='{"name": "kubernetes"}')

    def Cancel(self, _: Any, __: grpc.ServicerContext) -> Empty:
        """Stop waiting; what is applied stays."""
        self._session.cancelled.set()
        return Empty()

    def CheckConfig(self, request: Any, _: grpc.ServicerContext) -> Any:
        """The instance's own inputs: a kubeconfig must be among them, as content or as a path.

        The official provider falls back on the user's own kubeconfig; this one never touches a cluster that was not
        named.
        """
        problems = []
        if not request.news.fields["kubeconfig"].WhichOneof("kind"):
            problems.append((("kubeconfig",), "is missing: name the cluster's kubeconfig, as a path or as its text"))
        return provider_pb2.CheckResponse(inputs=request.news, failures=base.check_failures(problems, {"kubeconfig"}))

    def DiffConfig(self, request: Any, _: grpc.ServicerContext) -> Any:
        """Another kubeconfig is another way to the same cluster: nothing is replaced for it.

        Another `clusterIdentifier` is another cluster, as with the official provider: all that is in it is made anew.
        """
        old, new = reveal(decode(request.old_inputs)), reveal(decode(request.news))
        changed = sorted(key for key in {*old, *new} - {"version"} if old.get(key) != new.get(key))
        kind = provider_pb2.DiffResponse
        replaced = [_IDENTIFIER] if _IDENTIFIER in changed and _IDENTIFIER in old else []
        return kind(changes=kind.DIFF_SOME if changed else kind.DIFF_NONE, diffs=changed, replaces=replaced)

    def Configure(self, request: Any, _: grpc.ServicerContext) -> Any:
        """Take the cluster. One whose kubeconfig is not known yet is previewed without."""
        given = reveal(decode(request.args))
        where = [given.get("kubeconfig"), given.get("context")]
        if not holds(where, Unknown):
            if not where[0]:
                raise MlinfraError(Diagnostic("the Kubernetes provider has no kubeconfig", code="kubeconfig-missing"))
            self._session.connect(where[0], where[1], given.get("namespace"))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    # ---------------------------------------------------------------- resources

    def Check(self, request: Any, _: grpc.ServicerContext) -> Any:
        """Complete the inputs."""
        session, kind = self._session, _kind(request)
        news = decode(request.news)
        naming = checking.Naming(request.name or request.urn.rpartition("::")[2], request.randomSeed)
        if request.HasField("autonaming"):
            rule = request.autonaming
            naming = checking.Naming(naming.resource, naming.seed, rule.proposed_name, rule.mode == rule.DISABLE)
        namespace = session.namespace if session.scopes.namespaced(*kind, session.cluster) else None
        checked = checking.check(news, reveal(decode(request.olds)), kind, naming, namespace)
        if kind[1] == "CustomResourceDefinition":
            session.scopes.note(checked.inputs)
        secret = {"data", "stringData"} if kind[1] == "Secret" else set()
        return provider_pb2.CheckResponse(
            inputs=encode(checked.inputs), failures=base.check_failures(checked.problems, secret)
        )

    def Diff(self, request: Any, _: grpc.ServicerContext) -> Any:
        """What changes, and whether in place."""
        api_version, kind = _kind(request)
        new = {**reveal(decode(request.news)), "apiVersion": api_version, "kind": kind}
        return diffing.diff(self._session, request.urn, _previous(request), new)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make an object and wait until it is ready."""
        change = _change(request, request.properties, None, context)
        with kept_secret(change.inputs):
            if request.preview:
                return provider_pb2.CreateResponse(properties=encode(applying.preview(self._session, change)))
            identity, outputs = applying.put(self._session, change)
        return provider_pb2.CreateResponse(id=identity, properties=encode(outputs))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Change an object and wait until it is ready."""
        change = _change(request, request.news, _previous(request), context)
        with kept_secret(change.inputs):
            if request.preview:
                return provider_pb2.UpdateResponse(properties=encode(applying.preview(self._session, change)))
            return provider_pb2.UpdateResponse(properties=encode(applying.put(self._session, change)[1]))

    def Read(self, request: Any, _: grpc.ServicerContext) -> Any:
        """Find an object as it is now."""
        outputs = reveal(decode(request.properties))
        found = reading.read(self._session, request.urn, request.id, _kind(request), decode(request.inputs), outputs)
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.identity, properties=encode(found.outputs), inputs=encode(found.inputs)
        )

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """Delete an object and wait until it is gone."""
        deleting.delete(
            self._session,
            request.urn,
            request.id,
            _kind(request),
            reveal(decode(request.properties)),
            request.timeout,
            lambda: not context.is_active(),
        )
        return Empty()


def _kind(request: Any) -> tuple[str, str]:
    return kind_of(request.type or type_of(request.urn))


def _change(request: Any, properties: Any, previous: Previous | None, context: grpc.ServicerContext) -> applying.Change:
    api_version, kind = _kind(request)
    inputs = {**decode(properties), "apiVersion": api_version, "kind": kind}
    return applying.Change(request.urn, inputs, previous, request.timeout, lambda: not context.is_active())


def _previous(request: Any) -> Previous:
    return Previous.of(request.urn, reveal(decode(request.olds)), reveal(decode(request.old_inputs)))
