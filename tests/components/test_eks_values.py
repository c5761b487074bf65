from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.eks_values import VERSIONS, Eks, ExistingEks
from mlinfra.components.network import Network
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster

ROLE = "arn:aws:iam::111122223333:role/ml"


def cluster(**fields: Any) -> TrainingCluster:
    eks = Eks(**{"version": "1.34", "network": Network("network"), **fields})
    return TrainingCluster("train", eks=eks, pools=[NodePool("system", instance_type="m6i.large", min=1)])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"version": "1.10"}, "'1.10' is no version of Kubernetes that mlinfra knows EKS to support; those are 1.31, "),
        ({"version": "latest"}, "version"),
        ({"admins": [ROLE], "viewers": [ROLE]}, "named more than once in admins, viewers and groups"),
        ({"admins": ["arn:aws:sts::111122223333:assumed-role/ml/me"]}, "admins"),
        ({"groups": {ROLE: ["system:masters"]}}, "must not begin with system:"),
        ({"public_cidrs": ["203.0.113.7/24"]}, "is not written as the range that it means, 203.0.113.0/24"),
        ({"log_days": 31}, "log_days"),
        ({"addon_versions": {"kube-dns": "v1.0.0-eksbuild.1"}}, "addon_versions"),
        ({"addon_versions": {"coredns": "1.11"}}, "addon_versions"),
        ({"images": {"cluster-autoscaler": "registry.k8s.io/autoscaling/cluster-autoscaler:v1"}}, "by digest"),
        ({"nodes": 3}, "nodes"),
    ],
)
def test_mistakes(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as told:
        cluster(**fields)
    assert says in str(told.value)


def test_an_existing_cluster_is_known_by_its_name() -> None:
    assert ExistingEks(name="ml-prod").oidc_issuer is None
    with pytest.raises(ValueError, match="name"):
        ExistingEks(name="ml prod")


def test_versions_are_in_order_and_extended_support_lasts_a_year() -> None:
    minors = [int(version.partition(".")[2]) for version in VERSIONS]
    assert minors == list(range(minors[0], minors[0] + len(minors)))
    for version, support in VERSIONS.items():
        year, rest = support.standard[:4], support.standard[4:]
        assert support.extended == f"{int(year) + 1}{rest}", version
        assert support.autoscaler.startswith(f"v{version}."), version
