"""The local target of one stack: an account of the project's moto server, which the stacks of an environment share,
and a Kubernetes cluster of its own.

`up` brings both halves to run, side by side, and the nodes to what the stack declares; it can be called at any time,
and costs a few requests when nothing is to do. The memory of moto is lost when its process ends, the cluster's is kept
on disk: `LocalAccess` names both, and another name means that what was there is gone.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.emit import Emit, silent
from mlinfra.graph import Pool
from mlinfra.local import nodes
from mlinfra.local.accounts import SECRET_KEY, access_key, account_for
from mlinfra.local.cluster import ClusterInfo, KwokCluster
from mlinfra.local.kwokctl import TOOLS
from mlinfra.local.moto import Moto, Server
from mlinfra.project import Project
from mlinfra.providers.kubernetes import kubeconfig
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.report import Note, State, Task
from mlinfra.tools.install import ensure

REGION: Final = "us-east-1"
AWS: Final = "local AWS"
KUBERNETES: Final = "local Kubernetes"
_LOOPBACK: Final = "127.0.0.1,localhost"


@dataclass(frozen=True, slots=True)
class LocalAccess:
    """All that it takes to use a local target.

    `moto_instance` and `cluster_instance` name the memory behind each half: with another name it is empty, and a state
    that was written before is of nothing that is there.
    """

    aws_endpoint: str
    account: str
    region: str
    access_key: str
    secret_key: str
    kubeconfig: Path
    kubernetes_server: str
    moto_instance: str
    cluster_instance: str

    def environment(self) -> dict[str, str]:
        """Environment variables that lead AWS SDKs, the AWS CLI, kubectl and Helm to the target.

        They lead away from the user's own AWS settings, and past a proxy. Source: AWS SDKs and Tools Reference Guide,
        "Environment variables support".
        """
        around = [value for value in (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), _LOOPBACK) if value]
        return {
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            # Files that are not there: DVC ends with an error where it is given the null device.
            "AWS_CONFIG_FILE": str(self.kubeconfig.with_name("aws-config")),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.kubeconfig.with_name("aws-credentials")),
            "AWS_EC2_METADATA_DISABLED": "true",
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.kubeconfig.with_name("kubectl-cache")),  # else it is in the user's ~/.kube
            "NO_PROXY": ",".join(around),
            "no_proxy": ",".join(around),
        }


@dataclass(frozen=True, slots=True)
class LocalStatus:
    """How a local target is, for a person and as JSON.

    `cluster` is `running`, `stopped`, `broken` (some components run, or the API server is not ready) or `absent`;
    `processes` gives each component's process number, or None; `logs` are where to look.
    """

    stack: str
    account: str
    moto_running: bool
    aws_endpoint: str
    moto_instance: str
    cluster: str
    kubernetes_server: str
    kubeconfig: str
    processes: dict[str, int | None]
    nodes: int
    logs: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The status as plain data."""
        return asdict(self)


class LocalTarget:
    """The local target of a stack.

    `region` is the AWS region that it stands in for. `account` is what its AWS account is called, by default as the
    stack: stacks that give the same name share it, and see what the others have made. `blueprint` is what the stack is
    of: EKS clusters of it that are in the account have the stack's Kubernetes cluster for their API server.
    """

    def __init__(
        self,
        project: Project,
        stack: str,
        emit: Emit = silent,
        region: str = REGION,
        account: str = "",
        blueprint: str = "",
    ) -> None:
        self._stack, self._emit, self._region, self._blueprint = stack, emit, region, blueprint
        self._account = account or stack
        self._folder = project.folder("local")
        self._moto = Moto(project.folder("local", "moto"), self._teller(AWS))
        self._began = time.monotonic()
        self._one_at_a_time = threading.Lock()
        self._told: set[str] = set()
        self._cluster = KwokCluster(
            project.folder("local", "kubernetes").resolve(),  # processes are known by their programs' paths
            stack,
            lambda: ensure(TOOLS, emit),
            self._teller(KUBERNETES),
            lambda diagnostic: emit(Note(diagnostic)),
        )

    def up(self, pools: tuple[Pool, ...] = ()) -> LocalAccess:
        """Start what does not run, both halves side by side, and make the nodes that `pools` declare.

        Raises `MlinfraError`.
        """
        self._began = time.monotonic()
        account = account_for(self._folder, self._account)
        with ThreadPoolExecutor(2) as threads:
            kubernetes = threads.submit(self._up_kubernetes, pools)
            server = self._up_moto()
            world = self._moto.world(server, account)
            info = kubernetes.result()
        self._moto.tell_eks(server, account, self._reach(info))
        return self._access(server, account, world, info)

    def access(self) -> LocalAccess | None:
        """How to reach the target as it runs now; None unless both halves do. Starts nothing."""
        server, info = self._moto.running(), self._cluster.info()
        if server is None or info is None:
            return None
        account = account_for(self._folder, self._account)
        return self._access(server, account, self._moto.world(server, account), info)

    def _access(self, server: Server, account: str, world: str, info: ClusterInfo) -> LocalAccess:
        return LocalAccess(
            aws_endpoint=server.endpoint,
            account=account,
            region=self._region,
            access_key=access_key(account),
            secret_key=SECRET_KEY,
            kubeconfig=info.kubeconfig,
            kubernetes_server=info.server,
            moto_instance=world,
            cluster_instance=info.instance,
        )

    def status(self) -> LocalStatus:
        """How the target is. Starts nothing."""
        account = account_for(self._folder, self._account)
        server, world = self._moto.running(), ""
        if server:
            with contextlib.suppress(MlinfraError):  # it runs and does not answer: `up` will replace it
                world = self._moto.world(server, account)
        processes = self._cluster.processes()
        info = self._cluster.info()
        if info:
            state = "running"
        elif any(processes.values()):
            state = "broken"
        else:
            state = "stopped" if self._cluster.exists() else "absent"
        return LocalStatus(
            stack=self._stack,
            account=account,
            moto_running=bool(world),
            aws_endpoint=server.endpoint if server else "",
            moto_instance=world,
            cluster=state,
            kubernetes_server=info.server if info else "",
            kubeconfig=str(self._cluster.kubeconfig) if self._cluster.exists() else "",
            processes=processes,
            nodes=len(_client(info).list("v1", "Node", labels=nodes.POOL)) if info else 0,
            logs=(str(self._moto.log), str(self._cluster.logs)),
        )

    def down(self) -> None:
        """Stop the stack's cluster; what it holds stays on disk.

        Moto runs on, since its memory is the project's and would be lost: `stop_all` stops it too.
        """
        self._cluster.stop()

    def reset(self) -> None:
        """Delete the stack's cluster, and all that moto remembers of the stack's account, whoever made it there."""
        self._cluster.delete()
        self._moto.wipe(account_for(self._folder, self._account))

    def remove_nodes(self) -> None:
        """Delete the stack's nodes, after all else is destroyed; nothing to do where the cluster does not run."""
        if info := self._cluster.info():
            nodes.remove(_client(info))

    def _up_kubernetes(self, pools: tuple[Pool, ...]) -> ClusterInfo:
        info = self._cluster.ensure()
        nodes.reconcile(_client(info), nodes.declared(pools, self._region), self._teller(KUBERNETES))
        self._done(KUBERNETES)
        return info

    def _reach(self, info: ClusterInfo) -> dict[str, str]:
        return {
            "stack": self._stack,
            "blueprint": self._blueprint,
            "server": info.server,
            "authority": kubeconfig.authority(info.kubeconfig),
        }

    def _up_moto(self) -> Server:
        server = self._moto.ensure()
        self._done(AWS)
        return server

    def _teller(self, name: str) -> Callable[[str], None]:
        def tell(detail: str) -> None:
            with self._one_at_a_time:
                state = State.RUNNING if name in self._told else State.STARTED
                self._told.add(name)
                self._emit(Task(name, state, detail, seconds=time.monotonic() - self._began))

        return tell

    def _done(self, name: str) -> None:
        """Tell the end of a task, if there was anything to tell of it."""
        with self._one_at_a_time:
            if name in self._told:
                self._told.discard(name)
                self._emit(Task(name, State.DONE, fraction=1.0, seconds=time.monotonic() - self._began))


def stop_all(project: Project, emit: Emit = silent) -> None:
    """Stop everything of the project's local target: each cluster, which keeps what it holds, and moto, which forgets.

    A `Note` says so if moto was running.
    """
    folder = project.folder("local", "kubernetes")
    for home in sorted((folder / "clusters").glob("*")):
        LocalTarget(project, home.name, emit).down()
    if Moto(project.folder("local", "moto")).stop():
        emit(
            Note(
                Diagnostic(
                    "the local AWS (moto) was stopped, and what it held is lost",
                    remedy="The next `up` of a stack makes its resources again.",
                    code="local-aws-forgotten",
                    severity=Severity.WARNING,
                )
            )
        )


def _client(info: ClusterInfo) -> Cluster:
    return Cluster.from_kubeconfig(info.kubeconfig)
