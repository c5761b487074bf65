"""Whether pods can be placed at all, by bounds that no way of placing them gets past.

A placement that was found proves that pods fit; that none was found proves nothing. What is said here is certain: more
pods of one kind than all machines have room for, more of a resource than all machines have together, more pods that
each want over half of a machine than there are machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mlinfra.checks.capacity.amounts import Amounts, added, how_often, times
from mlinfra.checks.capacity.neighbours import Pod, apart
from mlinfra.graph import Pool


class Share(NamedTuple):
    """A number of pods of one kind, and the pools of which a machine takes one."""

    pod: Pod
    number: int
    homes: frozenset[str]


class Overflow(NamedTuple):
    """More than pools have: what is asked, of how much, by which pods; `what` is a resource, or a number of pods."""

    pools: tuple[str, ...]
    pods: tuple[Pod, ...]
    what: str
    asked: int
    offered: int


class Bounds:
    """The machines there are: the pools, and what an empty machine of each has at the most."""

    def __init__(self, pools: Sequence[Pool], rooms: Mapping[str, Amounts]) -> None:
        self.pools, self.rooms = pools, rooms

    def overflow(self, shares: Iterable[Share]) -> Overflow | None:
        """Why pods can never all be there at once; None where that is not certain.

        Pods that no machine takes are not looked at: they have a reason of their own.
        """
        known = [item for item in shares if item.homes and item.number]
        return next(self._found(known), None)

    def most_of(self, pod: Pod, homes: frozenset[str]) -> int:
        """No more pods of one kind than this are ever there at once."""
        fit = {name: how_often(pod.requests, self.rooms[name]) for name in homes}
        if apart(pod):
            fit = {name: min(1, count) for name, count in fit.items()}
        return sum(pool.max * fit[pool.name] for pool in self.pools if pool.name in homes)

    def _found(self, shares: Sequence[Share]) -> Iterator[Overflow]:
        for item in shares:
            offered = self.most_of(item.pod, item.homes)
            if item.number > offered:
                yield Overflow(tuple(sorted(item.homes)), (item.pod,), "pods", item.number, offered)
        for homes in dict.fromkeys(item.homes for item in shares):
            within = [item for item in shares if item.homes <= homes]
            yield from self._volume(homes, within)
            yield from self._halves(homes, within)

    def _volume(self, homes: frozenset[str], shares: Sequence[Share]) -> Iterator[Overflow]:
        """More of a resource than all machines have together."""
        asked = added(*(times(item.pod.requests, item.number) for item in shares))
        offered = added(*(times(self.rooms[pool.name], pool.max) for pool in self.pools if pool.name in homes))
        for key, count in asked.items():
            if count > offered.get(key, 0):
                pods = tuple(item.pod for item in shares if item.pod.requests.get(key))
                yield Overflow(tuple(sorted(homes)), pods, key, count, offered.get(key, 0))

    def _halves(self, homes: frozenset[str], shares: Sequence[Share]) -> Iterator[Overflow]:
        """More pods that each take over half of a machine than there are machines: no two share one."""
        there = sum(pool.max for pool in self.pools if pool.name in homes)
        for key in dict.fromkeys(key for item in shares for key in item.pod.requests):
            largest = max(self.rooms[name].get(key, 0) for name in homes)
            large = [item for item in shares if item.pod.requests.get(key, 0) * 2 > largest]
            asked = sum(item.number for item in large)
            if asked > there:
                yield Overflow(tuple(sorted(homes)), tuple(item.pod for item in large), "machines", asked, there)
