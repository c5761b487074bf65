"""The profile of the training data, as the comparison reads it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.serving.drift.places import told
from mlinfra.serving.drift.problems import DriftError
from mlinfra.serving.profiles import FORMAT, digest
from mlinfra.serving.sinks import sink_of


@dataclass(frozen=True, slots=True)
class Trained:
    """What a feature was like in training: quantiles of numbers, or counts of categories; `missing` is a share."""

    missing: float
    quantiles: tuple[float, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return bool(self.quantiles)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile: how many rows it is of, its features, and the digest by which records name it.

    `skipped` are features that nothing can be compared with, such as those that were never there in training.
    """

    rows: int
    features: Mapping[str, Trained]
    digest: str = ""
    skipped: tuple[str, ...] = ()


def load(uri: str) -> Profile:
    """The profile in a file, `s3://bucket/model/profile.json` or a path. Raises `DriftError` where there is none."""
    folder, _, name = uri.rpartition("/")
    try:
        with told(f"the profile {uri} cannot be read"):
            data = sink_of(folder or ".").read(name)
    except (OSError, ValueError) as error:
        raise DriftError(f"the profile {uri} cannot be read: {error}") from None
    if data is None:
        raise DriftError(
            f"there is no profile {uri}, or it may not be read; `mlinfra.serving.write_profile` writes one"
        )
    return read(data)


def read(data: bytes) -> Profile:
    """The profile that a file holds; raises `DriftError` for what is none."""
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise DriftError(f"the profile has format {found['format']!r}; this program knows {FORMAT}")
        rows = int(found["rows"])
        features = {str(name): _feature(item) for name, item in found["features"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DriftError(f"the profile is damaged: {type(error).__name__}: {error}") from None
    known = {name: item for name, item in features.items() if item is not None}
    skipped = tuple(sorted(set(features) - set(known)))
    return Profile(max(rows, 0), known, digest(data), skipped)


def _feature(item: Mapping[str, Any]) -> Trained | None:
    missing = min(1.0, max(0.0, float(item.get("missing", 0.0))))
    if item["kind"] == "number":
        quantiles = tuple(float(value) for value in item["quantiles"])
        ordered = all(map(math.isfinite, quantiles)) and list(quantiles) == sorted(quantiles)
        return Trained(missing, quantiles=quantiles) if len(quantiles) > 1 and ordered else None
    if item["kind"] == "category":
        counts = {str(value): int(count) for value, count in item["counts"].items() if int(count) > 0}
        return Trained(missing, counts=counts) if counts else None
    return None
