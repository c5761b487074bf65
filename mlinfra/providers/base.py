"""What the embedded providers share: routing calls to provider instances, failing them readably, names, serving.

A provider instance (one region, one cluster) is an object with the methods of Pulumi's ResourceProvider service. It
answers or raises; the `Router` in front of it turns what is raised into gRPC failures:

========================= =================== ==========================================================
raised                    gRPC code           what the engine does
========================= =================== ==========================================================
`MlinfraError`            FAILED_PRECONDITION nothing has changed: fails the step, keeps the old state
`UncertainError`          UNKNOWN             something may have changed: notes the operation as pending
`InitFailedError`         UNKNOWN, details    the resource exists but is not as wanted: keeps it in state
anything else             INTERNAL            a bug of ours, told as one
========================= =================== ==========================================================

Source: `resourceStateAndError` and `parseError` in sdk/go/common/resource/plugin/provider_plugin.go of pulumi/pulumi.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import PurePath
from typing import Any, Final, NoReturn, Protocol

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

from mlinfra.diagnostics import MlinfraError
from mlinfra.graph import Path
from mlinfra.wire.protocol import provider_pb2, provider_pb2_grpc
from mlinfra.wire.server import Server
from mlinfra.wire.values import encode, property_path


class UncertainError(MlinfraError):
    """A call broke off, and nobody can say whether it took effect."""


class InitFailedError(Exception):
    """A resource that was made, or changed, but is not as it was asked to be.

    `resource_id` and `outputs` are kept in the state; `reasons` are sentences for a person; `inputs` are given by Read
    alone.
    """

    def __init__(
        self,
        resource_id: str,
        outputs: Mapping[str, Any],
        reasons: Iterable[str],
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self.resource_id, self.outputs, self.reasons, self.inputs = resource_id, outputs, list(reasons), inputs
        super().__init__("; ".join(self.reasons))


class Creates(Protocol):
    """Who wants to know which creations were begun, and what came of them."""

    def begin(self, urn: str) -> None:
        """A creation is about to be asked for."""

    def end(self, urn: str, resource_id: str) -> None:
        """It has made a resource; an empty id: it was refused, and nothing was made."""


class Router(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]  # generated code has no types
    """Hands every call to the provider instance that it is meant for, and fails it readably.

    Attached providers of one package share one port, and only Configure says which instance a call is for. The engine
    opens one connection for each instance, so the connection's peer tells them apart. `make` makes an instance; it is
    called once for each connection. `creates` is told of every creation that is more than a preview.
    """

    def __init__(self, make: Callable[[], Any], creates: Creates | None = None) -> None:
        self._make = make
        self.creates = creates
        self._instances: dict[str, Any] = {}
        self._lock = threading.Lock()

    def instance(self, peer: str) -> Any:
        """The provider instance that the engine reaches by this connection."""
        with self._lock:
            if peer not in self._instances:
                self._instances[peer] = self._make()
            return self._instances[peer]


def _routed(method: str) -> Callable[[Router, Any, grpc.ServicerContext], Any]:
    def call(router: Router, request: Any, context: grpc.ServicerContext) -> Any:
        told = router.creates if method == "Create" and not request.preview else None
        try:
            return _answer(getattr(router.instance(context.peer()), method), request, context, told)
        except NotImplementedError:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not offered by this provider")
        except InitFailedError as error:
            _abort_init_failed(context, error)
        except UncertainError as error:
            context.abort(grpc.StatusCode.UNKNOWN, text(error))
        except MlinfraError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, text(error))
        except Exception as error:  # whatever it is, the engine is told a sentence, never a value
            context.abort(grpc.StatusCode.INTERNAL, _bug(method, error))

    return call


def _answer(method: Callable[[Any, Any], Any], request: Any, context: Any, creates: Creates | None) -> Any:
    """Call a provider's method; whoever asks for creations is told before it and, where it is known, how it ended."""
    if creates is None:
        return method(request, context)
    creates.begin(request.urn)
    try:
        response = method(request, context)
    except InitFailedError as error:
        creates.end(request.urn, error.resource_id)
        raise
    except UncertainError:
        raise
    except MlinfraError:
        creates.end(request.urn, "")
        raise
    creates.end(request.urn, response.id)
    return response


for _method in provider_pb2.DESCRIPTOR.services_by_name["ResourceProvider"].methods:
    setattr(Router, _method.name, _routed(_method.name))


def text(error: MlinfraError) -> str:
    """An error as the engine shows it: for each diagnostic what happened, why, and what to do."""
    return "\n".join(part for item in error.diagnostics for part in (item.summary, item.detail, item.remedy) if part)


def _abort_init_failed(context: grpc.ServicerContext, error: InitFailedError) -> NoReturn:
    failed = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id,
        properties=encode(error.outputs),
        reasons=error.reasons,
        inputs=None if error.inputs is None else encode(error.inputs),
    )
    detail = AnyMessage()
    detail.Pack(failed)
    status = Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
    raise AssertionError("abort always raises")


def _bug(method: str, error: Exception) -> str:
    # Exception texts may hold inputs, secrets among them; where it happened is enough to find it.
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " ← ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"This is a bug of mlinfra, not of your blueprint: {type(error).__name__} in {method}, at {places}."


def check_failures(problems: Iterable[tuple[Path, str]], secrets: Set[str]) -> list[Any]:
    """Problems of inputs, as (path, reason), in the protocol's form.

    The engine prints the value of a property that a CheckFailure names, secret or not, so a problem within one of
    `secrets` (names of inputs) names its property in the reason alone.
    """
    return [
        provider_pb2.CheckFailure(reason=f"{property_path(path)} {reason}")
        if path and path[0] in secrets
        else provider_pb2.CheckFailure(property=property_path(path), reason=reason)
        for path, reason in problems
    ]


SUFFIX: Final = 7
"""How many hex digits the official providers put behind a resource's name to make a physical one."""


def autoname(name: str, seed: bytes, longest: int = 63) -> str:
    """A physical name for the resource called `name`: the same for the same `seed`, at most `longest` characters.

    Without a seed (an engine that sends none) the name is random.
    """
    digits = hashlib.sha256(seed or os.urandom(16)).hexdigest()[:SUFFIX]
    return f"{name[: longest - SUFFIX - 1]}-{digits}"


def serve(make: Callable[[], Any], threads: int, creates: Creates | None = None) -> Server:
    """Serve provider instances that `make` makes, on a free loopback port.

    `threads` bounds the calls answered at a time; it must be above the engine's `--parallel`. `creates` is told of
    every creation.
    """
    return Server(provider_pb2_grpc.add_ResourceProviderServicer_to_server, Router(make, creates), threads)


def run_plugin(server: Server) -> None:
    """Be a Pulumi plugin process: tell the port on the first line of stdout, serve until the engine is gone."""
    parent = os.getppid()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        time.sleep(1)
    server.stop()
