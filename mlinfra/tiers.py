"""What differs between dev, staging and prod when nobody says otherwise: the one place where tiers set defaults.

A component asks `tier.defaults` for the value of an option that its author left out; an option given in the blueprint
or through a parameter always wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

Nat: TypeAlias = Literal["none", "one", "per-zone"]
"""How private machines reach the internet: not at all, by one NAT gateway, or by one in each zone."""


@dataclass(frozen=True, slots=True)
class TierDefaults:
    """Safety defaults of a tier. Durations are in days, counts in pieces."""

    protected: bool
    """Destroying the stack wants `--force` and its name; what holds data is protected from deletion."""

    keeps_data: bool
    """A destroy leaves what holds data, with its settings and what it needs; `allow_loss` gives it up by name."""

    empty_on_delete: bool
    """Deleting a store (bucket, image repository) deletes what is in it."""

    min_replicas: int
    """Fewest replicas of an endpoint, so that losing one machine does not lose the service."""

    max_replicas: int
    """Most replicas of an endpoint."""

    old_version_days: int
    """How long a bucket keeps versions that were overwritten or deleted."""

    access_log_days: int
    """How long a bucket's access logs are kept."""

    key_deletion_days: int
    """How long a key that is to be deleted can still be had back."""

    secret_recovery_days: int
    """How long a secret that was deleted can still be had back; 0: it is gone at once, and its name is free."""

    image_count: int
    """How many images an image repository keeps."""

    database_class: str
    """The RDS instance class of a database: how many cores and how much memory it has."""

    standby: bool
    """Whether a database has a standby in another availability zone, which takes over when machine or zone fail."""

    backup_days: int
    """How many days back a database can be restored to any second; 35 at most."""

    metrics_retention_days: int
    """How long Prometheus keeps series."""

    alertmanager_replicas: int
    """How many Alertmanagers there are, which know what the others have told."""

    zones: int
    """In how many availability zones a network is."""

    nat: Nat
    """The NAT gateways of a network: one costs less, one in each zone stands the loss of a zone."""

    flow_log_days: int
    """How long a network's flow logs are kept; one of the numbers that CloudWatch Logs takes."""

    cluster_log_days: int
    """How long the logs of an EKS cluster's control plane are kept; one of the numbers that CloudWatch Logs takes."""


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
        keeps_data=False,
        empty_on_delete=True,
        min_replicas=1,
        max_replicas=2,
        old_version_days=7,
        access_log_days=30,
        key_deletion_days=7,
        secret_recovery_days=0,
        image_count=10,
        database_class="db.t4g.micro",
        standby=False,
        backup_days=1,
        metrics_retention_days=2,
        alertmanager_replicas=1,
        zones=2,
        nat="one",
        flow_log_days=7,
        cluster_log_days=7,
    ),
    Tier.STAGING: TierDefaults(
        protected=False,
        keeps_data=False,
        empty_on_delete=True,
        min_replicas=2,
        max_replicas=4,
        old_version_days=30,
        access_log_days=90,
        key_deletion_days=7,
        secret_recovery_days=7,
        image_count=30,
        database_class="db.t4g.medium",
        standby=False,
        backup_days=7,
        metrics_retention_days=7,
        alertmanager_replicas=1,
        zones=2,
        nat="one",
        flow_log_days=30,
        cluster_log_days=30,
    ),
    Tier.PROD: TierDefaults(
        protected=True,
        keeps_data=True,
        empty_on_delete=False,
        min_replicas=3,
        max_replicas=10,
        old_version_days=365,
        access_log_days=365,
        key_deletion_days=30,
        secret_recovery_days=30,
        image_count=100,
        database_class="db.m7g.large",
        standby=True,
        backup_days=35,
        metrics_retention_days=30,
        alertmanager_replicas=2,
        zones=3,
        nat="per-zone",
        flow_log_days=365,
        cluster_log_days=365,
    ),
}
