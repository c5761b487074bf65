"""AWS's quotas of machines: vCPUs of some families of instance types, on demand and as spot, in each region.

Source of the families: EC2 user guide, "On-Demand Instance quotas" and "Spot Instance quotas". Source of the codes:
Service Quotas, service `ec2`, as its console and ListServiceQuotas name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mlinfra.checks.access.symbols import Symbols, at
from mlinfra.checks.capacity.record import Range, VcpuUse
from mlinfra.components.instances import instances
from mlinfra.graph import Pool

SERVICE: Final = "ec2"
_STANDARD: Final = "Standard (A, C, D, H, I, M, R, T, Z)"


@dataclass(frozen=True, slots=True)
class VcpuQuota:
    """A quota: its code, its name, and the beginnings of the families that it counts."""

    code: str
    name: str
    families: tuple[str, ...]


_STANDARD_FAMILIES: Final = ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z")
ON_DEMAND: Final = (
    VcpuQuota("L-1216C47A", f"Running On-Demand {_STANDARD} instances", _STANDARD_FAMILIES),
    VcpuQuota("L-DB2E81BA", "Running On-Demand G and VT instances", ("g", "gr", "vt")),
    VcpuQuota("L-417A185B", "Running On-Demand P instances", ("p",)),
    VcpuQuota("L-1945791B", "Running On-Demand Inf instances", ("inf",)),
    VcpuQuota("L-2C3B7624", "Running On-Demand Trn instances", ("trn",)),
    VcpuQuota("L-6E869C2A", "Running On-Demand DL instances", ("dl",)),
    VcpuQuota("L-74FC7D96", "Running On-Demand F instances", ("f",)),
    VcpuQuota("L-7295265B", "Running On-Demand X instances", ("x",)),
    VcpuQuota("L-43DA4232", "Running On-Demand High Memory instances", ("u",)),
    VcpuQuota("L-F7808C92", "Running On-Demand HPC instances", ("hpc",)),
)
SPOT: Final = (
    VcpuQuota("L-34B43A08", f"All {_STANDARD} Spot Instance Requests", _STANDARD_FAMILIES),
    VcpuQuota("L-3819A6DF", "All G and VT Spot Instance Requests", ("g", "gr", "vt")),
    VcpuQuota("L-C4BD4855", "All P5 Spot Instance Requests", ("p5",)),
    VcpuQuota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", ("p2", "p3", "p4")),
    VcpuQuota("L-B5D1601B", "All Inf Spot Instance Requests", ("inf",)),
    VcpuQuota("L-6B0D517C", "All Trn Spot Instance Requests", ("trn",)),
    VcpuQuota("L-85EED4F7", "All DL Spot Instance Requests", ("dl",)),
    VcpuQuota("L-88CF9481", "All F Spot Instance Requests", ("f",)),
    VcpuQuota("L-E3A00192", "All X Spot Instance Requests", ("x",)),
)


def quota_of(instance_type: str, *, spot: bool) -> VcpuQuota | None:
    """The quota that a machine counts against; None for one that no quota here is known of."""
    found = re.match(r"([a-z]+)([0-9]*)", instance_type)
    if found is None:
        return None
    names = (found[1] + found[2][:1], found[1])
    for quota in SPOT if spot else ON_DEMAND:
        if any(name in quota.families for name in names):
            return quota
    return None


def vcpu_uses(pools: Sequence[Pool], symbols: Symbols) -> tuple[list[VcpuUse], list[str]]:
    """What the machines of a graph come to against each quota, and the types of which no quota is known here."""
    totals: dict[VcpuQuota, list[tuple[str, int, int]]] = {}
    unknown = []
    for name, kind, spot, fewest, most in (*_pools(pools), *_single(symbols)):
        quota, facts = quota_of(kind, spot=spot), instances().get(kind)
        if quota is None or facts is None:
            unknown.append(f"{name} ({kind})")
            continue
        totals.setdefault(quota, []).append((name, fewest * facts.vcpus, most * facts.vcpus))
    uses = [
        VcpuUse(
            quota.code,
            quota.name,
            Range(sum(item[1] for item in found), sum(item[2] for item in found)),
            tuple(item[0] for item in found),
        )
        for quota, found in totals.items()
    ]
    return sorted(uses, key=lambda item: item.name), unknown


def _pools(pools: Sequence[Pool]) -> Iterator[tuple[str, str, bool, int, int]]:
    for pool in pools:
        yield f"pool {pool.name}", pool.instance_type, pool.spot, pool.min, pool.max


def _single(symbols: Symbols) -> Iterator[tuple[str, str, bool, int, int]]:
    """Machines that are resources of the graph themselves."""
    for node in symbols.of_type("aws:ec2/instance:Instance"):
        kind = symbols.text(node.inputs.get("instanceType"))
        spot = at(symbols.input(node, "instanceMarketOptions"), "marketType") == "spot"
        if kind:
            yield node.component or node.name, kind, spot, 1, 1
