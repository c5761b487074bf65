from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.checks.capacity.amounts import (
    UnreadableError,
    added,
    amount,
    fits,
    how_often,
    lacking,
    less,
    listed,
    number,
    said,
    times,
)


@pytest.mark.parametrize(
    ("resource", "text", "wanted"),
    [
        ("cpu", "1", 1000),
        ("cpu", "1500m", 1500),
        ("cpu", "0.1", 100),
        ("cpu", "1u", 1),
        ("cpu", 2, 2000),
        ("cpu", 0.25, 250),
        ("requests.cpu", "2", 2000),
        ("limits.cpu", "2.5", 2500),
        ("memory", "1Gi", 1024**3),
        ("memory", "1.5Gi", 3 * 1024**3 // 2),
        ("memory", "1G", 10**9),
        ("memory", "100M", 10**8),
        ("memory", "1E", 10**18),
        ("memory", "1e3", 1000),
        ("memory", "1E3", 1000),
        ("memory", "12e-1", 2),
        ("memory", "128974848", 128974848),
        ("memory", "1m", 1),
        ("memory", ".5Ki", 512),
        ("nvidia.com/gpu", "4", 4),
        ("pods", "110", 110),
        ("pods", "1k", 1000),
    ],
)
def test_quantities(resource: str, text: Any, wanted: int) -> None:
    assert amount(resource, text) == wanted


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1KiB", "⟨data/size⟩", None, True, [], float("nan"), "1mm", "--1"])
def test_what_is_no_quantity(text: Any) -> None:
    with pytest.raises(UnreadableError):
        amount("memory", text)


@given(st.fractions(min_value=0, max_value=10_000, max_denominator=1000))
def test_nothing_is_lost_by_rounding(count: Fraction) -> None:
    """An amount is never less than what was written, and less than a unit more."""
    text = f"{float(count):.6f}"
    found = amount("cpu", text)
    assert Fraction(text) * 1000 <= found < Fraction(text) * 1000 + 1


def test_sums() -> None:
    one, two = {"cpu": 100, "memory": 5}, {"cpu": 50, "pods": 1}
    assert added(one, two) == {"cpu": 150, "memory": 5, "pods": 1}
    assert times(one, 3) == {"cpu": 300, "memory": 15}
    assert less(one, two) == {"cpu": 50, "memory": 5, "pods": -1}
    assert lacking(two, one) == {"pods": 1}
    assert not fits(two, one)
    assert fits({"cpu": 100, "gpu": 0}, {"cpu": 100, "gpu": -1})
    assert how_often({"cpu": 30, "pods": 1}, {"cpu": 100, "pods": 10}) == 3
    assert how_often({"cpu": 30, "pods": 1}, {"cpu": -100, "pods": 10}) == 0


def test_words() -> None:
    assert said("cpu", 1000) == "1 core"
    assert said("requests.cpu", 3920) == "3.92 cores"
    assert said("memory", 1024**3 * 3 // 2) == "1.5 GiB memory"
    assert said("memory", 40 * 1024**2) == "40 MiB memory"
    assert said("requests.nvidia.com/gpu", 1) == "1 GPU"
    assert said("pods", 2) == "2 pods"
    assert said("example.com/fpga", 2) == "2 example.com/fpga"
    assert listed({"nvidia.com/gpu": 2, "cpu": 500, "memory": 0}) == "0.5 cores, 2 GPUs"
    assert listed({}) == "nothing"
    assert (number("limits.cpu", 1500), number("memory", 1024**3), number("pods", 3)) == (1.5, 1, 3)
