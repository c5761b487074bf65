"""The profile of training data: what each feature was like, so that requests can be compared with it later.

`{"format": 1, "rows": N, "features": {name: {"kind": "number", "quantiles": […], "missing": share} or {"kind":
"category", "counts": {…}, "missing": share}}}`, as `profile.json` beside the model. The digest of that file (SHA-256)
is in every record of the request log.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import numbers
import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from mlinfra.serving.plain import MISSING, plain
from mlinfra.serving.sinks import sink_of

_logger: Final = logging.getLogger("mlinfra.serving")

FILE: Final = "profile.json"
FORMAT: Final = 1
QUANTILES: Final = 100
"""Into so many parts of equal weight numbers are cut: 101 quantiles, the least and the greatest value among them."""

MOST_CATEGORIES: Final = 1000
"""Categories that a feature may have. One with more, such as a name or an id, tells nothing, and may be personal."""


def profile(data: Any, *, unlogged: Collection[str] = ()) -> dict[str, Any]:
    """The profile of training data.

    `data`: a DataFrame, columns (`{"age": [41, 17]}`), or rows (`[{"age": 41}, {"age": 17}]`). A feature is a number
    where all its values are, else a category; None, NaN and infinities are missing. Left out are the features in
    `unlogged` and those with more than `MOST_CATEGORIES` categories. Raises `ValueError` for columns of different
    lengths, `TypeError` for rows without names.
    """
    columns = {name: values for name, values in _columns(data).items() if name not in unlogged}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"columns have different lengths: {sorted(lengths)}")
    features = {name: _feature(values) for name, values in sorted(columns.items())}
    return {
        "format": FORMAT,
        "rows": lengths.pop() if lengths else 0,
        "features": {name: found for name, found in features.items() if found is not None},
    }


def write_profile(data: Any, place: str | Path, *, unlogged: Collection[str] = ()) -> str:
    """Write the profile of training data as `profile.json` to a folder or `s3://bucket/prefix`; returns its digest.

    The place is the model's own: `write_profile(train, "s3://models/ranker/41")`, or the folder that is uploaded there.
    """
    body = json.dumps(profile(data, unlogged=unlogged), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    encoded = body.encode("utf-8", "replace") + b"\n"
    sink_of(place).write(FILE, encoded)
    return digest(encoded)


def digest(body: bytes) -> str:
    """The digest of a profile's file."""
    return hashlib.sha256(body).hexdigest()


def _columns(data: Any) -> dict[str, list[Any]]:
    if hasattr(data, "columns") and not isinstance(data, Mapping):  # pandas, polars
        return {str(name): _listed(data[name]) for name in data.columns}
    if isinstance(data, Mapping):
        return {str(name): _listed(values) for name, values in data.items()}
    rows = list(data)
    if not all(isinstance(row, Mapping) for row in rows):
        raise TypeError("rows are mappings from names of features to values, such as {'age': 41}")
    names = {str(name): name for row in rows for name in row}
    return {text: [row.get(name) for row in rows] for text, name in names.items()}


def _listed(values: Iterable[Any]) -> list[Any]:
    """A column's values; those of numpy and its kin all at once as Python's own."""
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    return found if isinstance(found, list) else [found]


def _feature(values: list[Any]) -> dict[str, Any] | None:
    """What a feature was like; None where it is neither a number nor a category."""
    there = [value for value in values if not _missing(value)]
    missing = (len(values) - len(there)) / len(values) if values else 0.0
    if there and all(map(_is_number, there)):
        return {"kind": "number", "quantiles": _quantiles(sorted(map(float, there))), "missing": missing}
    counts = Counter(category(value) for value in there)
    if len(counts) > MOST_CATEGORIES:
        return None
    return {"kind": "category", "counts": dict(sorted(counts.items())), "missing": missing}


def category(value: Any) -> str:
    """The name of a value as a category: text as it is, anything else as JSON has it (`true`, `3`)."""
    found = plain(value)
    return found if isinstance(found, str) else json.dumps(found, sort_keys=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool)


def _missing(value: Any) -> bool:
    if value is None or type(value).__name__ in MISSING:
        return True
    if not _is_number(value):
        return False
    try:
        return not math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return True


def _quantiles(ordered: list[float]) -> list[float]:
    """Quantiles by linear interpolation, as numpy's by default."""
    found = []
    for step in range(QUANTILES + 1):
        where = step * (len(ordered) - 1) / QUANTILES
        below, share = int(where), where - int(where)
        low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
        # Between its neighbours whatever the rounding, and no overflow where they are far apart.
        found.append(min(high, max(low, low * (1 - share) + high * share)))
    return found


class Profiled:
    """The digest of the profile that lies beside a model.

    In a folder it is looked for at once; in S3 by a thread, so that neither a request nor the start waits for it.
    """

    _PAUSES: Final = (1.0, 5.0, 30.0, 60.0)

    def __init__(self, model_uri: str) -> None:
        self._uri = model_uri
        self._found: str | None = None
        self._process = 0
        if not model_uri.startswith("s3://"):
            self._process = os.getpid()
            self._look(())

    def digest(self) -> str | None:
        """The digest; None where there is no profile, or it is not known yet."""
        if self._found is None and self._process != os.getpid():  # in a worker that was forked the thread is gone
            self._process = os.getpid()
            threading.Thread(target=self._look, args=(self._PAUSES,), name="profile", daemon=True).start()
        return self._found

    def _look(self, pauses: tuple[float, ...]) -> None:
        for pause in (0.0, *pauses):
            time.sleep(pause)
            try:
                body = sink_of(self._uri).read(FILE)
            except Exception as error:  # whatever a sink may raise: there will be records without a digest
                _logger.warning("The profile beside %s could not be read: %s", self._uri, error)
                continue
            self._found = digest(body) if body is not None else None
            return
