"""What bounds the pods of a namespace, or of a queue, whatever the machines have: quotas.

Sources: Kubernetes, "Resource Quotas"; Kueue, "Cluster Queue" and "Local Queue".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from mlinfra.checks.access.symbols import Symbols, at
from mlinfra.checks.capacity.amounts import CPU, MEMORY, PODS, Amounts, UnreadableError, added, amounts, bare, times
from mlinfra.checks.capacity.choosing import expressed
from mlinfra.checks.capacity.neighbours import Pod
from mlinfra.checks.capacity.requests import Part, listed
from mlinfra.checks.capacity.workloads import Group, Use, Workload, Workloads
from mlinfra.graph import Node

QUOTA: Final = "kubernetes:core/v1:ResourceQuota"
_KUEUE: Final = "kubernetes:kueue.x-k8s.io/"


class Limit(NamedTuple):
    """A quota: how much of what it allows, and to which workloads.

    `hard` is in the quota's own words: `requests.cpu`, `limits.memory`, `pods`. `queue` names the local queue whose
    jobs it is for, empty for all pods of the namespace. `scopes` say for which of the namespace's pods it is.
    """

    node: Node
    kind: str
    namespace: str
    hard: Amounts
    queue: str = ""
    scopes: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Its node."""
        return self.node.name

    def concerns(self, workload: Workload) -> bool:
        """Whether a workload's pods count against it, as far as namespace and queue go."""
        if workload.namespace != self.namespace:
            return False
        if self.queue:
            return workload.queue == self.queue
        return workload.node.options.provider == self.node.options.provider

    def charge(self, group: Group, count: int = 1) -> dict[str, int]:
        """What a number of pods of one kind come to, in the quota's words."""
        one = self._one if all(_in_scope(item, group.pod) for item in self.scopes) else _nothing
        return {key: one(key, group) * count for key in self.hard}

    def of(self, workload: Workload, *, most: bool = False) -> dict[str, int]:
        """What all pods of a workload, or of one run of a job, come to."""
        return added(*(self.charge(group, group.most if most else group.fewest) for group in workload.groups))

    def always(self, workloads: Iterable[Workload], *, most: bool = False) -> dict[str, int]:
        """What is always there comes to. What is on every machine counts with one pod: how many machines is open."""
        there = [item for item in workloads if item.use is not Use.RUN and self.concerns(item)]
        return added(times(self.hard, 0), *(self.of(item, most=most) for item in there))

    def _one(self, key: str, group: Group) -> int:
        if bare(key) == PODS:
            return 1
        part = group.limits if key.startswith("limits.") else group.pod.requests
        return part.get(bare(key), 0)

    @property
    def wants(self) -> list[tuple[str, Part]]:
        """The amounts that every container has to name, since the quota counts them; and as which: request or limit."""
        if self.queue or self.scopes:
            return []
        parts: list[tuple[str, Part]] = [
            (bare(key), "limits" if key.startswith("limits.") else "requests") for key in self.hard
        ]
        return [item for item in parts if item[0] in (CPU, MEMORY)]


def limits(workloads: Workloads) -> tuple[list[Limit], list[str]]:
    """The quotas of a graph, and notes on those that are not counted."""
    symbols = workloads.symbols
    found: list[Limit] = []
    notes: list[str] = []
    for node in symbols.of_type(QUOTA):
        spec = symbols.input(node, "spec")
        try:
            hard = {key: count for key, count in amounts(at(spec, "hard")).items() if _counted(key)}
        except UnreadableError as error:
            notes.append(f"{node.name} is not counted: {error}")
            continue
        scopes = ({"scopeName": name, "operator": "Exists"} for name in listed(spec, "scopes"))
        chosen = (item for item in listed(at(spec, "scopeSelector"), "matchExpressions") if isinstance(item, Mapping))
        found.append(Limit(node, "ResourceQuota", workloads.namespace(node), hard, scopes=(*scopes, *chosen)))
    found += _queues(symbols, workloads)
    return found, notes


def _nothing(key: str, group: Group) -> int:  # noqa: ARG001 — in the place of what a pod comes to
    return 0


def _in_scope(scope: Mapping[str, Any], pod: Pod) -> bool:
    """Whether a pod is of those that a scope of a quota is for."""
    match scope.get("scopeName"):
        case "Terminating":
            return pod.spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return pod.spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return not any(count for key, count in pod.requests.items() if key != PODS)
        case "NotBestEffort":
            return any(count for key, count in pod.requests.items() if key != PODS)
        case "PriorityClass":
            name = pod.spec.get("priorityClassName")
            return expressed({"key": "class", **scope}, {"class": str(name)} if name else {})
    return False  # of pods that look for others across namespaces, of which none is counted here


def _counted(key: str) -> bool:
    """Whether a quota's entry is about what pods ask for, and not about objects, storage or disk."""
    if key.startswith("count/"):
        return key == "count/pods"
    if key.startswith(("requests.", "limits.")):
        return bare(key) not in ("storage", "ephemeral-storage")
    return key in (CPU, MEMORY, PODS)


def _queues(symbols: Symbols, workloads: Workloads) -> Iterator[Limit]:
    """Each local queue with what its cluster queue has of its own; one that may borrow from others has no limit."""
    nodes = [node for node in symbols.graph if node.type.startswith(_KUEUE)]
    nominal = {}
    for node in nodes:
        spec = symbols.input(node, "spec")
        alone = not (at(spec, "cohort") or at(spec, "cohortName"))
        if node.type.endswith(":ClusterQueue") and alone:
            nominal[symbols.text(at(node.inputs, "metadata", "name"))] = _nominal(spec)
    for node in nodes:
        if node.type.endswith(":LocalQueue"):
            hard = nominal.get(str(at(symbols.input(node, "spec"), "clusterQueue")))
            name = symbols.text(at(node.inputs, "metadata", "name"))
            if hard:
                yield Limit(node, "LocalQueue", workloads.namespace(node), hard, queue=name)


def _nominal(spec: Any) -> dict[str, int]:
    """The sum of a cluster queue's nominal quotas over its flavors."""
    total: dict[str, int] = {}
    for group in listed(spec, "resourceGroups"):
        for flavor in listed(group, "flavors"):
            for item in listed(flavor, "resources"):
                if isinstance(item, Mapping):
                    try:
                        total = added(total, amounts({str(item.get("name")): item.get("nominalQuota")}))
                    except UnreadableError:
                        return {}
    return total
