from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.components.instances import instance
from mlinfra.components.training_vm_values import PRESETS, Volume, check_image, image_for, parameter_of


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"gib": 30, "iops": 16_000}, "500 for each GiB at the most, here 15000"),
        ({"throughput": 1000}, "a quarter of iops at the most, here 750"),
        ({"throughput": 100}, "greater than or equal to 125"),
        ({"gib": 29}, "greater than or equal to 30"),
        ({"key": "alias/mine"}, "key"),
    ],
)
def test_what_a_volume_cannot_be(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Volume(**fields)


def test_an_image_by_id_has_no_parameter() -> None:
    assert parameter_of("ami-0123456789abcdef0", instance("g5.xlarge")) == ""


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_every_preset_is_there_for_both_architectures(name: str, architecture: str) -> None:
    facts = replace(instance("g5.xlarge"), architecture=architecture)
    check_image(name, facts)
    assert facts.architecture in parameter_of(name, facts)


def test_the_image_that_nobody_names() -> None:
    assert [image_for(None, instance(name)) for name in ("g5.xlarge", "m6i.xlarge")] == ["pytorch", "plain"]
    assert image_for("drivers", instance("g5.xlarge")) == "drivers"
