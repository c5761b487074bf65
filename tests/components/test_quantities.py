from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.components.quantities import cores, counted, gibibytes


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1"), (0.5, "500m"), (3.92, "3920m"), (2.0, "2"), (0.1 + 0.2, "300m"), (47.81, "47810m")]
)
def test_cores(count: float, text: str) -> None:
    assert cores(count) == text


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1Gi"), (1.5, "1536Mi"), (0.125, "128Mi"), (14.3125, "14656Mi"), (0.0005, "0Gi")]
)
def test_gibibytes(count: float, text: str) -> None:
    assert gibibytes(count) == text


@given(st.integers(1, 10_000_000))
def test_whole_mebibytes_are_kept(mebibytes: int) -> None:
    text = gibibytes(mebibytes / 1024)
    assert int(text[:-2]) * (1024 if text.endswith("Gi") else 1) == mebibytes


@pytest.mark.parametrize(
    ("count", "several", "text"),
    [
        (1, "GPUs", "1 GPU"),
        (4, "GPUs", "4 GPUs"),
        (0, "pods", "0 pods"),
        (3.92, "cores", "3.92 cores"),
        (1, "GiB of memory", "1 GiB of memory"),
    ],
)
def test_amounts_in_words(count: float, several: str, text: str) -> None:
    assert counted(count, several) == text
