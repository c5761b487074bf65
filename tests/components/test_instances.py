from __future__ import annotations

import pytest
from moto import mock_aws

from mlinfra.components.instances import TABLE, instance, instances
from mlinfra.local.instance_types import from_aws, from_moto, table, text


def test_the_table_is_what_the_generator_makes_of_what_moto_has() -> None:
    assert TABLE.read_text(encoding="utf-8") == text(table(from_moto()))


@mock_aws
def test_the_generator_takes_what_aws_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    asked = table(from_aws("us-east-1"))
    assert asked
    assert asked.items() <= table(from_moto()).items()


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


# AWS's own figures, of one GPU each: an A10G has 24 GB, a T4 16 GB, an H100 80 GB.
@pytest.mark.parametrize(
    ("name", "gibibytes"), [("g5.12xlarge", 22), ("g4dn.xlarge", 16), ("p5.48xlarge", 80), ("m5.large", 0)]
)
def test_the_memory_of_a_gpu(name: str, gibibytes: int) -> None:
    assert round(instance(name).gpu_memory_mib / 1024) == gibibytes


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
