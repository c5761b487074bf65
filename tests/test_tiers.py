"""Tiers: more at stake means safer defaults, never the other way round."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mlinfra.tiers import DEFAULTS, Tier


def test_every_tier_has_its_defaults() -> None:
    assert set(DEFAULTS) == set(Tier)
    assert all(tier.defaults is DEFAULTS[tier] and tier.protected == tier.defaults.protected for tier in Tier)


@pytest.mark.parametrize(("lower", "higher"), list(pairwise([Tier.DEV, Tier.STAGING, Tier.PROD])))
def test_a_higher_tier_is_at_least_as_safe(lower: Tier, higher: Tier) -> None:
    one, other = lower.defaults, higher.defaults
    assert other.protected >= one.protected
    assert other.empty_on_delete <= one.empty_on_delete
    for name in ("min_replicas", "max_replicas", "old_version_days", "key_deletion_days", "image_count"):
        assert getattr(other, name) >= getattr(one, name), name
    for name in ("secret_recovery_days", "backup_days", "standby"):
        assert getattr(other, name) >= getattr(one, name), name
    assert other.metrics_retention_days >= one.metrics_retention_days
    assert other.zones >= one.zones
    assert other.flow_log_days >= one.flow_log_days
    ways = ["none", "one", "per-zone"]
    assert ways.index(other.nat) >= ways.index(one.nat)


def test_the_values_fit_each_other_and_aws() -> None:
    for defaults in DEFAULTS.values():
        assert 1 <= defaults.min_replicas <= defaults.max_replicas


def test_prod_loses_nothing_on_one_word() -> None:
    assert Tier.PROD.protected
    assert not Tier.PROD.defaults.empty_on_delete
    assert Tier.PROD.defaults.min_replicas >= 2
