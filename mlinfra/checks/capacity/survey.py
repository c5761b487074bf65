"""The placement, really computed: what is always there on its machines, at the fewest and at the most replicas, and how
much of each job fits beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from mlinfra.checks.capacity.amounts import CPU, MEMORY, Amounts, added, how_often, less
from mlinfra.checks.capacity.ground import Ground
from mlinfra.checks.capacity.machines import Machine
from mlinfra.checks.capacity.neighbours import Pod, apart_only
from mlinfra.checks.capacity.placing import Floor, Wanted, packed, spread
from mlinfra.checks.capacity.record import AtOnce
from mlinfra.checks.capacity.system import NAMESPACE
from mlinfra.checks.capacity.workloads import Group, Workload
from mlinfra.components.quantities import GPU

Way: TypeAlias = Callable[[Floor, Sequence[Wanted]], tuple[Floor, dict[int, int]]]
"""How pods are placed, `packed` or `spread`; the pods without a place are by their position."""

RUNS: Final = 1_000
"""Runs of one job that are tried at most, where its pods differ from each other."""


@dataclass(frozen=True)
class Placed:
    """Machines with pods on them, and how many pods of each workload found no place, by their node.

    Those of the cluster itself stand under their namespace.
    """

    floor: Floor
    missed: Counter[str]

    def asked(self, pool: str) -> dict[str, int]:
        """What the pods on a pool's machines ask for."""
        own = (machine for machine in self.floor.machines if machine.pool.name == pool)
        return added(*(less(machine.whole, machine.room) for machine in own))

    def emptiest(self, pool: str) -> Machine | None:
        """The machine of a pool that has most left: GPUs first, then cores, then memory."""
        own = [machine for machine in self.floor.machines if machine.pool.name == pool]
        return max(own, key=_room, default=None)


class Survey:
    """What finds its place on the machines of a ground."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._rooms: dict[tuple[int, int], int] = {}

    @cached_property
    def fewest(self) -> Placed:
        """The fewest replicas of everything."""
        return self._placed(packed, self.ground.always())

    @cached_property
    def most(self) -> Placed:
        """The most replicas of everything."""
        return self._placed(packed, self.ground.always(most=True))

    @cached_property
    def spread(self) -> Placed:
        """The fewest replicas, spread over all machines as the scheduler does it where they are all there."""
        return self._placed(spread, self.ground.always())

    def _placed(self, way: Way, always: Sequence[tuple[Workload | None, Wanted]]) -> Placed:
        floor, missed = way(self.ground.floor, [wanted for _, wanted in always])
        by_node: Counter[str] = Counter()
        for position, count in missed.items():
            workload = always[position][0]
            by_node[workload.name if workload else NAMESPACE] += count
        return Placed(floor, by_node)

    # ------------------------------------------------------------------------------------ jobs

    def at_once(self, job: Workload, placed: Placed, *, most: bool = False) -> AtOnce:
        """How much of a job finds room at once beside what is placed, and within the quotas of its namespace."""
        gpus = [group.pod.requests.get(GPU, 0) for group in job.groups]
        if len(job.groups) == 1:
            (group,) = job.groups
            if _apart_in_a_run(group.pod):
                runs = min(
                    placed.floor.runs_for(group.pod, group.fewest), *self._by_quotas(job, most=most, pods=False), RUNS
                )
                return AtOnce(runs * group.fewest, runs * group.fewest * gpus[0], runs)
            pods = min(self._room(group, placed), *self._by_quotas(job, most=most, pods=True), RUNS * RUNS)
            return AtOnce(pods, pods * gpus[0], pods // max(1, group.fewest))
        runs = min(_runs(placed.floor, job), *self._by_quotas(job, most=most, pods=False), RUNS)
        counts = [group.fewest * runs for group in job.groups]
        return AtOnce(sum(counts), sum(each * count for each, count in zip(gpus, counts, strict=True)), runs)

    def missing(self, job: Workload, placed: Placed) -> int:
        """How many pods of one run find no place beside what is placed; quotas are not asked."""
        if len(job.groups) == 1:
            (group,) = job.groups
            return max(0, group.fewest - self._room(group, placed))
        _, missed = packed(placed.floor, [Wanted(group.pod, group.fewest) for group in job.groups])
        return sum(missed.values())

    def _room(self, group: Group, placed: Placed) -> int:
        """How many more pods of one kind there is room for; asked several times, and found once."""
        key = (id(group.pod), id(placed))
        if key not in self._rooms:
            self._rooms[key] = placed.floor.room_for(group.pod)
        return self._rooms[key]

    def _by_quotas(self, job: Workload, *, most: bool, pods: bool) -> list[int]:
        """How many pods, or runs, each quota leaves room for."""
        found = []
        for limit in self.ground.limits:
            if limit.concerns(job):
                left = less(limit.hard, self.ground.taken(limit, most=most))
                part: Amounts = limit.charge(job.groups[0]) if pods else limit.of(job)
                if any(part.values()):
                    found.append(how_often(part, left))
        return found


def _apart_in_a_run(pod: Pod) -> bool:
    """Whether pods of one run want a machine each, and those of two runs do not mind each other."""
    return apart_only(pod) and not pod.ports and all(term.run for term in pod.apart)


def _runs(floor: Floor, job: Workload) -> int:
    """Whole runs of a job with pods of several kinds, one after the other for as long as there is room."""
    wanted = [Wanted(group.pod, group.fewest) for group in job.groups]
    for runs in range(RUNS):
        floor, missed = packed(floor, wanted)
        if missed:
            return runs
    return RUNS


def _room(machine: Machine) -> tuple[int, int, int]:
    return machine.room.get(GPU, 0), machine.room.get(CPU, 0), machine.room.get(MEMORY, 0)
