"""Everything in a graph that makes pods, and what its pods ask for: nodes of Kubernetes' own kinds, and of KubeRay.

A component is not asked: whatever puts a Deployment or a Job into the graph is counted, `Raw` ones too. Sources:
Kubernetes, "Workloads"; KubeRay, "RayJob Quickstart" and its API reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from mlinfra.checks.access.symbols import Symbols, at
from mlinfra.checks.capacity import ray
from mlinfra.checks.capacity.amounts import PODS, UnreadableError
from mlinfra.checks.capacity.neighbours import JOB_NAME, Pod
from mlinfra.checks.capacity.requests import Defaults, asked, listed, mapped
from mlinfra.graph import Graph, Kind, Node

_APPS: Final = "kubernetes:apps/v1:"
_CORE: Final = "kubernetes:core/v1:"
_BATCH: Final = "kubernetes:batch/v1:"
CRON_JOB: Final = f"{_BATCH}CronJob"
JOB: Final = f"{_BATCH}Job"
DAEMON_SET: Final = f"{_APPS}DaemonSet"
CONFIG: Final = f"{_CORE}ConfigMap"
LIMITS: Final = f"{_CORE}LimitRange"
AUTOSCALERS: Final = tuple(f"kubernetes:autoscaling/v{version}:HorizontalPodAutoscaler" for version in (2, 1))
_REPLICATED: Final = (
    *(f"{_APPS}{kind}" for kind in ("Deployment", "StatefulSet", "ReplicaSet")),
    f"{_CORE}ReplicationController",
    "kubernetes:argoproj.io/v1alpha1:Rollout",
)
_SINGLE: Final = (f"{_CORE}Pod", f"{_CORE}PodTemplate")
TOKENS: Final = frozenset({*_REPLICATED, *_SINGLE, DAEMON_SET, JOB, CRON_JOB, CONFIG, *ray.TOKENS})
"""The types of nodes that may be workloads."""

_QUEUE: Final = "kueue.x-k8s.io/queue-name"


class Use(StrEnum):
    """When pods are there: always, on every machine, or while a run goes on."""

    ALWAYS = "always"
    EACH = "each machine"
    RUN = "run"


class Group(NamedTuple):
    """Pods of one kind within a workload: all of them, or the head and the workers of a Ray cluster.

    `fewest` and `most` are how many there are at once; `limits` is what one is limited to.
    """

    pod: Pod
    fewest: int
    most: int
    limits: Mapping[str, int]
    role: str = ""


class Workload(NamedTuple):
    """Something that makes pods.

    `together` says that a run's pods need each other: fewer than all of them do nothing. `hours` bounds a run, None
    where nothing does. `queue` is the queue that Kueue takes it from. `problem` says what could not be read.
    """

    node: Node
    kind: str
    use: Use
    namespace: str
    groups: tuple[Group, ...] = ()
    together: bool = False
    hours: float | None = None
    queue: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        """Its node."""
        return self.node.name

    def total(self, *, most: bool) -> int:
        """How many pods there are at once."""
        return sum(group.most if most else group.fewest for group in self.groups)


class Workloads:
    """The workloads of a graph, read once."""

    def __init__(self, graph: Graph, symbols: Symbols | None = None) -> None:
        self.symbols = symbols or Symbols(graph)
        self._ranges: dict[tuple[str, str], list[Any]] = {}
        for node in self.symbols.of_type(LIMITS):
            self._ranges.setdefault(self._place(node), []).append(self.symbols.input(node, "spec"))
        self._scalers = {(*self._place(node), *self._target(node)): node for node in self.symbols.of_type(*AUTOSCALERS)}
        self.found = [item for node in graph if node.type in TOKENS for item in self._read(node)]

    def namespace(self, node: Node) -> str:
        """The namespace that an object is in."""
        return self.symbols.text(at(node.inputs, "metadata", "namespace")) or "default"

    def defaults(self, node: Node) -> Defaults:
        """What containers ask for that say nothing, in the namespace of a node. Raises `UnreadableError`."""
        return Defaults.of(self._ranges.get(self._place(node), ()))

    def unseen(self, graph: Graph) -> list[str]:
        """Notes on what may make pods that nobody here knows of."""
        return [note for node in graph if node.kind is Kind.RESOURCE and (note := _unseen(node))]

    # ------------------------------------------------------------------------------------ reading

    def _read(self, node: Node) -> Iterator[Workload]:
        kind = node.type.rpartition(":")[2]
        made = Workload(node, kind, Use.ALWAYS, self.namespace(node))
        try:
            if node.type in _REPLICATED:
                yield self._replicated(made)
            elif node.type in _SINGLE:
                yield self._single(made)
            elif node.type == DAEMON_SET:
                group = self._group(made, self.symbols.input(node, "spec", "template"), 1, 1)
                yield made._replace(use=Use.EACH, groups=(group,))
            elif node.type in (JOB, CRON_JOB):
                yield self._job(made)
            elif (manifest := ray.manifest(self.symbols, node)) is not None:
                yield self._ray(made, manifest)
        except UnreadableError as error:
            yield made._replace(problem=str(error))

    def _group(self, workload: Workload, template: Any, fewest: int, most: int, role: str = "") -> Group:
        spec = mapped(template, "spec")
        known = {str(key): str(value) for key, value in mapped(template, "metadata", "labels").items()}
        defaults = self.defaults(workload.node)
        requests = {**asked(spec, "requests", defaults), PODS: 1}
        name = f"{workload.node.name} {role}".strip()
        made = Pod(name, workload.namespace, known, spec, requests)
        return Group(made, fewest, most, asked(spec, "limits", defaults), role)

    def _replicated(self, workload: Workload) -> Workload:
        node = workload.node
        name = self.symbols.text(at(node.inputs, "metadata", "name"))
        scaler = self._scalers.get((*self._place(node), workload.kind, name))
        fewest = most = _count(self.symbols.input(node, "spec", "replicas"), 1)
        if scaler is not None:
            fewest = _count(self.symbols.input(scaler, "spec", "minReplicas"), 1)
            most = max(fewest, _count(self.symbols.input(scaler, "spec", "maxReplicas"), fewest))
        group = self._group(workload, self.symbols.input(node, "spec", "template"), fewest, most)
        return workload._replace(groups=(group,))

    def _place(self, node: Node) -> tuple[str, str]:
        """The cluster and the namespace that an object is in."""
        return node.options.provider or "", self.namespace(node)

    def _target(self, scaler: Node) -> tuple[str, str]:
        target = self.symbols.input(scaler, "spec", "scaleTargetRef")
        return str(at(target, "kind")), str(at(target, "name"))

    def _single(self, workload: Workload) -> Workload:
        node = workload.node
        if workload.kind == "Pod":
            template = {"spec": self.symbols.input(node, "spec"), "metadata": self.symbols.input(node, "metadata")}
            return workload._replace(groups=(self._group(workload, template, 1, 1),))
        template = self.symbols.input(node, "template")
        group = self._group(workload, template, 1, 1)
        return workload._replace(use=Use.RUN, groups=(group,), hours=_hours(at(template, "spec")))

    def _job(self, workload: Workload) -> Workload:
        node = workload.node
        path = ("spec", "jobTemplate") if workload.kind == "CronJob" else ()
        spec = self.symbols.input(node, *path, "spec")
        labels = self.symbols.input(node, *path, "metadata", "labels")
        completions = at(spec, "completions")
        pods = _count(at(spec, "parallelism"), 1)
        if completions is not None:
            pods = min(pods, _count(completions, pods))
        template = _named(at(spec, "template"), node.name)
        # Ranks that find each other by a service of their own need each other; the parts of a sweep do not.
        together = pods > 1 and at(spec, "completionMode") == "Indexed" and bool(at(template, "spec", "subdomain"))
        hours = _hours(spec)
        if hours is None and completions is None:
            hours = _hours(at(template, "spec"))
        return workload._replace(
            use=Use.RUN,
            groups=(self._group(workload, template, pods, pods),),
            together=together,
            hours=hours,
            queue=str(at(labels, _QUEUE) or ""),
        )

    def _ray(self, workload: Workload, manifest: Mapping[str, Any]) -> Workload:
        kind = str(manifest.get("kind"))
        job = kind == "RayJob"
        return workload._replace(
            kind=kind,
            use=Use.RUN if job else Use.ALWAYS,
            groups=tuple(self._group(workload, *item) for item in ray.groups(manifest)),
            together=job,
            hours=_hours(manifest.get("spec")),
            queue=str(at(manifest, "metadata", "labels", _QUEUE) or ""),
        )


def _named(template: Any, run: str) -> Any:
    """A job's template with the label that tells its runs apart, which Kubernetes gives to pods."""
    labels = {**mapped(template, "metadata", "labels"), JOB_NAME: run}
    return {**mapped(template), "metadata": {**mapped(template, "metadata"), "labels": labels}}


def _count(value: Any, default: int) -> int:
    """A number of pods; Pulumi's values may have it as a float."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UnreadableError(f"{value!r} is no number of pods")
    return int(value)


def _hours(spec: Any) -> float | None:
    seconds = at(spec, "activeDeadlineSeconds")
    return seconds / 3600 if isinstance(seconds, int | float) else None


def _unseen(node: Node) -> str:
    """Why the pods of a node are not counted, where it may make some."""
    package, _, rest = node.type.partition(":")
    group, _, kind = rest.partition("/")
    if package != "kubernetes" or node.type in TOKENS:
        return ""
    if group in ("helm.sh", "kustomize", "yaml") or "helm.sh/" in node.type:
        return f"{node.name}: what a {kind.rpartition(':')[2]} makes is not in the graph, so its pods are not counted"
    if node.type.rpartition(":")[2] != "CustomResourceDefinition" and _has_containers(node.inputs):
        return f"{node.name}: the pods that a controller makes of a {kind.rpartition(':')[2]} are not counted"
    return ""


def _has_containers(value: Any) -> bool:
    if isinstance(value, Mapping):
        containers = listed(value, "containers")
        if any(isinstance(item, Mapping) and "image" in item for item in containers):
            return True
        return any(_has_containers(item) for item in value.values())
    return isinstance(value, list) and any(_has_containers(item) for item in value)
