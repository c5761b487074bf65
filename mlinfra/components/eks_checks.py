"""What keeps an EKS cluster from coming up, or from being safe, told before anything is made."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from mlinfra.components.eks_values import Eks
from mlinfra.components.network import Network
from mlinfra.components.network_plan import PRIVATE
from mlinfra.components.node_group import zone_names
from mlinfra.components.node_pool import NodePool
from mlinfra.expansion import Scope

_TWO_ZONES: Final = 2
_MOST_TAGS: Final = 50
_OUR_TAGS: Final = 12
"""Of `Scope.tags`, the name, and what the autoscaler reads of a machine's disk and accelerators."""

_WITHOUT_INTERNET: Final = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "sts")
"""Endpoints that machines need which do not reach the internet (EKS user guide, "Deploy private clusters with limited
internet access")."""

_RESERVED: Final = ("kubernetes.io", "k8s.io", "eks.amazonaws.com")
"""Prefixes of labels that machines must not be given (Kubernetes, "Well-Known Labels, Annotations and Taints",
NodeRestriction; EKS API reference, `CreateNodegroup`)."""


def check_eks(scope: Scope, eks: Eks, pools: Sequence[NodePool]) -> bool:
    """Note as errors what is wrong; whether the cluster can be declared all the same."""
    if eks.network is None:
        scope.problem(
            f"cluster {scope.component.name!r} is in no network",
            remedy='Name one: `eks=Eks(…, network=Network("network"))`.',
            code="eks-no-network",
        )
        return False
    _check_network(scope, eks.network)
    _check_openings(scope, eks)
    _check_key(scope, eks)
    _check_pools(scope, eks, eks.network, pools)
    return True


def _check_network(scope: Scope, network: Network) -> None:
    name, tier = scope.component.name, scope.environment.tier
    if network.zone_count(tier) < _TWO_ZONES or len(set(zone_names(network))) == 1:
        scope.problem(
            f"cluster {name!r} needs subnets in two availability zones, and network {network.name!r} is in one",
            detail='EKS takes no fewer (EKS user guide, "Amazon EKS networking requirements for VPC and subnets").',
            remedy="Give the network two zones or more: `zones=2`.",
            code="eks-one-zone",
        )
    missing = [service for service in _WITHOUT_INTERNET if service not in network.interface_endpoints]
    if network.existing is None and network.nat_in(tier) == "none" and missing:
        scope.problem(
            f"machines of cluster {name!r} would reach neither the internet nor {', '.join(missing)}",
            detail=f'Network {network.name!r} has no NAT gateway. What machines need then: EKS user guide, "Deploy '
            'private clusters with limited internet access".',
            remedy=f"Give the network a NAT gateway, or endpoints: `interface_endpoints={[*_WITHOUT_INTERNET]}`.",
            code="eks-no-way-out",
        )


def _check_openings(scope: Scope, eks: Eks) -> None:
    world = [cidr for cidr in eks.public_cidrs if ipaddress.IPv4Network(cidr).prefixlen == 0]
    if world and scope.environment.tier.protected:
        scope.problem(
            f"the Kubernetes API of cluster {scope.component.name!r} would be open to everybody on the internet",
            detail='EKS recommends to name ranges, or to have a private endpoint alone (EKS user guide, "Cluster API '
            'server endpoint"). Tier prod takes nothing else.',
            remedy="Name the ranges of those who need it in `public_cidrs`, or leave it out.",
            code="eks-open-to-the-world",
        )
    inside = [cidr for cidr in eks.public_cidrs if any(ipaddress.IPv4Network(cidr).subnet_of(item) for item in PRIVATE)]
    if inside:
        scope.problem(
            f"public_cidrs of cluster {scope.component.name!r} has {', '.join(inside)}, which are private addresses",
            detail='Nobody on the internet has them: EKS refuses them (EKS user guide, "Cluster API server endpoint").',
            remedy="Who is within the network, or connected to it, belongs into `private_cidrs`.",
            code="eks-private-address",
        )


def _check_key(scope: Scope, eks: Eks) -> None:
    """EKS makes a grant on the key for itself (EKS user guide, "Encrypt Kubernetes secrets with KMS")."""
    if eks.key is None or (eks.key.users == "account" and not eks.key.via):
        return
    why = f"may be used through {', '.join(eks.key.via)} alone" if eks.key.via else "admits roles of components alone"
    scope.problem(
        f"Secrets of cluster {scope.component.name!r} are to be encrypted with key {eks.key.name!r}, which {why}",
        detail='EKS makes a grant on the key for itself (EKS user guide, "Encrypt Kubernetes secrets with KMS").',
        remedy='Give it another key, one with `users="account"` and without `via`.',
        code="key-without-grants",
    )


def _check_pools(scope: Scope, eks: Eks, network: Network, pools: Sequence[NodePool]) -> None:
    if not any(pool.min and not _kept(pool) for pool in pools):
        scope.problem(
            f"cluster {scope.component.name!r} has no machine that what runs for the cluster itself could run on",
            detail="DNS, the driver for volumes and the autoscaler run in pods: they need a pool that always has a "
            "machine (`min` of 1 or more) and no taint, so none with GPUs. Pools: "
            + (", ".join(f"{pool.name} (min {pool.min}, {pool.instance_type})" for pool in pools) or "none")
            + ".",
            remedy='Add one: `NodePool("system", instance_type="m6i.large", min=2, max=4)`.',
            code="eks-no-system-pool",
        )
    for pool in pools:
        _check_zones(scope, network, pool)
        reserved = sorted(key for key in pool.labels if _prefix_reserved(key))
        if reserved:
            scope.problem(
                f"pool {pool.name!r} of cluster {scope.component.name!r} has labels that Kubernetes and EKS keep for "
                f"themselves: {', '.join(reserved)}",
                remedy=f"Take another prefix than {', '.join(_RESERVED)}.",
                code="eks-reserved-label",
            )
        count = _OUR_TAGS + len(eks.tags) + len(pool.own_labels) + len(pool.taints)
        if count > _MOST_TAGS:
            scope.problem(
                f"pool {pool.name!r} of cluster {scope.component.name!r} would have {count} tags, and AWS takes "
                f"{_MOST_TAGS}",
                detail="Labels and taints are tags, too: the autoscaler goes by them where a pool has no machine.",
                remedy="Have fewer labels, or fewer tags.",
                code="eks-too-many-tags",
            )


def _kept(pool: NodePool) -> bool:
    """Whether a taint keeps pods away that do not tolerate it."""
    return any(effect != "PreferNoSchedule" for _, _, effect in pool.all_taints)


def _prefix_reserved(key: str) -> bool:
    prefix, slash, _ = key.rpartition("/")
    return bool(slash) and any(prefix == item or prefix.endswith(f".{item}") for item in _RESERVED)


def _check_zones(scope: Scope, network: Network, pool: NodePool) -> None:
    known = zone_names(network)
    strangers = [zone for zone in pool.zones if zone not in known]
    if not strangers:
        return
    if known:
        lack, detail = f"where network {network.name!r} has no subnet", f"Its zones are {', '.join(known)}."
    else:
        lack = f"and network {network.name!r} does not name its zones"
        detail = "Which zones it gets is known to a run alone: the region's first by name."
    scope.problem(
        f"pool {pool.name!r} is for {', '.join(strangers)}, {lack}",
        detail=detail,
        remedy=f"Name the zones of the network, those of the pool among them: `Network({network.name!r}, "
        f"zone_names={sorted({*pool.zones, *known})})`.",
        code="eks-zone",
    )
