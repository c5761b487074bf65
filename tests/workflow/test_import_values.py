"""Stand-ins: a value that a parameter takes, made of its type alone, or none."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from mlinfra.authoring import Many, Params
from mlinfra.components.network_values import ExistingNetwork
from mlinfra.components.values import Autoscale, Image, Route
from mlinfra.documented import Documented
from mlinfra.tiers import Tier
from mlinfra.workflow.import_values import _NOTHING, _alone, sample


class Inner(Documented):
    name: Annotated[str, Field(min_length=3)]
    left_out: int = 1


class Wanted(Params):
    text: str
    number: int
    least: Annotated[int, Field(ge=3)]
    above: Annotated[int, Field(gt=3)]
    real: float
    yes: bool
    choice: Literal["b", "a"]
    tier: Tier
    maybe: int | None = None
    several: Annotated[Many[Inner], Field(min_length=2)]
    none: Many[str]
    mapped: dict[str, int]
    inner: Inner
    either: Inner | str
    secret: SecretStr
    scale: Autoscale
    network: ExistingNetwork
    shown: Annotated[str, Field(pattern="^x+$", examples=["xx"])]
    image: Image
    route: Route


SAMPLES: dict[str, Any] = {
    "text": "x",
    "number": 0,
    "least": 3,
    "above": 4,
    "real": 0,
    "yes": False,
    "choice": "b",
    "tier": "dev",
    "maybe": 0,
    "several": [{"name": "xxx"}, {"name": "xxx"}],
    "none": [],
    "mapped": {},
    "inner": {"name": "xxx"},
    "either": {"name": "xxx"},
    "secret": "x",
    "scale": {"min": 1, "max": 1},
    "network": {
        "vpc_id": "vpc-0123456789abcdef0",
        "cidr": "10.0.0.0/16",
        "private_subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    },
    "shown": "xx",
    "image": _NOTHING,
    "route": _NOTHING,
}


@pytest.mark.parametrize("name", Wanted.model_fields)
def test_a_stand_in(name: str) -> None:
    assert sample(Wanted, name) == SAMPLES[name]


@given(low=st.integers(-5, 5), size=st.integers(0, 4), length=st.integers(0, 5))
def test_a_stand_in_is_taken_or_there_is_none(low: int, size: int, length: int) -> None:
    item = Annotated[str, Field(min_length=length)]

    class Bounded(Params):
        number: Annotated[int, Field(ge=low)]
        items: Annotated[Many[item], Field(min_length=size)]

    for name in Bounded.model_fields:
        value = sample(Bounded, name)
        assert value is not _NOTHING
        _alone(Bounded, name).model_validate_json(json.dumps({name: value}))
