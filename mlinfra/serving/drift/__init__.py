"""Compare what a served model is asked with what it was trained on: the program of a `DriftMonitor`.

`python -m mlinfra.serving.drift` reads the request log of an endpoint and the profile of its training data, tells what
differs in one line of JSON, and pushes it to a Pushgateway. It wants the extra `drift` (SciPy, NumPy, Fairlearn), which
is imported when it is needed:

- PSI, the population stability index, is the Jeffreys divergence of two histograms, from SciPy's `rel_entr`; how sure
  it is that it is no accident comes from SciPy's chi-squared distribution.
- KS, the Kolmogorov-Smirnov statistic, is SciPy's `ks_2samp`.
- Fairness, the demographic parity difference, is Fairlearn's.
"""

from __future__ import annotations

from mlinfra.serving.drift.comparison import Comparison, Result
from mlinfra.serving.drift.settings import Settings

__all__ = ["Comparison", "Result", "Settings"]
