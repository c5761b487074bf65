"""A stack's Kubernetes cluster: etcd, API server, controller manager, scheduler and KWOK, run by `kwokctl`.

kwokctl makes certificates, configuration and kubeconfig, and starts processes. What it does to processes by their bare
number (is it running, kill it) is done here instead, by number and command line; see `processes`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import urllib3
import yaml

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.local import kwokctl, ports
from mlinfra.local.kwokctl import COMPONENTS, PORTS, configuration, tool_of, with_authentication
from mlinfra.processes import command_line, kill, started_from
from mlinfra.providers.kubernetes import kubeconfig
from mlinfra.tools.lock import lock

if TYPE_CHECKING:
    from mlinfra.local.oidc import Issuer

_READY_SECONDS: Final = 60.0
_DEAD_SECONDS: Final = 2.0
_PAUSE: Final = 0.1
_TOKEN_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """A cluster that answers. `instance` is another one after the cluster was made anew, and what it held is lost."""

    kubeconfig: Path
    server: str
    instance: str


class KwokCluster:
    """One cluster. `folder` is kwokctl's, shared by the project's clusters; `tools` gives the paths of `TOOLS`.

    `tell` is called with what is being done, when it takes a while; `warn` with a diagnostic.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        tools: Callable[[], Mapping[str, Path]],
        tell: Callable[[str], None],
        warn: Callable[[Diagnostic], None],
    ) -> None:
        self._folder, self.name = folder, name
        self._tools, self._tell, self._warn = tools, tell, warn
        self._home = folder / "clusters" / name

    @property
    def kubeconfig(self) -> Path:
        """The cluster's own kubeconfig; the user's is never touched."""
        return self._home / "kubeconfig.yaml"

    @property
    def logs(self) -> Path:
        """The folder of the components' logs."""
        return self._home / "logs"

    @property
    def _issuer(self) -> Issuer:
        from mlinfra.local.oidc import Issuer  # what it imports takes a while, and only a start wants it

        return Issuer(self._home)

    def exists(self) -> bool:
        """Whether the cluster was made, running or not."""
        return self.kubeconfig.exists()

    def processes(self) -> dict[str, int | None]:
        """The number of each component's process; None for one that does not run."""
        return {name: self._pid(name) for name in COMPONENTS}

    def ensure(self) -> ClusterInfo:
        """The cluster, running and ready: made, started, mended or made anew as need be."""
        if info := self.info():
            return info
        with lock(self._folder / f"{self.name}.lock", f"starting the cluster {self.name}", self._tell):
            if info := self.info():
                return info
            if self.exists():
                self._tell("starting")
                if info := self._start() or self._restart():
                    return info
                self._give_up()
            return self._create()

    def info(self) -> ClusterInfo | None:
        """The cluster, if every component runs and the API server is ready."""
        if not self.exists() or None in self.processes().values():
            return None
        return self._ask()

    def stop(self) -> None:
        """Stop the cluster; what it holds stays on disk."""
        with lock(self._folder / f"{self.name}.lock", f"stopping the cluster {self.name}", self._tell):
            self._kill()

    def delete(self) -> None:
        """Stop the cluster and delete all it holds."""
        with lock(self._folder / f"{self.name}.lock", f"deleting the cluster {self.name}", self._tell):
            self._remove()

    # ------------------------------------------------------------------------------------------------ making

    def _create(self) -> ClusterInfo:
        self._tell("creating")
        self._remove()
        path = self._folder / f"{self.name}.yaml"
        path.write_text(yaml.safe_dump(configuration(self._tools(), self._issuer.configuration)))
        with self._taking_tokens():
            output = self._kwokctl("create", "--config", str(path), "--kubeconfig=")
            info = self._wait()
            if info:
                self._wait_for_tokens(info)
        # Its ports were free when they were chosen; who else started something in that moment may have one of them.
        if info := info or self._restart():
            return info
        raise self._not_ready(output)

    @contextlib.contextmanager
    def _taking_tokens(self) -> Iterator[None]:
        """Serve what the API server wants to know of people's tokens, while it starts; one that runs knows already."""
        if self._pid("kube-apiserver"):
            yield
            return
        with self._issuer.serving():
            yield

    def _wait_for_tokens(self, info: ClusterInfo) -> None:
        """Wait until the API server takes people's tokens: it asks when it starts, and else each 10 s.

        The cluster works without them, so that it is no more than a warning where they are not taken. One from before
        there were tokens that runs on has no key; whoever asks for a token is told.
        """
        deadline = time.monotonic() + _TOKEN_SECONDS
        with contextlib.suppress(FileNotFoundError):
            token = self._issuer.token("mlinfra", (), seconds=60)
            while not self._takes(info, token):
                if time.monotonic() > deadline:
                    self._warn(self._no_tokens())
                    return
                time.sleep(_PAUSE)

    def _takes(self, info: ClusterInfo, token: str) -> bool:
        try:
            return self._issuer.takes(info.server, token)
        except (urllib3.exceptions.HTTPError, OSError):
            return False

    def _start(self) -> ClusterInfo | None:
        """Start the components that do not run; None where the cluster does not come up by that."""
        new_kwok = self._pid("kwok-controller") is None
        self._forget_dead()
        self._link(self._tools())
        self._move_from_taken_ports()
        with self._taking_tokens():
            self._let_take_tokens()
            self._kwokctl("start")
            info = self._wait()
            if info:
                self._wait_for_tokens(info)
        if info and new_kwok:
            self._hand_over_nodes()
        return info

    def _let_take_tokens(self) -> None:
        """Clusters that were made before people's tokens have no flag for them, which the next start needs."""
        config = self._home / "kwok.yaml"
        text = config.read_text()
        if (whole := with_authentication(text, self._issuer.configuration)) != text:
            config.write_text(whole)

    def _hand_over_nodes(self) -> None:
        """Give the nodes to a KWOK that was started anew.

        It has another name than the one before, whose leases on the nodes it would respect: for 200 s no node would
        become ready, and no pod run. Without leases, KWOK 0.7 does not take up the pods of nodes that it finds. A node
        that is deleted while KWOK starts is one that it never takes again, hence the wait until it has them all.
        """
        kill(pid for pid in [self._pid("kwok-controller")] if pid)
        access = kubeconfig.load(self.kubeconfig)
        with urllib3.PoolManager(ssl_context=access.tls, retries=False, timeout=10.0) as http:
            leases = f"{access.server}/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
            http.request("DELETE", leases)
            self._forget_dead()
            self._kwokctl("start")
            deadline = time.monotonic() + _READY_SECONDS
            while _count(http, leases) < _count(http, f"{access.server}/api/v1/nodes") and time.monotonic() < deadline:
                time.sleep(_PAUSE)

    def _restart(self) -> ClusterInfo | None:
        """Start all components again, those too that run and do not answer."""
        self._kill()
        return self._start()

    def _wait(self) -> ClusterInfo | None:
        """Wait until the cluster is ready. A component that gave up while another came up is started again.

        A component is dead only after a while: between fork and exec a process still has its parent's command line,
        and starting it a second time would leave two of it at one port.
        """
        deadline = time.monotonic() + _READY_SECONDS
        restarts = 3
        seen_whole = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if None not in self.processes().values():
                seen_whole = now
                if info := self._ask(thoroughly=True):
                    return info
            elif now - seen_whole > _DEAD_SECONDS:
                if restarts == 0:
                    return None
                restarts -= 1
                self._forget_dead()
                self._kwokctl("start")
                seen_whole = time.monotonic()
            time.sleep(_PAUSE)
        return None

    def _ask(self, *, thoroughly: bool = False) -> ClusterInfo | None:
        """Ask the API server whether it is ready, and which cluster it is.

        `thoroughly`: and whether the controllers work, by the service account that they make and every pod needs.
        """
        try:
            access = kubeconfig.load(self.kubeconfig)
            with urllib3.PoolManager(ssl_context=access.tls, retries=False, timeout=2.0) as http:
                if http.request("GET", f"{access.server}/readyz").status != 200:
                    return None
                spaces = f"{access.server}/api/v1/namespaces"
                if thoroughly and http.request("GET", f"{spaces}/default/serviceaccounts/default").status != 200:
                    return None
                instance = http.request("GET", f"{spaces}/kube-system").json()["metadata"]["uid"]
        except (urllib3.exceptions.HTTPError, MlinfraError, KeyError, ValueError):
            return None
        return ClusterInfo(self.kubeconfig, access.server, instance)

    # ------------------------------------------------------------------------------------------------ processes

    def _pid_file(self, component: str) -> Path:
        return self._home / "pids" / f"{component}.pid"

    def _pid(self, component: str) -> int | None:
        try:
            pid = int(self._pid_file(component).read_text())
        except (OSError, ValueError):
            return None
        return pid if command_line(pid).startswith(str(self._home / "bin" / component)) else None

    def _forget_dead(self) -> None:
        """Remove the records of processes that do not run: kwokctl would take anyone with such a number for its own."""
        for component, pid in self.processes().items():
            if pid is None:
                self._pid_file(component).unlink(missing_ok=True)

    def _kill(self) -> None:
        # By the path of their programs: kwokctl, when it is interrupted, leaves some without a record. And without
        # asking first: etcd is made to survive it, and the others keep nothing.
        kill(started_from(self._home / "bin"))
        self._forget_dead()

    def _remove(self) -> None:
        self._kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _link(self, tools: Mapping[str, Path]) -> None:
        """Point the cluster at the tools as they are now: the cache may have been deleted, or have newer ones."""
        for component in COMPONENTS:
            link = self._home / "bin" / component
            tool = tools[tool_of(component)]
            if not (link.is_symlink() and link.readlink() == tool):
                link.unlink(missing_ok=True)
                link.symlink_to(tool)

    def _move_from_taken_ports(self) -> None:
        """Where another program has taken a port while the cluster was stopped, give the cluster another."""
        if any(self.processes().values()):
            return
        config = self._home / "kwok.yaml"
        text = config.read_text()
        mine = [int(port) for port in re.findall(rf"^  (?:{'|'.join(PORTS)}): (\d+)$", text, re.MULTILINE)]
        taken = [port for port in mine if not ports.free(port)]
        for old, new in zip(taken, ports.choose(len(taken), but=mine), strict=True):
            for file in (config, self.kubeconfig):
                file.write_text(re.sub(rf"\b{old}\b", str(new), file.read_text()))

    def _kwokctl(self, verb: str, *arguments: str) -> str:
        program = self._tools()["kwokctl"]
        return kwokctl.run(program, self._folder, verb, self.name, *arguments, timeout=_READY_SECONDS)

    # ------------------------------------------------------------------------------------------------ trouble

    def _give_up(self) -> None:
        self._warn(
            Diagnostic(
                f"the local cluster {self.name} could not be started again and is made anew, empty",
                detail=self._words(),
                remedy="Nothing is needed: what the stack had there is made again by the next `up`.",
                code="local-cluster-recreated",
            )
        )

    def _no_tokens(self) -> Diagnostic:
        return Diagnostic(
            f"the local cluster {self.name} takes no tokens of `mlinfra local token`",
            detail=f"All else works. Its API server has not read {self._issuer.configuration}, or not understood it.",
            remedy=f"The logs are in {self.logs}. It is asked again when the cluster is started again.",
            severity=Severity.WARNING,
            code="local-cluster-tokens",
        )

    def _not_ready(self, output: str) -> MlinfraError:
        return MlinfraError(
            Diagnostic(
                f"the local cluster {self.name} did not become ready",
                detail=self._words() or output,
                remedy=f"The logs are in {self.logs}. `mlinfra doctor` checks what the cluster needs.",
                code="local-cluster-not-ready",
            )
        )

    def _words(self) -> str:
        """What the components that do not run said last."""
        said = []
        for component, pid in self.processes().items():
            if pid is None:
                with contextlib.suppress(OSError):
                    lines = (self.logs / f"{component}.log").read_text(errors="replace").splitlines()
                    said.append(f"{component}: {lines[-1] if lines else 'wrote nothing'}")
        return "\n".join(said)


def _count(http: urllib3.PoolManager, collection: str) -> int:
    """How many objects there are of a kind, without fetching them:
    https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
    """
    page = http.request("GET", f"{collection}?limit=1").json()
    return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))
