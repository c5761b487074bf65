"""The report on capacity, as plain records. Amounts are those of `amounts`: thousandths of cores, bytes, pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.checks.capacity.amounts import Amounts, as_numbers, number
from mlinfra.diagnostics import Diagnostic

HOURS: Final = 730
"""Hours of a month: a twelfth of a year of 365 days."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number at the fewest and at the most replicas."""

    fewest: float
    most: float

    def as_json(self) -> dict[str, float]:
        """As plain data."""
        return {"min": self.fewest, "max": self.most}


@dataclass(frozen=True)
class PoolUse:
    """A pool, with all the machines that it may have, and what is always on them.

    `each` is what one machine has for pods, `daemons` what pods on every machine take of that, `whole` what all its
    machines have. `asked_fewest` and `asked_most` are what is placed on it, pods on every machine included, at the
    fewest and at the most replicas; `machines_fewest` and `machines_most` how many machines that takes. `largest` is
    the largest pod that still fits at the fewest replicas: what the emptiest machine has left. `gpu_hours` are those
    of its machines in a month, from its fewest to its most.
    """

    name: str
    instance_type: str
    spot: bool
    min: int
    max: int
    each: Amounts
    daemons: Amounts
    whole: Amounts
    asked_fewest: Amounts
    asked_most: Amounts
    machines_fewest: int
    machines_most: int
    largest: Amounts
    gpu_hours: Range

    def as_json(self) -> dict[str, Any]:
        """As plain data, in cores, GiB and pieces."""
        return {
            "name": self.name,
            "instance_type": self.instance_type,
            "spot": self.spot,
            "machines": {"min": self.min, "max": self.max},
            "machines_used": {"min": self.machines_fewest, "max": self.machines_most},
            "machine": as_numbers(self.each),
            "daemons": as_numbers(self.daemons),
            "capacity": as_numbers(self.whole),
            "asked": {"min": as_numbers(self.asked_fewest), "max": as_numbers(self.asked_most)},
            "largest_pod": as_numbers(self.largest),
            "gpu_hours": self.gpu_hours.as_json(),
        }


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How much of a job finds room at once: `pods`, the `gpus` of these, and whole `runs`."""

    pods: int
    gpus: int
    runs: int

    def as_json(self) -> dict[str, int]:
        """As plain data."""
        return {"pods": self.pods, "gpus": self.gpus, "runs": self.runs}


@dataclass(frozen=True)
class WorkloadUse:
    """A workload, what it asks for and whether it finds room.

    - `use`: `always`, `each machine` or `run`. `pods`: how many there are at once; of what is on every machine, how
      many machines that may be.
    - `each`: what a pod asks for, by role where pods differ. `pools`: where it may go.
    - `missing`: how many pods found no place at the fewest and at the most replicas; for a run, of one run.
    - `at_once`: how much of a job fits beside the fewest replicas, `at_once_most` beside the most; `at_once_spread`
      where the scheduler has spread the others over all machines. None for what is no job.
    - `gpu_hours`: in a month; of a job in one run, at most, None where nothing bounds it.
    """

    name: str
    node: str
    component: str | None
    kind: str
    use: str
    pods: Range
    each: Mapping[str, Amounts]
    pools: tuple[str, ...]
    missing: Range
    at_once: AtOnce | None = None
    at_once_most: AtOnce | None = None
    at_once_spread: AtOnce | None = None
    hours: float | None = None
    gpu_hours: Range | None = None
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain data, without what is empty."""
        record: dict[str, Any] = {
            "name": self.name,
            "node": self.node,
            "component": self.component,
            "kind": self.kind,
            "use": self.use,
            "pods": self.pods.as_json(),
            "pod": {role or "pod": as_numbers(part) for role, part in self.each.items()},
            "pools": list(self.pools),
            "not_placed": self.missing.as_json(),
            "at_once": self.at_once and self.at_once.as_json(),
            "at_once_beside_most": self.at_once_most and self.at_once_most.as_json(),
            "at_once_if_spread": self.at_once_spread and self.at_once_spread.as_json(),
            "deadline_hours": self.hours,
            "gpu_hours": self.gpu_hours and self.gpu_hours.as_json(),
            "problem": self.problem,
        }
        return {key: value for key, value in record.items() if value not in (None, "")}


@dataclass(frozen=True)
class LimitUse:
    """A quota of a namespace, or a queue's, and what is always there of it."""

    name: str
    kind: str
    namespace: str
    hard: Amounts
    asked_fewest: Amounts
    asked_most: Amounts

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "namespace": self.namespace,
            "limits": [
                {
                    "resource": key,
                    "hard": number(key, count),
                    "asked": {
                        "min": number(key, self.asked_fewest.get(key, 0)),
                        "max": number(key, self.asked_most.get(key, 0)),
                    },
                }
                for key, count in self.hard.items()
            ],
        }


@dataclass(frozen=True)
class VcpuUse:
    """An account's quota of vCPUs of some families of machines, in one region, and what the stack's machines come to.

    `value` is the quota, None where nobody was asked. `machines` names what counts.
    """

    code: str
    name: str
    vcpus: Range
    machines: tuple[str, ...]
    value: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "code": self.code,
            "name": self.name,
            "vcpus": self.vcpus.as_json(),
            "machines": list(self.machines),
            "quota": self.value,
        }


@dataclass(frozen=True)
class CapacityReport:
    """What a stack asks for, and what its machines have."""

    blueprint: str
    version: str
    environment: str
    pools: tuple[PoolUse, ...] = ()
    workloads: tuple[WorkloadUse, ...] = ()
    limits: tuple[LimitUse, ...] = ()
    vcpus: tuple[VcpuUse, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Diagnostic, ...] = ()

    @property
    def gpu_hours(self) -> Range:
        """Hours of GPUs that what is always there uses in a month."""
        always = [item.gpu_hours for item in self.workloads if item.gpu_hours and item.use != "run"]
        return Range(sum(item.fewest for item in always), sum(item.most for item in always))

    def as_json(self) -> dict[str, Any]:
        """As plain data; lists stay, so that an empty one is seen to be empty."""
        return {
            "blueprint": self.blueprint,
            "version": self.version,
            "environment": self.environment,
            "pools": [item.as_json() for item in self.pools],
            "workloads": [item.as_json() for item in self.workloads],
            "limits": [item.as_json() for item in self.limits],
            "aws_quotas": [item.as_json() for item in self.vcpus],
            "gpu_hours": self.gpu_hours.as_json(),
            "notes": list(self.notes),
            "problems": [item.as_json() for item in self.problems],
        }
