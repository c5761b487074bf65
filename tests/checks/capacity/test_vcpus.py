from __future__ import annotations

import pytest

from mlinfra.checks.access.symbols import Symbols
from mlinfra.checks.capacity.vcpus import ON_DEMAND, SPOT, quota_of, vcpu_uses
from mlinfra.components.instances import instances
from mlinfra.graph import Graph, Node
from tests.checks.capacity.conftest import pool


@pytest.mark.parametrize(
    ("kind", "on_demand", "spot"),
    [
        ("m6i.xlarge", "L-1216C47A", "L-34B43A08"),
        ("c7g.large", "L-1216C47A", "L-34B43A08"),
        ("t3.xlarge", "L-1216C47A", "L-34B43A08"),
        ("im4gn.large", "L-1216C47A", "L-34B43A08"),
        ("g5.12xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p4d.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5en.48xlarge", "L-417A185B", "L-C4BD4855"),
        ("p6-b200.48xlarge", "L-417A185B", None),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"),
        ("trn1n.32xlarge", "L-2C3B7624", "L-6B0D517C"),
        ("dl1.24xlarge", "L-6E869C2A", "L-85EED4F7"),
        ("x2gd.large", "L-7295265B", "L-E3A00192"),
        ("hpc7g.16xlarge", "L-F7808C92", None),
        ("u7i-12tb.224xlarge", "L-43DA4232", None),
        ("mac2.metal", None, None),
    ],
)
def test_families(kind: str, on_demand: str | None, spot: str | None) -> None:
    found = quota_of(kind, spot=False), quota_of(kind, spot=True)
    assert tuple(item and item.code for item in found) == (on_demand, spot)


def test_every_type_of_the_table_counts_against_a_quota() -> None:
    assert [name for name in instances() if quota_of(name, spot=False) is None] == []
    assert {name.partition(".")[0] for name in instances() if quota_of(name, spot=True) is None} <= {"p6-b200"}


def test_codes_are_told_apart() -> None:
    codes = [item.code for item in (*ON_DEMAND, *SPOT)]
    assert len(codes) == len(set(codes))


def test_pools_and_single_machines_are_added_up() -> None:
    pools = [
        pool("cpu", instance_type="m6i.xlarge", min=1, max=4),
        pool("more", instance_type="c7i.2xlarge", max=2),
        pool("gpu", instance_type="g5.xlarge", gpus=1, max=8, spot=True),
        pool("own", instance_type="mine.large", max=2),
    ]
    node = Node("box/machine", "aws:ec2/instance:Instance", {"instanceType": "t3.xlarge"}, component="box")
    uses, unknown = vcpu_uses(pools, Symbols(Graph("b", "1", "e", {node.name: node})))
    assert [(item.code, item.vcpus.fewest, item.vcpus.most, item.machines) for item in uses] == [
        ("L-3819A6DF", 0, 32, ("pool gpu",)),
        ("L-1216C47A", 8, 36, ("pool cpu", "pool more", "box")),
    ]
    assert unknown == ["pool own (mine.large)"]
