"""Makes `mlinfra/components/instances.json` from moto's copy of AWS's DescribeInstanceTypes.

    .venv/bin/python tests/components/instances_from_moto.py

Run it after an upgrade of moto; `test_instances.py` says when the table and moto disagree.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

TABLE = Path(__file__).parents[2] / "mlinfra" / "components" / "instances.json"
FAMILIES = (
    *(
        "t3",
        "m5",
        "m6i",
        "m6a",
        "m7i",
        "m7a",
        "m7g",
        "c5",
        "c6i",
        "c6a",
        "c7i",
        "c7a",
        "c7g",
        "r5",
        "r6i",
        "r7i",
        "r7g",
    ),
    *("g4dn", "g5", "g6", "g6e", "gr6", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200"),
    *("inf2", "trn1", "trn1n", "trn2"),
)


def facts(record: dict[str, Any]) -> dict[str, Any]:
    """What the project knows of one instance type, from its DescribeInstanceTypes record."""
    network = record["NetworkInfo"]
    found: dict[str, Any] = {
        "vcpus": record["VCpuInfo"]["DefaultVCpus"],
        "memory_mib": record["MemoryInfo"]["SizeInMiB"],
        "architecture": record["ProcessorInfo"]["SupportedArchitectures"][-1],
        "interfaces": network["NetworkCards"][network.get("DefaultNetworkCardIndex", 0)]["MaximumNetworkInterfaces"],
        "addresses": network["Ipv4AddressesPerInterface"],
    }
    if gpus := record.get("GpuInfo", {}).get("Gpus"):
        found |= {"gpus": sum(gpu["Count"] for gpu in gpus), "gpu": gpus[0]["Name"]}
    if devices := record.get("NeuronInfo", {}).get("NeuronDevices"):
        found["neuron_devices"] = sum(device["Count"] for device in devices)
    return found


def table() -> dict[str, dict[str, Any]]:
    """The facts of every shipped type, by name."""
    return {
        name: facts(record)
        for name, record in sorted(INSTANCE_TYPES.items())
        if name.partition(".")[0] in FAMILIES and not record["BareMetal"]
    }


def main() -> None:
    """Write the table, one type a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in table().items()]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
