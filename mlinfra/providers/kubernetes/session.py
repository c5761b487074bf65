"""What one provider instance works with: its cluster, what it knows of the program, and its line to the engine."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import grpc

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.kubernetes.client import Applied, Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.scope import Scopes
from mlinfra.providers.kubernetes.watch import Watches
from mlinfra.wire.protocol import engine_pb2, engine_pb2_grpc
from mlinfra.wire.server import channel

_LOG_SECONDS: Final = 5.0
_UNAUTHORIZED: Final = 401


class Session:
    """One provider instance. Without a cluster (its kubeconfig is not known yet) only previews can be had.

    `local` is the kubeconfig of the local target's cluster, on that target.
    """

    def __init__(self, local: Path | None = None) -> None:
        self._local = local
        self.cluster: Cluster | None = None
        self.watches: Watches | None = None
        self.namespace: Any = "default"
        self.scopes = Scopes()
        self.cancelled = threading.Event()
        self.replacing: set[str] = set()
        """URNs of objects whose replacement keeps the name, so that a preview meets the old one."""
        self._dry_runs: dict[str, tuple[Object, Applied]] = {}
        self._engine: Any = None

    def connect(self, kubeconfig: str, context: str | None, namespace: Any) -> None:
        """Take a cluster. `namespace` overrides the one that the kubeconfig names.

        Raises `MlinfraError` for one that cannot be reached, or that does not take the credentials: told here, it is
        told once, and not by each resource.
        """
        self.close()
        cluster = Cluster.from_kubeconfig(kubeconfig, context, local=self._local)
        try:
            cluster.request("GET", "/version")
        except ApiError as error:
            if error.status == _UNAUTHORIZED:
                raise
        self.cluster, self.watches = cluster, Watches(cluster)
        self.namespace = cluster.namespace if namespace in (None, "") else namespace

    def close(self) -> None:
        """Let go of the cluster."""
        if self.cluster and self.watches:
            self.watches.close()
            self.cluster.close()
        self.cluster = self.watches = None

    def connected(self) -> tuple[Cluster, Watches]:
        """The cluster, for what cannot do without. Raises `MlinfraError` where there is none."""
        if self.cluster is None or self.watches is None:
            raise MlinfraError(
                Diagnostic(
                    "the kubeconfig of this Kubernetes provider is not known",
                    remedy="Make what it comes from first.",
                    code="kubernetes-no-cluster",
                )
            )
        return self.cluster, self.watches

    # A change that Diff has rehearsed is not rehearsed again by the preview of its Update.

    def keep_dry_run(self, urn: str, inputs: Object, result: Applied) -> None:
        """Remember the server's answer to a dry run."""
        self._dry_runs[urn] = (inputs, result)

    def take_dry_run(self, urn: str, inputs: Object) -> Applied | None:
        """The answer to a dry run of the same inputs, once."""
        kept = self._dry_runs.pop(urn, None)
        return kept[1] if kept and kept[0] == inputs else None

    def attach(self, address: str) -> None:
        """The engine listens here for messages."""
        if address:
            self._engine = engine_pb2_grpc.EngineStub(channel(address))

    def status(self, urn: str, message: str) -> None:
        """Show a line of progress at a resource; it is not kept."""
        if self._engine is None:
            return
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True)
        try:
            self._engine.Log(request, timeout=_LOG_SECONDS)
        except grpc.RpcError:  # progress that nobody sees is no reason to fail
            return
