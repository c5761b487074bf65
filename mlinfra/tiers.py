"""What differs between dev, staging and prod when nobody says otherwise: the one place where tiers set defaults.

A component asks `tier.defaults` for the value of an option that its author left out; an option given in the blueprint
or through a parameter always wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class TierDefaults:
    """Safety defaults of a tier. Durations are in days, counts in pieces."""

    protected: bool
    """Destroying the stack wants `--force` and its name; what holds data is protected from deletion."""

    empty_on_delete: bool
    """Deleting a store (bucket, image repository) deletes what is in it."""

    min_replicas: int
    """Fewest replicas of an endpoint, so that losing one machine does not lose the service."""

    max_replicas: int
    """Most replicas of an endpoint."""

    old_version_days: int
    """How long a bucket keeps versions that were overwritten or deleted."""

    image_count: int
    """How many images an image repository keeps."""

    metrics_retention_days: int
    """How long Prometheus keeps series."""


class Tier(StrEnum):
    """How much an environment matters. Blueprints may ask this; they never ask for the environment's name."""

    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"

    @property
    def defaults(self) -> TierDefaults:
        """The defaults of this tier."""
        return DEFAULTS[self]

    @property
    def protected(self) -> bool:
        """Whether loss here hurts: no spot machines, nothing deleted without being told twice."""
        return self.defaults.protected


DEFAULTS: Final[dict[Tier, TierDefaults]] = {
    Tier.DEV: TierDefaults(
        protected=False,
        empty_on_delete=True,
        min_replicas=1,
        max_replicas=2,
        old_version_days=7,
        image_count=10,
        metrics_retention_days=2,
    ),
    Tier.STAGING: TierDefaults(
        protected=False,
        empty_on_delete=True,
        min_replicas=2,
        max_replicas=4,
        old_version_days=30,
        image_count=30,
        metrics_retention_days=7,
    ),
    Tier.PROD: TierDefaults(
        protected=True,
        empty_on_delete=False,
        min_replicas=3,
        max_replicas=10,
        old_version_days=365,
        image_count=100,
        metrics_retention_days=30,
    ),
}
