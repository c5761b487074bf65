"""A compiled stack meets its target: tools at hand, the local target running, providers serving, the state open."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.engine.attached import Attached
from mlinfra.engine.registration import Program
from mlinfra.engine.repair import Repaired, repair, resolved
from mlinfra.engine.session import Session
from mlinfra.engine.verb import Verb
from mlinfra.expansion import AWS, KUBERNETES
from mlinfra.project import Project
from mlinfra.report import Note
from mlinfra.stack import AwsTarget, KubeconfigTarget, LocalTarget, Stack
from mlinfra.tools.install import ensure
from mlinfra.tools.table import USUAL
from mlinfra.wire.protocol import plugin_pb2
from mlinfra.workflow.compile import Compiled
from mlinfra.workflow.cut_off import forgotten, left_behind, undecided
from mlinfra.workflow.loss import guarded
from mlinfra.workflow.request import Request

if TYPE_CHECKING:
    from mlinfra.local.target import LocalAccess

PACKAGES = {"aws": "pulumi-aws", "kubernetes": "pulumi-kubernetes"}
"""The provider packages that components use, and the distributions whose versions they are taken at."""

PLUGIN_SERVER = "MLINFRA_PLUGIN_SERVER"
"""A mirror of the official plugins' archives, for networks that cannot reach Pulumi's own server."""


@dataclass
class Landed:
    """A stack on its target, ready to run.

    `resources` are the real ones in the state, before the run. `lost` names what of the target was made anew since the
    last run and has forgotten what the state remembers; `repaired` says what had to be mended after a run that was cut
    off, `cut_off` what that run has left to do.
    """

    session: Session
    program: Program
    packages: list[Any] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    lost: tuple[str, ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    repaired: list[Diagnostic] = field(default_factory=list)
    cut_off: Repaired = field(default_factory=Repaired)
    providers: Attached | None = None

    @property
    def stale(self) -> bool:
        """Whether the state may be wrong about what is there, so that everything is to be read first."""
        return bool(self.lost or self.cut_off.stale)

    def resolve(self, verb: Verb) -> None:
        """After a run that succeeded: what had been cut off before is as that run has left it."""
        if verb is Verb.PREVIEW or self.cut_off == Repaired():
            return
        unfinished = self.cut_off.unfinished
        resolved(self.session, unfinished if verb is Verb.REFRESH else forgotten(self.program.graph, unfinished))

    def remember(self) -> None:
        """Note what the target is now, so that the next run sees when it was made anew."""
        if self.identity:
            _memory(self.session.project, self.session.stack).write_text(json.dumps(dict(self.identity)))


def tools(request: Request, compiled: Compiled) -> Path:
    """The engine's program. All that is missing is got at once, so that what it takes is told before it begins."""
    local = isinstance(compiled.stack.file.target, LocalTarget)
    return ensure(USUAL if local else ["pulumi"], request.emit)["pulumi"]


def embedded(stack: Stack) -> tuple[str, ...]:
    """The packages whose embedded providers work on a stack's target."""
    target = stack.file.target
    if isinstance(target, AwsTarget) or target.provider != "embedded":
        return ()
    return tuple(PACKAGES) if isinstance(target, LocalTarget) else ("kubernetes",)


@contextmanager
def land(request: Request, compiled: Compiled, session: Session, providers: Attached | None) -> Iterator[Landed]:
    """Everything that a run needs beside the state, for as long as the block lasts; `providers` if any are embedded."""
    target = compiled.stack.file.target
    versions = {package: importlib.metadata.version(name) for package, name in PACKAGES.items()}
    used = {node.type.partition(":")[0] for node in compiled.graph} & set(PACKAGES)
    kubeconfig: Path | None = None
    inputs: dict[str, Mapping[str, Any]] = {}
    identity: dict[str, str] = {}
    if isinstance(target, LocalTarget):
        from mlinfra.workflow.local import bring_up

        access = bring_up(request, compiled.stack, compiled.graph)
        inputs, kubeconfig = _local_inputs(access, target), access.kubeconfig
        identity = {"AWS (moto)": access.moto_instance, "the local cluster": access.cluster_instance}
    elif isinstance(target, KubeconfigTarget):
        inputs = {KUBERNETES: _cluster_inputs(request.project, target)}
    else:
        inputs = {AWS: {"allowedAccountIds": [target.account]}}
    ports = providers.serve(session.begun.path, kubeconfig) if providers else {}
    session = replace(session, attached=ports, cloud=session.cloud or isinstance(target, AwsTarget))
    told = session.running.end_left_over()
    session.open()
    cut_off = repair(session)
    if problems := undecided(session, cut_off.unfinished, ports):
        raise MlinfraError(*cut_off.told, *problems)
    if providers:
        providers.look_for(cut_off.unfinished)
    known = session.resources()
    lost = _lost(request, identity) if identity and known else ()
    packages = [_plugin(package, versions[package]) for package in sorted(used - set(ports))]
    told += [*cut_off.told, *left_behind(compiled.graph, session, cut_off.unfinished)]
    program = Program(guarded(compiled.graph, compiled.stack), inputs, versions, params=compiled.params)
    landed = Landed(session, program, packages, known, lost, identity, told, cut_off, providers)
    if not known:
        landed.remember()  # there is nothing to lose yet: what this run makes is made here, however it ends
    with session.running.process(providers.pid) if providers else nullcontext():
        yield landed


def _plugin(package: str, version: str) -> Any:
    """An official plugin for the engine to download, from the mirror that `MLINFRA_PLUGIN_SERVER` names if any."""
    server = os.environ.get(PLUGIN_SERVER, "")
    return plugin_pb2.PackageDependency(name=package, kind="resource", version=f"v{version}", server=server)


def _local_inputs(access: LocalAccess, target: LocalTarget) -> dict[str, Mapping[str, Any]]:
    from mlinfra.providers.aws.configuration import local_inputs

    keys = {"accessKey": access.access_key, "secretKey": access.secret_key}
    return {
        AWS: {**local_inputs(access.aws_endpoint, target.region), **keys},
        KUBERNETES: {"kubeconfig": str(access.kubeconfig)},
    }


def _cluster_inputs(project: Project, target: KubeconfigTarget) -> dict[str, Any]:
    context = {"context": target.context} if target.context else {}
    return {"kubeconfig": str(target.file(project.root)), **context}


def _memory(project: Project, name: str) -> Path:
    return project.folder("targets") / f"{name}.json"


def _lost(request: Request, identity: Mapping[str, str]) -> tuple[str, ...]:
    """What of the target is another one than at the last run."""
    path = _memory(request.project, request.state_name)
    if not path.exists():
        return ()
    before = json.loads(path.read_text())
    lost = tuple(name for name, now in identity.items() if before.get(name, now) != now)
    if lost:
        request.emit(
            Note(
                Diagnostic(
                    f"{' and '.join(lost)} was started anew since the last run and has lost what it held",
                    detail="Everything is read again, and what is gone is made again.",
                    code="target-lost",
                    severity=Severity.WARNING,
                )
            )
        )
    return lost
