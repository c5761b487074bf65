from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components.instances import TABLE, instance, instances


@pytest.fixture(scope="module")
def moto_table() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("instances_from_moto.py")
    spec = importlib.util.spec_from_file_location("instances_from_moto", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table: dict[str, dict[str, Any]] = module.table()
    return table


def test_the_table_is_what_moto_has(moto_table: dict[str, dict[str, Any]]) -> None:
    assert json.loads(TABLE.read_text(encoding="utf-8")) == moto_table


# Pods as in the Amazon EKS AMI's eni-max-pods.txt. A real m5.large node offers 1930m CPU and some 7 GiB of memory.
@pytest.mark.parametrize(
    ("name", "pods", "cpu", "gpus", "gpu"),
    [
        ("m5.large", 29, 1.93, 0, ""),
        ("m6i.xlarge", 58, 3.92, 0, ""),
        ("g4dn.xlarge", 29, 3.92, 1, "T4"),
        ("g5.12xlarge", 737, 47.81, 4, "A10G"),
        ("p4d.24xlarge", 737, 95.69, 8, "A100"),
        ("t3.micro", 4, 1.93, 0, ""),
    ],
)
def test_what_a_machine_leaves_to_pods(name: str, pods: int, cpu: float, gpus: int, gpu: str) -> None:
    found = instance(name)
    assert (found.pods, found.cpu, found.gpus, found.gpu) == (pods, cpu, gpus, gpu)


def test_memory_is_less_than_nominal_and_more_than_nothing() -> None:
    assert 6.5 < instance("m5.large").memory < 7.2
    for found in instances().values():
        assert 0 < found.memory < found.memory_mib / 1024, found.name
        assert 0 < found.cpu < found.vcpus, found.name


@pytest.mark.parametrize(
    ("name", "hint"), [("g5.xlrge", "did you mean g5.xlarge"), ("quantum.huge", "the families are c5, ")]
)
def test_an_unknown_type_is_told_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        instance(name)
