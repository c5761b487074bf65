"""Pods are put onto machines, one after the other, with all that the scheduler looks at before it takes a machine.

Two ways. Packed: the largest first, each onto the first machine that has room (first fit decreasing): where that
places everything, everything fits, and this placement proves it; where it does not, another one might. Spread: each
onto the machine that has most left, as the scheduler scores by default (Kubernetes, "Scheduler Configuration",
`NodeResourcesFit` with `LeastAllocated`), those of one kind far from each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from mlinfra.checks.capacity.amounts import CPU, MEMORY, fits, how_often
from mlinfra.checks.capacity.choosing import refusal
from mlinfra.checks.capacity.machines import Machine
from mlinfra.checks.capacity.neighbours import Pod, Term, admitted, apart_only

Way = Literal["packed", "spread"]
MOST: Final = 10_000
"""Pods of one kind that are tried at most, where only trying shows how many there can be."""


class Wanted(NamedTuple):
    """Pods of one kind that are to be there, and how many."""

    pod: Pod
    number: int


class Floor:
    """Machines, and the pods that are on them.

    `_there` has the machines of each kind of pod, `_choosy` the rules of pods that want to be apart from others, and so
    bind those, too. `_alike` counts machines that are the same in everything but their names, as long as nothing is put
    anywhere.
    """

    def __init__(self, machines: list[Machine]) -> None:
        self.machines = machines
        self._refusals: dict[tuple[int, tuple[str, str] | str], str] = {}
        self._there: dict[int, tuple[Pod, list[Machine]]] = {}
        self._choosy: list[Term] = []
        self._alike: list[tuple[Machine, int]] | None = None

    def copy(self) -> Floor:
        """The same machines, to be filled in another way."""
        copies = {id(machine): machine.copy() for machine in self.machines}
        made = Floor(list(copies.values()))
        made._refusals, made._choosy = self._refusals, list(self._choosy)
        made._there = {
            key: (pod, [copies[id(machine)] for machine in places]) for key, (pod, places) in self._there.items()
        }
        return made

    def refusal(self, pod: Pod, machine: Machine) -> str:
        """Why a pod may not run on a machine, by labels and taints; asked once for machines that are alike."""
        key = (id(pod), machine.name if pod.picky else machine.kind)
        if key not in self._refusals:
            self._refusals[key] = refusal(pod.spec, machine.labels, machine.pool.taints)
        return self._refusals[key]

    def open_to(self, pod: Pod) -> list[Machine]:
        """The machines that a pod may run on, by labels and taints, whether there is room or not."""
        return [machine for machine in self.machines if not self.refusal(pod, machine)]

    def put(self, pod: Pod, machine: Machine) -> None:
        """Put a pod onto a machine, whatever is there."""
        for key, count in pod.requests.items():
            machine.room[key] = machine.room.get(key, 0) - count
        machine.pods.append(pod)
        machine.ports |= pod.ports
        self._there.setdefault(id(pod), (pod, []))[1].append(machine)
        self._alike = None
        self._choosy += [term for term in pod.apart if term not in self._choosy]

    def put_on_each(self, daemon: Pod) -> list[Machine]:
        """Put a pod onto every machine that takes it; returns those machines that have no room for it.

        What such a pod wants of others is not asked: it counts wherever it may come to be.
        """
        missed = []
        for machine in self.open_to(daemon):
            if fits(daemon.requests, machine.room):
                self.put(daemon, machine)
            else:
                missed.append(machine)
        return missed

    def place(self, pod: Pod, count: int, way: Way = "packed") -> int:
        """Place up to `count` pods of one kind; returns how many found a place."""
        eligible = self.open_to(pod)
        only_room = self._only_room(pod)
        if only_room and way == "packed":
            return self._fill(pod, eligible, count)
        for placed in range(count):
            allows = None if only_room else self._admitted(pod)
            room = [
                machine
                for machine in eligible
                if fits(pod.requests, machine.room) and (allows is None or allows(machine))
            ]
            if not room:
                return placed
            self.put(pod, room[0] if way == "packed" else min(room, key=lambda machine: _score(pod, machine)))
        return count

    def room_for(self, pod: Pod, way: Way = "packed") -> int:
        """How many more pods of one kind can be placed at once: exact, unless pods want something of each other; then
        as many as are found by placing them. The machines stay as they are.
        """
        if self._only_room(pod) and not pod.picky:
            # Pods that are alike take the same room wherever they are, so no order of placing them gets more in.
            return sum(
                how_often(pod.requests, machine.room) * count
                for machine, count in self._kinds()
                if not self.refusal(pod, machine)
            )
        if apart_only(pod):
            allows = self._admitted(pod)
            return sum(fits(pod.requests, item.room) and allows(item) for item in self.open_to(pod))
        return self.copy().place(pod, MOST, way)

    def runs_for(self, pod: Pod, size: int) -> int:
        """How many runs of a job there is room for, of `size` pods each, no two of one run on the same machine.

        Exact: runs in that number have room where machines, each counted with no more pods than there are runs, have
        room for all their pods. Then pods can be dealt out one run after the other.
        """
        allows = self._admitted(pod)
        rooms = [how_often(pod.requests, item.room) for item in self.open_to(pod) if allows(item)]
        runs = 0
        for more in range(1, max(rooms, default=0) * len(rooms) + 1):
            if sum(min(room, more) for room in rooms) < more * size:
                break
            runs = more
        return runs

    def used(self, daemons: Iterable[Pod]) -> Counter[str]:
        """For each pool, how many of its machines have a pod that is not one of those on every machine."""
        everywhere = {id(pod) for pod in daemons}
        busy = (machine for machine in self.machines if any(id(pod) not in everywhere for pod in machine.pods))
        return Counter(machine.pool.name for machine in busy)

    def _admitted(self, pod: Pod) -> Callable[[Machine], bool]:
        return admitted(pod, self.machines, list(self._there.values()))

    def _kinds(self) -> list[tuple[Machine, int]]:
        if self._alike is None:
            found: dict[tuple[tuple[str, str], frozenset[tuple[str, int]]], list[Machine]] = {}
            for machine in self.machines:
                found.setdefault((machine.kind, frozenset(machine.room.items())), []).append(machine)
            self._alike = [(machines[0], len(machines)) for machines in found.values()]
        return self._alike

    def _only_room(self, pod: Pod) -> bool:
        """Whether only room decides where a pod goes: neither it nor another insists on who is near."""
        return pod.alone and not any(term.concerns(pod) for term in self._choosy)

    def _fill(self, pod: Pod, eligible: Sequence[Machine], count: int) -> int:
        left = count
        for machine in eligible:
            for _ in range(min(left, how_often(pod.requests, machine.room))):
                self.put(pod, machine)
                left -= 1
            if not left:
                break
        return count - left


def packed(floor: Floor, wanted: Sequence[Wanted]) -> tuple[Floor, dict[int, int]]:
    """The floor with pods of many kinds on it, and how many found no place, by their position in `wanted`.

    Those come first that have fewest pools to choose from, and the largest of them. Where some are left over, two
    other measures of what is large are tried; the way that places most is taken.
    """
    best: tuple[Floor, dict[int, int]] | None = None
    for size in _SIZES:
        made = floor.copy()
        order = sorted(range(len(wanted)), key=lambda position: _rank(floor, wanted[position].pod, size))
        missed = {position: wanted[position].number - made.place(*wanted[position]) for position in order}
        missed = {position: count for position, count in sorted(missed.items()) if count}
        if best is None or sum(missed.values()) < sum(best[1].values()):
            best = made, missed
        if not missed:
            break
    assert best is not None
    return best


def spread(floor: Floor, wanted: Sequence[Wanted]) -> tuple[Floor, dict[int, int]]:
    """The floor with pods on it as the scheduler spreads them over all its machines, in the order that they come in."""
    made = floor.copy()
    missed = {position: item.number - made.place(*item, "spread") for position, item in enumerate(wanted)}
    return made, {position: count for position, count in missed.items() if count}


def _rank(floor: Floor, pod: Pod, size: Callable[[Pod, Machine], float]) -> tuple[int, bool, float]:
    """For sorting. It does not depend on how many machines a pool has, so that a larger pool is filled alike."""
    pools = {machine.pool.name: machine for machine in floor.open_to(pod)}
    return len(pools), pod.alone, -max((size(pod, machine) for machine in pools.values()), default=0.0)


def _share(pod: Pod, machine: Machine, *keys: str) -> float:
    """The largest part that a pod takes of an empty machine."""
    return max(pod.requests.get(key, 0) / max(1, machine.whole.get(key, 0)) for key in keys or pod.requests)


_SIZES: Final[tuple[Callable[[Pod, Machine], float], ...]] = (
    _share,
    lambda pod, machine: _share(pod, machine, CPU),
    lambda pod, machine: _share(pod, machine, MEMORY),
)


def _score(pod: Pod, machine: Machine) -> tuple[int, float]:
    """The least is the machine that the scheduler would take: few of the same kind, and most left of it."""
    same = sum(other is pod for other in machine.pods)
    left = [(machine.room[key] - pod.requests.get(key, 0)) / max(1, machine.whole[key]) for key in (CPU, MEMORY)]
    return same, -sum(left)
