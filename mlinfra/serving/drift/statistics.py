"""How far two distributions are apart, and how sure it is that they are: PSI and the Kolmogorov-Smirnov statistic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

BINS: Final = 10
_POINTS: Final = 1001
"""Values that stand for the trained distribution, evenly spaced in rank."""

_UNSEEN: Final = 0.5
"""What each bin is counted beside what is in it (Jeffreys' prior), so that an empty one does not make PSI infinite."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far apart, and the probability that this is no accident of small numbers: 0.99 is 99 %."""

    value: float
    confidence: float


def psi(trained: Sequence[float], seen: Sequence[float]) -> Distance:
    """The population stability index of two histograms with the same bins, given as counts.

    `sum((p - q) * log(p / q))`, which is the Jeffreys divergence. It is 0 for the same shares and the same whichever
    comes first. Usual reading: below 0.1 nothing has changed, above 0.2 much has (Siddiqi, "Credit Risk Scorecards").
    By accident alone it is distributed like chi-squared with a degree of freedom less than there are bins, times
    `1/n + 1/m` (Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020).
    """
    import numpy as np
    from scipy.special import rel_entr
    from scipy.stats import chi2

    first, second = (np.asarray(counts, dtype=float) for counts in (trained, seen))
    sizes = float(first.sum()), float(second.sum())
    if len(first) < 2 or 0.0 in sizes:
        return Distance(0.0, 0.0)
    p, q = ((counts + _UNSEEN) / (counts.sum() + _UNSEEN * len(counts)) for counts in (first, second))
    value = max(0.0, float(np.sum(rel_entr(p, q) + rel_entr(q, p))))
    return Distance(value, float(chi2.cdf(value / (1 / sizes[0] + 1 / sizes[1]), len(first) - 1)))


def expanded(quantiles: Sequence[float]) -> Numbers:
    """Values, evenly spaced in rank, of the distribution with these evenly spaced quantiles.

    Between two quantiles it is taken as even; a value that is repeated stays a value that many have.
    """
    import numpy as np

    levels = np.linspace(0, 1, len(quantiles))
    found: Numbers = np.interp(np.linspace(0, 1, _POINTS), levels, np.asarray(quantiles, dtype=float))
    return found


def of_numbers(quantiles: Sequence[float], rows: int, seen: Sequence[float]) -> tuple[Distance, Distance]:
    """PSI, in bins that trained values fill alike, and KS, of numbers: the trained ones' quantiles, and a sample.

    `rows` is how many values the quantiles are of. Values that many have make fewer bins.
    """
    import numpy as np

    trained, values = expanded(quantiles), np.asarray(seen, dtype=float)
    edges = np.unique(np.quantile(trained, np.linspace(0, 1, BINS + 1)[1:-1]))
    # One value that is all there was has bins below it, at it and above it.
    edges = np.unique([*edges, np.nextafter(edges[0], np.inf)]) if len(edges) == 1 else edges
    histograms = [
        np.bincount(np.searchsorted(edges, data, side="right"), minlength=len(edges) + 1) for data in (trained, values)
    ]
    return psi(list(histograms[0] * (rows / _POINTS)), list(histograms[1])), _ks(trained, rows, values)


def _ks(trained: Numbers, rows: int, values: Numbers) -> Distance:
    """The largest difference of the two cumulative distributions; ties, as whole numbers have them, do no harm.

    How sure it is comes from the statistic's distribution for large numbers (SciPy, `kstwobign`).
    """
    import numpy as np
    from scipy.stats import ks_2samp, kstwobign

    if not len(values):
        return Distance(0.0, 0.0)
    value = float(ks_2samp(values, trained, method="asymp").statistic)
    together = np.sqrt(rows * len(values) / (rows + len(values)))
    return Distance(value, float(kstwobign.cdf(value * together)))
