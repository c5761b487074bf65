"""Facts of the AWS instance types that machine learning uses, and what a machine of each leaves to pods.

The table `instances.json` comes from AWS's DescribeInstanceTypes; `make instances` writes it anew
(`mlinfra.local.instance_types`).
"""

from __future__ import annotations

import difflib
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

TABLE: Final = Path(__file__).with_name("instances.json")
_OVERHEAD: Final = 0.075
_EVICTION_MIB: Final = 100


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance type. `memory_mib` is its nominal memory in MiB.

    `interfaces` and `addresses` are the network interfaces that it takes and the IPv4 addresses of each: with the VPC
    network plugin they bound how many pods it runs. `gpu` names the model of its NVIDIA GPUs, `gpu_memory_mib` is the
    memory of one of them in MiB.
    """

    name: str
    vcpus: int
    memory_mib: int
    architecture: str
    interfaces: int
    addresses: int
    gpus: int = 0
    gpu: str = ""
    gpu_memory_mib: int = 0
    neuron_devices: int = 0

    @property
    def pods(self) -> int:
        """Most pods on one machine, the system's own among them.

        Source: Amazon EKS AMI, `eni-max-pods.txt`: interfaces times (addresses minus 1), plus 2.
        """
        return self.interfaces * (self.addresses - 1) + 2

    @property
    def cpu(self) -> float:
        """Cores that pods can request: all, less the kubelet's reservation.

        Source: Amazon EKS AMI, kube-reserved: 6 % of the first core, 1 % of the second, 0.5 % of the third and the
        fourth, 0.25 % of each further one.
        """
        reserved = sum(
            share * max(0, min(self.vcpus, last) - first)
            for first, last, share in ((0, 1, 0.06), (1, 2, 0.01), (2, 4, 0.005), (4, self.vcpus, 0.0025))
        )
        return round(self.vcpus - reserved, 3)

    @property
    def memory(self) -> float:
        """GiB that pods can request: what the machine's system sees, less reservation and eviction threshold.

        Sources: Amazon EKS AMI, kube-reserved: 255 MiB, and 11 MiB for each pod that it can run; Kubernetes,
        "Node-pressure Eviction": 100 MiB; Karpenter, `vmMemoryOverheadPercent`: 7.5 % of the nominal memory, which the
        hypervisor and the kernel keep.
        """
        usable = self.memory_mib * (1 - _OVERHEAD) - (255 + 11 * self.pods) - _EVICTION_MIB
        return max(0, int(usable)) / 1024


@functools.cache
def instances() -> dict[str, Instance]:
    """Every known type, by name."""
    rows = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name: Instance(name, **row) for name, row in rows.items()}


def instance(name: str) -> Instance:
    """The facts of a type; raises `ValueError`, with the closest names, for one that is not in the table."""
    known = instances()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(close)}?" if close else f"the families are {', '.join(_families())}"
    raise ValueError(f"there is no instance type {name!r} in the table; {hint}")


def _families() -> list[str]:
    return sorted({name.partition(".")[0] for name in instances()})


InstanceType = Annotated[str, AfterValidator(lambda name: instance(name).name)]
"""The name of a type that is in the table, such as `g5.xlarge`."""
