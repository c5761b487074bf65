"""The embedded AWS provider: pulumi_aws's resource types on botocore, against an AWS emulator on this machine.

It takes the official plugin's place on the local target: no download, no program of its own. It refuses every
endpoint that is not on this machine, so it can never reach a real account.

A resource type is a class or a row in `types/`; the frame around it is `resource` (what a type says), `fields` and
`shapes` (inputs as data), `comparing` and `planning` (differences), `provider` (the protocol), `session` (botocore,
known here alone) and `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlinfra.providers.base import Creates
    from mlinfra.wire.server import Server

THREADS: Final = 64
"""Calls at a time: gRPC threads and connections alike; above the engine's `--parallel`."""

NOTHING: Final[Mapping[str, Set[str]]] = MappingProxyType({})
"""No unfinished creates."""


def serve(unfinished: Mapping[str, Set[str]] = NOTHING, creates: Creates | None = None) -> Server:
    """Serve the provider on a free loopback port: one server for any number of provider instances.

    Attach it with `PULUMI_DEBUG_PROVIDERS=aws:PORT`. `unfinished` has the URNs of resources whose creation was cut off,
    each with the ids that the state has for it; what else is there of them is taken over. `creates` is told of every
    creation. The provider itself is loaded by the first call; `load` does so before.
    """
    from mlinfra.providers import base

    return base.serve(lambda: load()(unfinished), THREADS, creates)


def load() -> Any:
    """The provider's class. Loading it takes 0.1 s, botocore most of it."""
    from mlinfra.providers.aws.provider import AwsProvider

    return AwsProvider


def prepare() -> None:
    """Load the provider, and have botocore read what it reads for a first client, before the engine waits for it."""
    load()
    from mlinfra.providers.aws.session import prepare

    prepare()
