"""A graph read for capacity: what makes pods, the machines with what is on each of them, and the quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final, NamedTuple

from mlinfra.checks.access.symbols import Symbols
from mlinfra.checks.capacity.amounts import Amounts, less, listed, most
from mlinfra.checks.capacity.limits import Limit, limits
from mlinfra.checks.capacity.machines import Machine, machines, ordered
from mlinfra.checks.capacity.neighbours import Pod
from mlinfra.checks.capacity.placing import Floor, Wanted
from mlinfra.checks.capacity.requests import Defaults
from mlinfra.checks.capacity.system import EKS_CLUSTER, system_pods
from mlinfra.checks.capacity.workloads import Use, Workload, Workloads
from mlinfra.components.node_pool import INSTANCE_TYPE
from mlinfra.environment import LOCAL, Environment
from mlinfra.expansion import DOMAIN
from mlinfra.functions import eks_kubeconfig
from mlinfra.graph import Call, Graph, Kind, Node, Pool

_SAMPLES: Final = 3
"""Machines of a pool that stand for all: one in each zone."""

_BINDING: Final = (INSTANCE_TYPE, f"{DOMAIN}/pool")
"""Labels that bind a pod to machines of known size, in whatever cluster."""


class Setting(NamedTuple):
    """Where a graph lands, as far as capacity goes.

    `whole` says that the pools are all the machines that the cluster has: a pod that fits none of them fits nowhere.
    `existing` says that the cluster is an EKS cluster which is there already, with its own pods on each machine.
    """

    pools: tuple[Pool, ...]
    region: str = ""
    whole: bool = True
    existing: bool = False

    @classmethod
    def of(cls, graph: Graph, environment: Environment) -> Setting:
        """The setting of a graph that was compiled for an environment."""
        makes = any(node.type == EKS_CLUSTER for node in graph.nodes.values())
        leads = any(_leads_to_eks(node) for node in graph.nodes.values() if node.kind is Kind.PROVIDER)
        return cls(graph.pools, environment.region, environment.cluster == LOCAL or makes, leads and not makes)


class Refused(NamedTuple):
    """Why a pod runs on no machine of a pool: it may not (`why`), or there is too little of something (`lacks`)."""

    pool: Pool
    why: str = ""
    lacks: Amounts | None = None

    def __str__(self) -> str:
        """As a line of a message."""
        where = f"pool {self.pool.name} ({self.pool.instance_type})"
        return f"{where}: {self.why or f'{listed(self.lacks or {})} too little'}"


class Ground:
    """A graph in its setting. What is costly is worked out when it is asked for."""

    def __init__(self, graph: Graph, setting: Setting) -> None:
        self.graph, self.setting = graph, setting
        self.symbols = Symbols(graph)
        self._workloads = Workloads(graph, self.symbols)
        self.workloads = self._workloads.found
        self.limits, self._limit_notes = limits(self._workloads)
        found, self._unknown_addons = system_pods(self.symbols, existing=setting.existing)
        self.system_pods = [Wanted(item.pod(), item.replicas) for item in found if item.replicas is not None]
        self.daemons: list[tuple[Workload | None, Pod]] = [
            *((None, item.pod()) for item in found if item.replicas is None),
            *((item, group.pod) for item in self.workloads if item.use is Use.EACH for group in item.groups),
        ]
        self.names = _titles(self.workloads)
        self._taken: dict[tuple[int, bool], dict[str, int]] = {}
        self._refused: dict[int, list[Refused]] = {}

    # ------------------------------------------------------------------------------------ machines

    @cached_property
    def samples(self) -> Floor:
        """A few machines of each pool, with what is on every one of them."""
        return self._sampled[0]

    @property
    def missed(self) -> list[tuple[Workload | None, Pod, Machine]]:
        """Pods that should be on every machine, and of each pool a machine that has no room for them."""
        return [
            (workload, pod, machine)
            for (workload, pod), missed in zip(self.daemons, self._sampled[1], strict=True)
            for machine in {machine.pool.name: machine for machine in reversed(missed)}.values()
        ]

    @cached_property
    def floor(self) -> Floor:
        """All machines, with what is on every one of them."""
        return self._floor(self.setting.pools)[0]

    @cached_property
    def _sampled(self) -> tuple[Floor, list[list[Machine]]]:
        return self._floor([replace(pool, max=min(pool.max, _SAMPLES)) for pool in self.setting.pools])

    def _floor(self, pools: Sequence[Pool]) -> tuple[Floor, list[list[Machine]]]:
        """Machines with their daemons, and for each daemon those that have no room for it."""
        made = Floor(machines(pools, self.setting.region))
        return made, [made.put_on_each(pod) for _, pod in self.daemons]

    @cached_property
    def rooms(self) -> dict[str, dict[str, int]]:
        """What an otherwise empty machine of each pool has for pods, at the most."""
        return {name: most(*(machine.room for machine in own)) for name, own in self._by_pool.items()}

    @cached_property
    def pools(self) -> list[Pool]:
        """The pools, in the order in which they are filled."""
        return ordered(self.setting.pools)

    @cached_property
    def _by_pool(self) -> dict[str, list[Machine]]:
        found: dict[str, list[Machine]] = {}
        for machine in self.samples.machines:
            found.setdefault(machine.pool.name, []).append(machine)
        return found

    # ------------------------------------------------------------------------------------ pods

    def refused(self, pod: Pod) -> list[Refused]:
        """For each pool that has no machine for a pod, even an empty one, why not."""
        if id(pod) not in self._refused:
            self._refused[id(pod)] = self._refusing(pod)
        return self._refused[id(pod)]

    def _refusing(self, pod: Pod) -> list[Refused]:
        found = []
        for pool in self.pools:
            own = self._by_pool.get(pool.name, [])
            whys = [self.samples.refusal(pod, machine) for machine in own]
            if all(whys):
                found.append(Refused(pool, why=next(iter(whys), "it has no machines")))
                continue
            rooms = [machine.room for machine, why in zip(own, whys, strict=True) if not why]
            lacks = [_too_little(pod.requests, room) for room in rooms]
            if all(lacks):
                found.append(Refused(pool, lacks=min(lacks, key=len)))
        return found

    def homes(self, pod: Pod) -> frozenset[str]:
        """The names of the pools of which an otherwise empty machine takes a pod."""
        without = {item.pool.name for item in self.refused(pod)}
        return frozenset(pool.name for pool in self.setting.pools if pool.name not in without)

    def is_bound(self, pod: Pod) -> bool:
        """Whether a pod can run on machines of the pools' sizes only."""
        chosen = pod.spec.get("nodeSelector")
        return self.setting.whole or (isinstance(chosen, Mapping) and any(key in chosen for key in _BINDING))

    def always(self, *, most: bool = False) -> list[tuple[Workload | None, Wanted]]:
        """The pods that are always there somewhere, and whose they are; None for the cluster's own."""
        own = (
            (item, Wanted(group.pod, group.most if most else group.fewest))
            for item in self.workloads
            if item.use is Use.ALWAYS
            for group in item.groups
        )
        return [*((None, item) for item in self.system_pods), *own]

    def taken(self, limit: Limit, *, most: bool = False) -> dict[str, int]:
        """What is always there takes of a quota."""
        key = (id(limit), most)
        if key not in self._taken:
            self._taken[key] = limit.always(self.workloads, most=most)
        return self._taken[key]

    @property
    def runs(self) -> list[Workload]:
        """The jobs."""
        return [item for item in self.workloads if item.use is Use.RUN]

    def defaults(self, workload: Workload) -> Defaults:
        """What a workload's containers ask for that say nothing."""
        return self._workloads.defaults(workload.node)

    def title(self, workload: Workload | None, pod: Pod) -> str:
        """What pods are called in messages."""
        if workload is None:
            return pod.name
        role = next((group.role for group in workload.groups if group.pod is pod), "")
        return f"{self.names[workload.node.name]} ({role})" if role else self.names[workload.node.name]

    @property
    def notes(self) -> list[str]:
        """What has to be said of how it was counted."""
        found = [*self._workloads.unseen(self.graph), *self._limit_notes]
        found += [f"what the add-on {name} runs is not known here, and not counted" for name in self._unknown_addons]
        return found


def _leads_to_eks(provider: Node) -> bool:
    kubeconfig = provider.inputs.get("kubeconfig")
    return isinstance(kubeconfig, Call) and kubeconfig.function == eks_kubeconfig.__name__


def _too_little(requests: Amounts, room: Amounts) -> dict[str, int]:
    """As `lacking`, in the order in which messages tell of it: the machine's."""
    return {key: -left for key, left in less(room, requests).items() if left < 0 and requests.get(key)}


def _titles(workloads: Iterable[Workload]) -> dict[str, str]:
    """Workloads by the component, where it has one workload alone; else by their nodes."""
    own = list(workloads)
    counts = Counter(item.node.component for item in own)
    return {
        item.node.name: item.node.component if item.node.component and counts[item.node.component] == 1 else item.name
        for item in own
    }
