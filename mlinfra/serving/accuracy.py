"""How often a model was right of late, as labels come in."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

from mlinfra.serving.plain import plain

Right = Callable[[Any, Any], bool]
"""Whether a prediction, the first, was right, given the truth, the second."""


def same(prediction: Any, truth: Any) -> bool:
    """Whether both are the same as JSON: 1 of numpy is 1, and `[1, 0]` an array of it."""
    return bool(plain(prediction) == plain(truth))


class Accuracy:
    """The share of right predictions among the latest `window` that have a label.

    `kept` predictions wait for their labels, the oldest go first. Safe between threads.
    """

    def __init__(self, window: int, kept: int, right: Right = same) -> None:
        self._right: Final = right
        self._kept: Final = kept
        self._waiting: OrderedDict[str, Any] = OrderedDict()
        self._results: deque[bool] = deque(maxlen=window)
        self._hits = 0
        self._lock = threading.Lock()

    def predicted(self, request_id: str, prediction: Any) -> None:
        """Keep a prediction until its label comes."""
        with self._lock:
            self._waiting[request_id] = prediction
            while len(self._waiting) > self._kept:
                self._waiting.popitem(last=False)

    def taken(self, request_id: str) -> tuple[bool, Any]:
        """Whether a prediction was waiting for its label, and which; it waits no more."""
        with self._lock:
            return request_id in self._waiting, self._waiting.pop(request_id, None)

    def add(self, prediction: Any, truth: Any) -> float:
        """Count a prediction and its truth; the share of right ones now."""
        right = bool(self._right(prediction, truth))
        with self._lock:
            if len(self._results) == self._results.maxlen:
                self._hits -= self._results[0]
            self._results.append(right)
            self._hits += right
            return self._hits / len(self._results)
