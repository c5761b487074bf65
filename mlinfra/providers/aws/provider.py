"""The embedded AWS provider: Pulumi's ResourceProvider protocol on one side, botocore on the other.

One object is one provider instance: a region and endpoints on this machine. The way of a resource through it:

    Check   inputs → problems, defaults, a name           (no request: the engine checks one resource at a time)
    Diff    old inputs, new inputs → what is replaced     (no request)
    Create  inputs → id, outputs                          (preview: outputs unknown, no request)
    Read    id → inputs and outputs as AWS has them; nothing if it is gone
    Update  id, old inputs, new inputs → outputs          (preview: no request)
    Delete  id
"""

# ruff: noqa: ARG002, N802 — the protocol gives methods their names and arguments

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.functions import UNKNOWN, Unknown, holds
from mlinfra.providers.aws import NOTHING, configuration, registry
from mlinfra.providers.aws.adopting import adopt
from mlinfra.providers.aws.errors import AwsError, taken
from mlinfra.providers.aws.fields import filled, problems
from mlinfra.providers.aws.identifying import mark, with_mark, without_mark
from mlinfra.providers.aws.inputs import before, effective, live_inputs, named, properties, told
from mlinfra.providers.aws.lookups import LOOKUPS
from mlinfra.providers.aws.marks import closed, opened
from mlinfra.providers.aws.planning import diff, differing
from mlinfra.providers.aws.resource import SECONDS, Aws, Change, Made, Resource
from mlinfra.providers.aws.session import Session
from mlinfra.providers.base import InitFailedError, check_failures, text
from mlinfra.wire.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc
from mlinfra.wire.values import decode, encode


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]  # generated code has no types
    """One provider instance; `unfinished` as for `serve`.

    Raises `MlinfraError`; the router in front of it turns that into gRPC failures.
    """

    def __init__(self, unfinished: Mapping[str, Set[str]] = NOTHING) -> None:
        self._unfinished = unfinished
        self._session: Session | None = None
        self._cancelled = threading.Event()

    # -------------------------------------------------------------------------------------------- the provider

    def Handshake(self, request: Any, context: Any) -> Any:
        """Secrets come marked, so that they can be kept out of messages and be marked again."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        """Nothing to do: the engine is only called through its answers."""
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The version of the official plugin whose types and inputs this provider takes."""
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi-aws"))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        """Refuse, before anything is done, what is not an emulator on this machine."""
        news = opened(request.news, configuration.SECRETS)
        return provider_pb2.CheckResponse(
            inputs=encode(closed(news.values, news.secrets)),
            failures=check_failures(configuration.problems(news.values), configuration.SECRETS),
        )

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """Another region is another provider; any other change (the port of an emulator) is none to its resources."""
        old, new = decode(request.old_inputs).get("region"), decode(request.news).get("region")
        if old == new or not old:
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME, diffs=["region"], replaces=["region"]
        )

    def Configure(self, request: Any, context: Any) -> Any:
        """Take the configuration; one with unknown values, in a preview, is left for the update."""
        inputs = opened(request.args, configuration.SECRETS).values
        if not holds(inputs, Unknown):
            self._session = Session(configuration.configure(inputs))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        """Let what waits give up."""
        self._cancelled.set()
        return Empty()

    # -------------------------------------------------------------------------------------------- lookups

    def Invoke(self, request: Any, context: Any) -> Any:
        """Answer a lookup."""
        if request.tok not in LOOKUPS:
            raise MlinfraError(Diagnostic(f"mlinfra's embedded AWS provider has no lookup {request.tok}"))
        lookup, fields = LOOKUPS[request.tok]
        arguments = opened(request.args)
        if failures := check_failures(problems(fields, arguments.values), arguments.secrets):
            return provider_pb2.InvokeResponse(failures=failures)
        with _explained(request.tok, arguments.texts):
            answer = lookup(self._aws(arguments.values), arguments.values)
        return provider_pb2.InvokeResponse(**{"return": encode(answer)})

    # -------------------------------------------------------------------------------------------- resources

    def Check(self, request: Any, context: Any) -> Any:
        """Fill in defaults, default tags and a name; find what is wrong with the inputs without asking AWS.

        Inputs are whole afterwards: where they are as they were, nothing is to be done, and the engine asks for no
        difference.
        """
        kind = _kind(request)
        news = opened(request.news, kind.secrets)
        found = list(problems(kind.fields, news.values))
        values = news.values if found else effective(kind, news.values, self._default_tags)
        inputs = filled(kind.fields, named(kind, values, decode(request.olds), _name(request), request.randomSeed))
        found = found or list(kind.refusals(inputs))
        return provider_pb2.CheckResponse(
            inputs=encode(closed(inputs, news.secrets)), failures=check_failures(found, news.secrets)
        )

    def Diff(self, request: Any, context: Any) -> Any:
        """Compare inputs with inputs, and tags with those that the resource has, default tags included."""
        old, outputs = opened(request.old_inputs).values, opened(request.olds).values
        return diff(_kind(request), before(old, outputs), opened(request.news).values)

    def Create(self, request: Any, context: Any) -> Any:
        """Make a resource. One that was made but could not be completed is kept in the state, with the reason."""
        kind = _kind(request)
        inputs = opened(request.properties, kind.secrets)
        wanted = inputs.values
        if request.preview:
            outputs = self._outputs(kind, wanted, dict.fromkeys(kind.outputs, UNKNOWN))
            return provider_pb2.CreateResponse(properties=encode(closed(outputs, inputs.secrets)))
        aws = self._aws(wanted, request.timeout)
        with _explained(_name(request), inputs.texts):
            adopted = self._adopted(kind, aws, wanted, request.urn)
            made = adopted or self._made(kind, aws, wanted, request.urn)
        outputs = closed(self._outputs(kind, wanted, made.outputs), inputs.secrets)
        if adopted is None or kind.resumes:
            with _kept(made.id, outputs), _explained(_name(request), inputs.texts):
                more = kind.complete(aws, made, wanted) or {}
            outputs = closed(self._outputs(kind, wanted, {**made.outputs, **more}), inputs.secrets)
        return provider_pb2.CreateResponse(id=made.id, properties=encode(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        """Change a resource in place. Where nothing differs, its creation stopped half way: complete it."""
        kind = _kind(request)
        news, olds = opened(request.news, kind.secrets), opened(request.olds)
        wanted = news.values
        known = told(kind.outputs, olds.values)
        if request.preview:
            known |= dict.fromkeys(kind.volatile, UNKNOWN)
            outputs = self._outputs(kind, wanted, known)
            return provider_pb2.UpdateResponse(properties=encode(closed(outputs, news.secrets)))
        aws = self._aws(wanted, request.timeout)
        old = before(opened(request.old_inputs).values, olds.values)
        names = frozenset(field.name for field in differing(kind, old, wanted))
        with _explained(_name(request), news.texts | olds.texts):
            if names:
                known |= kind.update(aws, Change(request.id, old, wanted, known, names))
        outputs = closed(self._outputs(kind, wanted, known), news.secrets)
        if not names:
            with _kept(request.id, outputs), _explained(_name(request), news.texts):
                more = kind.complete(aws, Made(request.id, known), wanted) or {}
            outputs = closed(self._outputs(kind, wanted, {**known, **more}), news.secrets)
        return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        """The resource as AWS has it now, by its inputs or, for an import, without them; nothing if it is gone."""
        kind = _kind(request)
        known, state = opened(request.inputs, kind.secrets), opened(request.properties, kind.secrets)
        aws = self._aws(known.values or state.values, request.timeout)
        with _explained(_name(request), known.texts | state.texts):
            live = kind.read(aws, request.id, known.values)
        if live is None:
            return provider_pb2.ReadResponse()
        live = replace(live, tags=without_mark(live.tags))
        secrets = known.secrets | state.secrets | kind.secrets
        inputs = live_inputs(kind, known.values, live, self._default_tags)
        known_outputs = told(kind.outputs, state.values)  # some are told by the create call alone
        outputs = properties(kind, inputs, known_outputs | dict(live.outputs), live.tags, aws.region)
        return provider_pb2.ReadResponse(
            id=request.id, inputs=encode(closed(inputs, secrets)), properties=encode(closed(outputs, secrets))
        )

    def Delete(self, request: Any, context: Any) -> Any:
        """Take a resource away."""
        kind = _kind(request)
        inputs, state = opened(request.old_inputs), opened(request.properties)
        known = filled(kind.fields, inputs.values or state.values)
        aws = self._aws(known, request.timeout)
        with _explained(_name(request), inputs.texts | state.texts):
            kind.delete(aws, request.id, known)
        return Empty()

    # -------------------------------------------------------------------------------------------- within

    @property
    def _default_tags(self) -> Mapping[str, str]:
        return self._session.configuration.default_tags if self._session else {}

    def _aws(self, inputs: Mapping[str, Any], seconds: float = 0) -> Aws:
        if self._session is None:
            raise MlinfraError(
                Diagnostic(
                    "the AWS provider is not configured",
                    detail="Its inputs were not known, or the engine's connection to it was lost.",
                    code="aws-provider-configuration",
                )
            )
        region = inputs.get("region") or self._session.configuration.region
        return Aws(self._session, region, self._cancelled, seconds or SECONDS)

    def _adopted(self, kind: Resource, aws: Aws, wanted: Mapping[str, Any], urn: str) -> Made | None:
        """What a create that was cut off has made of the resource, complete; None where there is nothing of it."""
        if urn not in self._unfinished:
            return None
        return adopt(kind, aws, wanted, self._unfinished[urn], _mark(kind, aws, urn))

    def _made(self, kind: Resource, aws: Aws, wanted: Mapping[str, Any], urn: str) -> Made:
        if kind.upserts and kind.read(aws, kind.identity(wanted), wanted) is not None:
            raise taken(kind.identity(wanted), kind.token.rpartition(":")[2])
        return kind.create(aws, with_mark(wanted, _mark(kind, aws, urn)) if kind.marked else wanted)

    def _outputs(self, kind: Resource, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
        region = self._session.configuration.region if self._session else UNKNOWN
        return properties(kind, inputs, outputs, inputs.get("tags"), inputs.get("region", region))


def _kind(request: Any) -> Resource:
    return registry.find(request.type or request.urn.split("::")[2].rpartition("$")[2])


def _mark(kind: Resource, aws: Aws, urn: str) -> str:
    """What a resource of this URN bears; empty for types that are found by their name."""
    return mark(aws.account, urn) if kind.marked else ""


def _name(request: Any) -> str:
    return str(request.name or request.urn.rpartition("::")[2])


@contextmanager
def _explained(name: str, secrets: Set[str]) -> Iterator[None]:
    """Let AWS errors name the resource, and no secret."""
    try:
        yield
    except AwsError as error:
        raise error.about(name, secrets) from None


@contextmanager
def _kept(resource_id: str, outputs: Mapping[str, Any]) -> Iterator[None]:
    """Whatever goes wrong now, the resource is there and belongs into the state."""
    try:
        yield
    except MlinfraError as error:
        raise InitFailedError(resource_id, outputs, [text(error)]) from None
