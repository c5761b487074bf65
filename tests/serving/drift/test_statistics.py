from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlinfra.serving.drift import statistics

COUNTS = st.lists(st.integers(0, 5000), min_size=2, max_size=30).filter(lambda counts: sum(counts) > 0)
PAIRS = st.integers(2, 30).flatmap(
    lambda size: st.tuples(
        *(st.lists(st.integers(0, 5000), min_size=size, max_size=size).filter(sum) for _ in range(2))
    )
)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def quantiles(values: list[float], count: int = 101) -> list[float]:
    """Evenly spaced quantiles, as a profile has them."""
    import numpy as np

    return [float(item) for item in np.quantile(values, np.linspace(0, 1, count))]


@given(COUNTS)
def test_psi_of_the_same_shares_is_nothing(counts: list[int]) -> None:
    assert statistics.psi(counts, counts).value == pytest.approx(0, abs=1e-12)


@given(PAIRS)
def test_psi_is_the_same_whichever_comes_first(pair: tuple[list[int], list[int]]) -> None:
    one, other = statistics.psi(*pair), statistics.psi(*reversed(pair))
    assert one.value == pytest.approx(other.value)
    assert one.value >= 0
    assert 0 <= one.confidence <= 1


@given(PAIRS, st.randoms(use_true_random=False))
def test_psi_does_not_depend_on_the_order_of_bins(pair: tuple[list[int], list[int]], chance: random.Random) -> None:
    both = list(zip(*pair, strict=True))
    chance.shuffle(both)
    shuffled = [list(counts) for counts in zip(*both, strict=True)]
    assert statistics.psi(*shuffled).value == pytest.approx(statistics.psi(*pair).value)


def test_psi_is_what_its_formula_says() -> None:
    """Of large counts, where the prior does not matter: (0.5-0.25)*ln(2) + (0.5-0.75)*ln(2/3)."""
    value = statistics.psi([5_000_000, 5_000_000], [2_500_000, 7_500_000]).value
    assert value == pytest.approx(0.25 * 0.6931472 - 0.25 * -0.4054651, rel=1e-4)


@pytest.mark.parametrize("counts", [([], []), ([5], [5]), ([0, 0], [3, 4]), ([3, 4], [0, 0])])
def test_psi_of_nothing_is_nothing(counts: tuple[list[int], list[int]]) -> None:
    assert statistics.psi(*counts) == statistics.Distance(0.0, 0.0)


@given(st.lists(NUMBERS, min_size=100, max_size=200))
@settings(max_examples=30)
def test_identical_numbers_are_not_apart(values: list[float]) -> None:
    """Of quantiles that have each value in them; the rest is the interpolation's."""
    psi, ks = statistics.of_numbers(sorted(values), len(values), values)
    assert psi.value < 0.1
    assert ks.value < 0.02


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_numbers_of_the_same_distribution_are_not_apart(seed: int) -> None:
    chance = random.Random(seed)
    trained, seen = ([chance.gauss(10, 3) for _ in range(3000)] for _ in range(2))
    psi, ks = statistics.of_numbers(quantiles(trained), 3000, seen)
    assert psi.value < 0.05
    assert ks.value < 0.08


@given(st.integers(0, 10_000), st.floats(0.1, 50))
@settings(max_examples=15)
def test_a_larger_shift_is_further_apart(seed: int, scale: float) -> None:
    chance = random.Random(seed)
    trained, values = ([chance.gauss(0, scale) for _ in range(2000)] for _ in range(2))
    found = [
        statistics.of_numbers(quantiles(trained), 2000, [value + shift * scale for value in values])
        for shift in (0, 0.5, 1, 2)
    ]
    psis, kss = [item[0].value for item in found], [item[1].value for item in found]
    assert psis == sorted(psis)
    assert kss == sorted(kss)
    assert psis[0] < 0.1 < psis[1]
    assert kss[0] < 0.1 < kss[1]
    assert found[3][0].confidence > 0.999
    assert found[3][1].confidence > 0.999


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-1000, 1000))
@settings(max_examples=15)
def test_units_do_not_matter(seed: int, scale: float, offset: float) -> None:
    chance = random.Random(seed)
    trained, seen = [chance.gauss(0, 1) for _ in range(500)], [chance.gauss(0.4, 1.2) for _ in range(500)]
    before = statistics.of_numbers(quantiles(trained), 500, seen)
    after = statistics.of_numbers(
        quantiles([item * scale + offset for item in trained]), 500, [item * scale + offset for item in seen]
    )
    for one, other in zip(before, after, strict=True):
        assert other.value == pytest.approx(one.value, abs=0.02)


@pytest.mark.parametrize(
    ("trained", "seen", "apart"),
    [
        ([0.0] * 50 + [1.0] * 50, [0.0] * 490 + [1.0] * 510, False),  # ties are no drift
        ([0.0] * 50 + [1.0] * 50, [0.0] * 900 + [1.0] * 100, True),
        ([7.0] * 100, [7.0] * 1000, False),  # a constant
        ([7.0] * 100, [8.0] * 1000, True),
        ([7.0] * 100, [6.0] * 1000, True),
        ([float(item % 5) for item in range(100)], [float(item % 5) for item in range(1000)], False),
        ([float(item % 5) for item in range(100)], [float(item % 3) for item in range(1000)], True),
    ],
)
def test_values_that_many_have(trained: list[float], seen: list[float], apart: bool) -> None:
    psi, ks = statistics.of_numbers(quantiles(trained), len(trained) * 100, seen)
    assert (psi.value > 0.2, ks.value > 0.2) == (apart, apart)


@given(st.lists(NUMBERS, min_size=2, max_size=50), st.lists(NUMBERS, max_size=50))
def test_any_quantiles_and_any_sample_have_a_distance(trained: list[float], seen: list[float]) -> None:
    for distance in statistics.of_numbers(sorted(trained), len(trained), seen):
        assert distance.value >= 0
        assert 0 <= distance.confidence <= 1


@given(st.integers(0, 1000))
def test_confidence_is_low_where_nothing_has_changed(seed: int) -> None:
    """Accidents are as rare as the confidence says: of the same dice, most samples have less than 99.99 %."""
    chance = random.Random(seed)
    counts = [[0] * 6, [0] * 6]
    for _ in range(300):
        for side in counts:
            side[chance.randrange(6)] += 1
    assume(all(all(side) for side in counts))
    assert statistics.psi(*counts).confidence < 0.99999
