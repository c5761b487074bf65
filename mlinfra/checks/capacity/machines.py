"""The machines of a graph's pools: what each has for pods, and by which labels and taints pods choose it.

A pool counts with all the machines that it may have: whatever adds machines adds no more than that. Labels are those
that EKS and Kubernetes give to nodes ("Well-Known Labels, Annotations and Taints"), and the pool's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mlinfra.checks.capacity.amounts import CPU, MEMORY, MIB, PODS, Amounts
from mlinfra.checks.capacity.choosing import HOSTNAME, REGION, ZONE
from mlinfra.components.instances import instances
from mlinfra.components.node_pool import INSTANCE_TYPE, NEURON
from mlinfra.components.quantities import GPU
from mlinfra.expansion import DOMAIN
from mlinfra.graph import Pool

if TYPE_CHECKING:
    from mlinfra.checks.capacity.neighbours import Pod

_ZONES: Final = ("a", "b", "c")


class Machine:
    """One machine, with what is on it so far.

    `kind` is the same for machines that no pod can tell apart but by their names. `whole` is what it has for pods,
    `room` what is left of that.
    """

    __slots__ = ("kind", "labels", "pods", "pool", "ports", "room", "whole")

    def __init__(self, pool: Pool, kind: tuple[str, str], labels: dict[str, str], whole: Amounts) -> None:
        self.pool, self.kind, self.labels, self.whole = pool, kind, labels, whole
        self.room = dict(whole)
        self.pods: list[Pod] = []
        self.ports: set[tuple[str, int]] = set()

    @property
    def name(self) -> str:
        """As the node is called."""
        return self.labels[HOSTNAME]

    def copy(self) -> Machine:
        """The same machine, to be filled in another way."""
        made = Machine(self.pool, self.kind, self.labels, self.whole)
        made.room, made.pods, made.ports = dict(self.room), list(self.pods), set(self.ports)
        return made


def offer(pool: Pool) -> Amounts:
    """What one machine of a pool has for pods, those of its own system among them."""
    found = {CPU: round(pool.cpu * 1000), MEMORY: round(pool.memory * 1024) * MIB, PODS: pool.pods}
    if pool.gpus:
        found[GPU] = pool.gpus
    known = instances().get(pool.instance_type)
    if known and known.neuron_devices:
        found[NEURON] = known.neuron_devices
    return found


def machines(pools: Sequence[Pool], region: str = "") -> list[Machine]:
    """Every machine that the pools may have, empty; plain machines before those with GPUs, small ones first."""
    return [_machine(pool, index, region) for pool in ordered(pools) for index in range(pool.max)]


def ordered(pools: Sequence[Pool]) -> list[Pool]:
    """Pools in the order in which pods take them that may go to several: what has GPUs is kept for those that ask."""
    return sorted(pools, key=lambda pool: (pool.gpus, len(pool.taints), pool.cpu, pool.name))


def _machine(pool: Pool, index: int, region: str) -> Machine:
    zone = f"{region or 'zone-'}{_ZONES[index % len(_ZONES)]}"
    labels = {
        HOSTNAME: f"{pool.name}-{index}",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        INSTANCE_TYPE: pool.instance_type,
        **({REGION: region} if region else {}),
        ZONE: zone,
        "eks.amazonaws.com/nodegroup": pool.name,
        "eks.amazonaws.com/capacityType": "SPOT" if pool.spot else "ON_DEMAND",
        f"{DOMAIN}/pool": pool.name,
        **pool.labels,
    }
    return Machine(pool, (pool.name, zone), labels, offer(pool))
