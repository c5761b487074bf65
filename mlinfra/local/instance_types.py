"""Writes `mlinfra/components/instances.json`, the facts of instance types, from AWS's DescribeInstanceTypes.

    python -m mlinfra.local.instance_types                     from moto's copy of what AWS answers
    python -m mlinfra.local.instance_types --region us-east-1  from AWS itself, with your credentials

Moto's copy is the source of the table in the project, so that everybody makes the same one; `make instances` writes it
anew after an upgrade of moto, and a test says when the two disagree. AWS itself knows types that moto has not heard of
yet; asked in a region, it knows those that the region has.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlinfra.components.instances import TABLE

FAMILIES: Final = (
    "t3", "m5", "m6i", "m6a", "m7i", "m7a", "m7g", "c5", "c6i", "c6a", "c7i", "c7a", "c7g", "r5", "r6i", "r7i", "r7g",
    "g4dn", "g5", "g6", "g6e", "gr6", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200",
    "inf2", "trn1", "trn1n", "trn2",
)  # fmt: skip
"""The families that machine learning uses, for general work, with GPUs, and with AWS's own accelerators."""


def facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the project knows of an instance type, from its record (EC2 API reference, `InstanceTypeInfo`)."""
    network = record["NetworkInfo"]
    found: dict[str, Any] = {
        "vcpus": record["VCpuInfo"]["DefaultVCpus"],
        "memory_mib": record["MemoryInfo"]["SizeInMiB"],
        "architecture": record["ProcessorInfo"]["SupportedArchitectures"][-1],
        "interfaces": network["NetworkCards"][network.get("DefaultNetworkCardIndex", 0)]["MaximumNetworkInterfaces"],
        "addresses": network["Ipv4AddressesPerInterface"],
    }
    if gpus := record.get("GpuInfo", {}).get("Gpus"):
        first = gpus[0]
        found |= {"gpus": sum(gpu["Count"] for gpu in gpus), "gpu": first["Name"]}
        found["gpu_memory_mib"] = first["MemoryInfo"]["SizeInMiB"]
    if devices := record.get("NeuronInfo", {}).get("NeuronDevices"):
        found["neuron_devices"] = sum(device["Count"] for device in devices)
    return found


def table(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The facts of the families that are known, by name, without machines that run no hypervisor."""
    kept = {
        record["InstanceType"]: facts(record)
        for record in records
        if record["InstanceType"].partition(".")[0] in FAMILIES and not record.get("BareMetal")
    }
    return dict(sorted(kept.items()))


def text(facts_by_name: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as it is written: JSON, one type a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in facts_by_name.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def from_moto() -> Iterable[Mapping[str, Any]]:
    """The records that moto ships."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    records: Iterable[Mapping[str, Any]] = INSTANCE_TYPES.values()
    return records


def from_aws(region: str) -> Iterable[Mapping[str, Any]]:
    """The records of the types that a region has, asked of AWS."""
    import boto3

    for page in boto3.client("ec2", region_name=region).get_paginator("describe_instance_types").paginate():
        yield from page["InstanceTypes"]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description="Write the table of instance types anew.")
    parser.add_argument("--region", help="Ask AWS itself, in this region; by default moto's copy is taken.")
    region = parser.parse_args().region
    TABLE.write_text(text(table(from_aws(region) if region else from_moto())), encoding="utf-8")


if __name__ == "__main__":
    main()
