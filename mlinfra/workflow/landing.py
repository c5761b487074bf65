"""A compiled stack meets its target: tools at hand, the local target running, providers serving, the state open."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Collection, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.engine.begun import Begun
from mlinfra.engine.registration import Program
from mlinfra.engine.repair import Repaired, repair, resolved
from mlinfra.engine.run import Verb
from mlinfra.engine.session import Session
from mlinfra.expansion import AWS, KUBERNETES
from mlinfra.project import Project
from mlinfra.report import Note
from mlinfra.stack import AwsTarget, KubeconfigTarget, LocalTarget
from mlinfra.tools.install import ensure
from mlinfra.tools.table import USUAL
from mlinfra.wire.protocol import plugin_pb2
from mlinfra.workflow.compile import Compiled
from mlinfra.workflow.cut_off import forgotten, left_behind, undecided
from mlinfra.workflow.loss import guarded
from mlinfra.workflow.request import Request

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


@contextmanager
def land(request: Request, compiled: Compiled, session: Session) -> Iterator[Landed]:
    """Everything that a run needs beside the state, for as long as the block lasts."""
    with ExitStack() as stack:
        target = compiled.stack.file.target
        versions = {package: importlib.metadata.version(name) for package, name in PACKAGES.items()}
        used = {node.type.partition(":")[0] for node in compiled.graph} & set(PACKAGES)
        attached: dict[str, int] = {}
        inputs: dict[str, Mapping[str, Any]] = {}
        identity: dict[str, str] = {}
        unfinished: dict[str, Set[str]] = {}  # the providers are served before the state can be looked at
        if isinstance(target, LocalTarget):
            attached, inputs, identity = _land_locally(request, compiled, target, unfinished, session.begun, stack)
        elif isinstance(target, KubeconfigTarget):
            attached, inputs = _land_on_cluster(request.project, target, session.begun, stack)
        else:
            inputs = {AWS: {"allowedAccountIds": [target.account]}}
        session = replace(session, attached=attached, cloud=session.cloud or isinstance(target, AwsTarget))
        told = session.running.end_left_over()
        session.open()
        cut_off = repair(session)
        if problems := undecided(session, cut_off.unfinished, attached):
            raise MlinfraError(*cut_off.told, *problems)
        unfinished |= cut_off.unfinished
        known = session.resources()
        lost = _lost(request, identity) if identity and known else ()
        packages = [_plugin(package, versions[package]) for package in sorted(used - set(attached))]
        told += [*cut_off.told, *left_behind(compiled.graph, session, cut_off.unfinished)]
        program = Program(guarded(compiled.graph, compiled.stack), inputs, versions, params=compiled.params)
        landed = Landed(session, program, packages, known, lost, identity, told, cut_off)
        if not known:
            landed.remember()  # there is nothing to lose yet: what this run makes is made here, however it ends
        _load(attached)
        yield landed


def _load(attached: Collection[str]) -> None:
    """Load the attached providers while the engine starts, which takes it longer: 0.3 s less in each run."""
    from mlinfra.providers import aws, kubernetes

    loads = {"aws": aws.load, "kubernetes": kubernetes.load}
    for name in attached:
        Thread(target=loads[name], name=f"load-{name}").start()


def _plugin(package: str, version: str) -> Any:
    """An official plugin for the engine to download, from the mirror that `MLINFRA_PLUGIN_SERVER` names if any."""
    server = os.environ.get(PLUGIN_SERVER, "")
    return plugin_pb2.PackageDependency(name=package, kind="resource", version=f"v{version}", server=server)


def _land_locally(
    request: Request,
    compiled: Compiled,
    target: LocalTarget,
    unfinished: Mapping[str, Set[str]],
    begun: Begun,
    stack: ExitStack,
) -> tuple[dict[str, int], dict[str, Mapping[str, Any]], dict[str, str]]:
    from mlinfra.providers import aws, kubernetes
    from mlinfra.providers.aws.configuration import local_inputs
    from mlinfra.workflow.local import bring_up

    access = bring_up(request, compiled.stack, compiled.graph)
    attached = {}
    if target.provider == "embedded":
        attached = {
            "aws": stack.enter_context(aws.serve(unfinished, begun)).port,
            "kubernetes": stack.enter_context(kubernetes.serve(creates=begun, local=access.kubeconfig)).port,
        }
    inputs: dict[str, Mapping[str, Any]] = {
        AWS: {
            **local_inputs(access.aws_endpoint, target.region),
            "accessKey": access.access_key,
            "secretKey": access.secret_key,
        },
        KUBERNETES: {"kubeconfig": str(access.kubeconfig)},
    }
    return attached, inputs, {"AWS (moto)": access.moto_instance, "the local cluster": access.cluster_instance}


def _land_on_cluster(
    project: Project, target: KubeconfigTarget, begun: Begun, stack: ExitStack
) -> tuple[dict[str, int], dict[str, Mapping[str, Any]]]:
    inputs: dict[str, Any] = {"kubeconfig": str(target.file(project.root))}
    if target.context:
        inputs["context"] = target.context
    attached = {}
    if target.provider == "embedded":
        from mlinfra.providers import kubernetes

        attached = {"kubernetes": stack.enter_context(kubernetes.serve(creates=begun)).port}
    return attached, {KUBERNETES: inputs}


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
