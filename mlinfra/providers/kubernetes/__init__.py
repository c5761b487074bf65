"""The embedded Kubernetes provider: Pulumi's ResourceProvider protocol on server-side apply, for any kind.

From the top down, each module using those below it:

======================================== =============================================================
`provider`                               the protocol; `serve`
`checking`, `diffing`, `applying`,       what each method does, on plain values
`reading`, `deleting`
`awaiting`                               waiting for one object, with progress and an end
`session`, `ownership`, `drift`          an instance's cluster; whose an object is; what has changed
`readiness`, `pods`, `waitfor`           when an object is ready, and why it is not
`rules`, `scope`, `secrets`, `objects`   what is known of kinds; the shapes of inputs and state
`watch`                                  one list and watch for all who wait
`client`, `discovery`                    a cluster: `Cluster`, useful by itself
`transport`, `kubeconfig`, `credentials` HTTP and signing in
`errors`                                 refusals as diagnostics
======================================== =============================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from mlinfra.providers.base import Creates
    from mlinfra.wire.server import Server

THREADS: Final = 256
"""Calls at a time: more than the engine's `--parallel`, since a call that waits for an object holds a thread."""


def serve(threads: int = THREADS, creates: Creates | None = None, local: Path | None = None) -> Server:
    """Serve the provider in this process, on a free loopback port, to engines that are told of it.

    That is `PULUMI_DEBUG_PROVIDERS=kubernetes:PORT`. `threads` bounds the calls answered at a time; `creates` is told
    of every creation. `local` is the kubeconfig of the local target's cluster, which stands in for every EKS cluster
    there, so that no program is run to sign in. The provider itself is loaded by the first call; `load` does so before.
    """
    from mlinfra.providers import base

    return base.serve(lambda: load()(local), threads, creates)


def load() -> Any:
    """The provider's class."""
    from mlinfra.providers.kubernetes.provider import Provider

    return Provider
