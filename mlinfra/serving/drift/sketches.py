"""What is kept of a stream that may have any length: a sample of its values, and the values that are frequent."""

from __future__ import annotations

import random
from array import array
from typing import Final

SAMPLE: Final = 10_000
"""Values that a sample keeps: PSI of ten bins is off by about 0.001, KS by about 0.01."""

FREQUENT: Final = 2_000
"""Values that are counted at the same time; of what is missed each makes up less than 1/2,000 of the stream."""


class Sample:
    """Numbers of a stream, each kept with the same probability (Vitter, "Random sampling with a reservoir", 1985).

    The same stream gives the same sample.
    """

    def __init__(self, size: int = SAMPLE) -> None:
        self.count = 0
        self.values = array("d")
        self._size = size
        self._random = random.Random(0)  # noqa: S311 — a sample, no secret

    def add(self, value: float) -> None:
        """Look at one more value."""
        self.count += 1
        if len(self.values) < self._size:
            self.values.append(value)
        elif (place := int(self._random.random() * self.count)) < self._size:
            self.values[place] = value


class Frequent:
    """The frequent values of a stream, with counts (Misra and Gries, "Finding repeated elements", 1982).

    A value that makes up more than `1/size` of the stream is among them. Counts are at most too low, by less than that.
    """

    def __init__(self, size: int = FREQUENT) -> None:
        self.count = 0
        self.counts: dict[str, int] = {}
        self._size = size

    def add(self, value: str) -> None:
        """Look at one more value."""
        self.count += 1
        if value in self.counts:
            self.counts[value] += 1
        elif len(self.counts) < self._size:
            self.counts[value] = 1
        else:
            self.counts = {key: count - 1 for key, count in self.counts.items() if count > 1}
