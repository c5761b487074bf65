"""The environment that a blueprint is compiled for: what a stack file says of it, resolved."""

from __future__ import annotations

from dataclasses import dataclass

from mlinfra.tiers import Tier

LOCAL = "local"
"""Account and cluster of the local target, which has real ones of its own that no graph depends on."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who answers for a stack and who pays for it; both end up in tags and labels."""

    team: str
    cost_center: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a blueprint lands.

    Blueprints may use `tier`. The name is for naming and tagging what is made: a blueprint that reads it is refused by
    `mlinfra validate`, because environments differ in their parameters and tiers, not in code.

    `account` and `region` are AWS's, empty where the target has no AWS; on the local target the account is `local`.
    `has_kubernetes` says whether the target has a cluster for Kubernetes resources; `cluster` is its EKS name, `local`
    on the local target, empty where it is no EKS cluster.
    """

    name: str
    tier: Tier
    owner: Owner
    account: str = ""
    region: str = ""
    cluster: str = ""
    has_kubernetes: bool = True

    @property
    def has_aws(self) -> bool:
        """Whether the target has an AWS account."""
        return bool(self.region)

    @property
    def eks_cluster(self) -> str:
        """The name of the EKS cluster that the stack names; empty where it names none."""
        return "" if self.cluster == LOCAL else self.cluster
