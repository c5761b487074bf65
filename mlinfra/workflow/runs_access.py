"""The training jobs of a stack, and the cluster that each of them is in."""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mlinfra.checks.schema.problems import a
from mlinfra.components.job_template import TEMPLATE, TEMPLATE_LABEL
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.graph import Graph, Kind, Node, Ref
from mlinfra.naming import name_of
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.objects import label, lookup
from mlinfra.report import Note
from mlinfra.stack import AwsTarget, KubeconfigTarget, LocalTarget
from mlinfra.workflow.compile import Compiled
from mlinfra.workflow.local import environment as local_environment
from mlinfra.workflow.places import reading_state
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import compile_kept

CRON_JOB: Final = "kubernetes:batch/v1:CronJob"
CONFIG_MAP: Final = "kubernetes:core/v1:ConfigMap"


@dataclass(frozen=True, slots=True)
class Job:
    """A training job of a stack, as the blueprint declares it.

    `identity` is what its objects in the cluster are called after; `template` the name of the one that runs are made
    from, a `CronJob`, or a ConfigMap where `ray`. `node` is the template's node in the graph.
    """

    name: str
    identity: str
    namespace: str
    template: str
    node: str
    ray: bool = False


class InCluster(Protocol):
    """Something in a cluster that a node of the graph declares."""

    @property
    def node(self) -> str:
        """The node's name."""


@dataclass
class Reached:
    """A stack, and the clusters that its objects are in, each reached when it is first asked for."""

    request: Request
    compiled: Compiled
    _clusters: dict[str | None, Cluster] = field(default_factory=dict, kw_only=True)

    @property
    def local(self) -> bool:
        """Whether the stack lands on the local target: KWOK plays machines and kubelets, and no controller runs that a
        cluster does not have by itself."""
        return isinstance(self.compiled.stack.file.target, LocalTarget)

    def cluster(self, item: InCluster) -> Cluster:
        """The cluster that something is in. Raises `MlinfraError` where there is no way to it."""
        provider = self.compiled.graph.nodes[item.node].options.provider
        if provider not in self._clusters:
            self._clusters[provider] = reach(self.request, self.compiled, provider)
        return self._clusters[provider]

    def close(self) -> None:
        """Close the connections."""
        for cluster in self._clusters.values():
            cluster.close()


@dataclass
class Stage(Reached):
    """A stack whose runs somebody asks for, with its jobs by name."""

    jobs: Mapping[str, Job]

    def job(self, name: str) -> Job:
        """A job by the name of its component; raises `MlinfraError` that says which ones there are."""
        if name in self.jobs:
            return self.jobs[name]
        raise _no_job(self.request, self.compiled.graph, self.jobs, name)

    def computes(self, job: Job) -> bool:
        """Whether anything is there that takes up the job's runs: on the local target there is no KubeRay."""
        return not (self.local and job.ray)


@contextmanager
def opened_stage(request: Request) -> Iterator[Stage]:
    """The jobs of a stack, for as long as the block lasts. Nothing is locked: runs are no part of the state."""
    compiled = compile_kept(request, stand_in=True)
    for warning in compiled.warnings:
        if warning.code == "import-not-up":  # a value stands in for what it imports, such as the name of a namespace
            request.emit(Note(warning))
    stage = Stage(request, compiled, {job.name: job for job in jobs_of(compiled.graph)})
    try:
        yield stage
    finally:
        stage.close()


def jobs_of(graph: Graph) -> list[Job]:
    """The jobs of a graph that a run can be made of."""
    return [job for node in graph if (job := _job(graph, node)) is not None]


def _job(graph: Graph, node: Node) -> Job | None:
    if node.kind is not Kind.RESOURCE or node.component is None or node.name != f"{node.component}/{TEMPLATE}":
        return None
    ray = node.type == CONFIG_MAP and bool(label(node.inputs, TEMPLATE_LABEL))
    if node.type != CRON_JOB and not ray:
        return None
    metadata = node.inputs["metadata"]
    return Job(
        name=node.component,
        identity=label(node.inputs, COMPONENT_LABEL),
        namespace=known(graph, metadata.get("namespace")),
        template=metadata["name"],
        node=node.name,
        ray=ray,
    )


def known(graph: Graph, value: Any) -> str:
    """A text of the graph, where it can be known from the graph alone: names of objects are what they are declared."""
    if isinstance(value, Ref) and value.node in graph.nodes:
        value = lookup(graph.nodes[value.node].inputs, *value.path)
        return known(graph, value)
    return value if isinstance(value, str) else "default"


def _no_job(request: Request, graph: Graph, jobs: Mapping[str, Job], name: str) -> MlinfraError:
    node = graph.nodes.get(name)
    kind = node.type.rpartition(":")[2] if node is not None and node.kind is Kind.COMPONENT else ""
    if kind in ("TrainingJob", "BatchInference", "DriftMonitor"):
        return MlinfraError(
            Diagnostic(
                f"job {name} of stack {request.state_name} cannot be run: it has no image yet",
                detail="Without an image there is the job's identity only, and no template that a run is made from.",
                remedy=f"Build its image, give it to the stack as a parameter, then: {request.command('up')}",
                location=graph.source_of(name),
                component=name,
                code="run-no-image",
            )
        )
    close = difflib.get_close_matches(name, jobs, n=1)
    return MlinfraError(
        Diagnostic(
            f"{name} is {a(kind)}, and no training job"
            if kind
            else f"stack {request.state_name} has no training job {name!r}",
            detail=f"Its jobs are {', '.join(sorted(jobs))}." if jobs else "It has none that can be run.",
            remedy=f"Did you mean {close[0]}?" if close else "",
            code="run-job-unknown",
        )
    )


# ------------------------------------------------------------------------------------------------ the cluster


def reach(request: Request, compiled: Compiled, provider: str | None) -> Cluster:
    """The cluster that a provider instance of a stack leads to. Raises `MlinfraError` where there is no way to it."""
    target = compiled.stack.file.target
    match target:
        case LocalTarget():
            return Cluster.from_kubeconfig(local_environment(request)["KUBECONFIG"])
        case KubeconfigTarget():
            return Cluster.from_kubeconfig(target.file(request.project.root), target.context)
        case AwsTarget():
            return Cluster.from_kubeconfig(_of_state(request, compiled, provider))


def _of_state(request: Request, compiled: Compiled, provider: str | None) -> str:
    """The kubeconfig that the last update used, which is in the state with the provider instance that it is given to.

    It holds no credentials: it says that `aws eks get-token` has them.
    """
    with reading_state(request, compiled.stack) as session:
        resources = session.whole() if session else []
    instances = [item for item in resources if item["type"] == "pulumi:providers:kubernetes"]
    found = [lookup(item, "inputs", "kubeconfig") for item in instances if name_of(item["urn"]) == provider]
    if not found or not found[0]:
        raise MlinfraError(
            Diagnostic(
                f"nothing is known yet of the cluster that stack {request.state_name} runs in",
                detail="The state has no Kubernetes provider with a kubeconfig: the stack was not brought up.",
                remedy=f"Bring it up first: {request.command('up')}",
                code="run-no-cluster",
            )
        )
    config = found[0]
    if not isinstance(config, str):
        raise MlinfraError(
            Diagnostic(
                f"the kubeconfig of stack {request.state_name} is kept encrypted in its state",
                detail="A run does not lay open secrets of the state, and there is no other way to the cluster.",
                remedy="Let the kubeconfig be none: one that signs in with a program, as for EKS, holds no secret.",
                code="run-no-cluster",
            )
        )
    _need_login(config)
    return config


def _need_login(config: str) -> None:
    """Raise `MlinfraError` where the program is missing that signs in to the cluster."""
    try:
        users = json.loads(config)["users"]
    except (ValueError, KeyError, TypeError):
        return  # not of our making: the client says what is wrong with it
    for user in users:
        command = lookup(user, "user", "exec", "command")
        if command and shutil.which(command) is None:
            raise MlinfraError(
                Diagnostic(
                    f"the program {command!r}, which signs in to the cluster, is not on PATH",
                    remedy="Install the AWS CLI, version 2: it gives the tokens that EKS takes."
                    if command == "aws"
                    else "Install it, or put its folder on PATH.",
                    code="run-no-login",
                )
            )
