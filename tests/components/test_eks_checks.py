"""What keeps a cluster from coming up is told by `validate`: each case wrong in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlinfra.components.eks_values import Eks
from mlinfra.components.key import Key
from mlinfra.components.network import Network
from mlinfra.components.network_values import ExistingNetwork
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Taint
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
SUBNETS = [f"subnet-0123456789abcdef{number}" for number in range(3)]
PRIVATE = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "sts")


def there(subnets: int = 2, **fields: Any) -> Network:
    given = {"vpc_id": "vpc-0123456789abcdef0", "cidr": "10.0.0.0/16", "private_subnet_ids": SUBNETS[:subnets]}
    return Network("network", existing=ExistingNetwork(**given, **fields))


def system(**fields: Any) -> NodePool:
    return NodePool("system", **{"instance_type": "m6i.large", "min": 1, "max": 3, **fields})


def cluster(*pools: NodePool, network: Network | None = None, **fields: Any) -> TrainingCluster:
    eks = Eks(version="1.34", network=network or Network("network"), **fields)
    return TrainingCluster("train", eks=eks, pools=pools or [system()])


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "one zone": (lambda: cluster(network=Network("network", zones=1)), "eks-one-zone"),
    "one subnet": (lambda: cluster(network=there(1)), "eks-one-zone"),
    "two subnets in one zone": (lambda: cluster(network=there(2, zones=["us-east-1a", "us-east-1a"])), "eks-one-zone"),
    "no way out": (lambda: cluster(network=Network("network", nat="none")), "eks-no-way-out"),
    "no way out, nothing public": (lambda: cluster(network=Network("network", public=False)), "eks-no-way-out"),
    "no machine": (lambda: TrainingCluster("train", eks=Eks(version="1.34")), "eks-no-system-pool"),
    "none that always runs": (lambda: cluster(system(min=0)), "eks-no-system-pool"),
    "GPUs alone": (lambda: cluster(system(instance_type="g5.xlarge")), "eks-no-system-pool"),
    "tainted": (lambda: cluster(system(taints=[Taint(key="team", value="a")])), "eks-no-system-pool"),
    "key for S3": (lambda: cluster(key=Key("keys", via=["s3"])), "key-without-grants"),
    "key for components": (lambda: cluster(key=Key("keys", users="references")), "key-without-grants"),
    "private address": (lambda: cluster(public_cidrs=["10.0.0.0/8"]), "eks-private-address"),
    "label of Kubernetes": (lambda: cluster(system(labels={"node.kubernetes.io/x": "y"})), "eks-reserved-label"),
    "label of EKS": (lambda: cluster(system(labels={"eks.amazonaws.com/nodegroup": "y"})), "eks-reserved-label"),
    "zone unknown": (lambda: cluster(system(zones=["us-east-1a"])), "eks-zone"),
    "zone elsewhere": (
        lambda: cluster(
            system(zones=["us-east-1c"]), network=Network("network", zone_names=["us-east-1a", "us-east-1b"])
        ),
        "eks-zone",
    ),
    "zone not of what is there": (
        lambda: cluster(system(zones=["us-east-1c"]), network=there(2, zones=["us-east-1a", "us-east-1b"])),
        "eks-zone",
    ),
    "too many tags": (lambda: cluster(system(labels={f"l{number}": "x" for number in range(40)})), "eks-too-many-tags"),
    "GPU job on a CPU pool": (
        lambda: TrainingJob("fit", cluster=(place := cluster()), pool=place.pools[0], gpus=1, image=IMAGE),
        "placement-too-large",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_mistakes(expanded: Any, name: str) -> None:
    declare, code = CASES[name]
    result = expanded(declare)
    assert code in result.codes, result.diagnostics
    told = next(item for item in result.diagnostics if item.code == code)
    assert told.remedy
    assert told.location
    assert told.component in ("train", "fit")


def test_open_to_the_world_is_refused_in_prod_alone(expanded: Any) -> None:
    def opened() -> Any:
        return cluster(public_cidrs=["0.0.0.0/0"])

    assert expanded(opened, tier=Tier.PROD).codes == ["eks-open-to-the-world"]
    assert expanded(opened, tier=Tier.STAGING).codes == []


FINE: dict[str, Callable[[], Any]] = {
    "a network that is there": lambda: cluster(network=there(2)),
    "named zones": lambda: cluster(
        system(zones=["us-east-1a"]), network=Network("network", zone_names=["us-east-1a", "us-east-1b"])
    ),
    "no internet, but endpoints": lambda: cluster(
        network=Network("network", nat="none", interface_endpoints=[*PRIVATE])
    ),
    "a taint that keeps nobody away": lambda: cluster(system(taints=[Taint(key="soft", effect="PreferNoSchedule")])),
    "a key of its own": lambda: cluster(key=Key("keys")),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_fine(expanded: Any, name: str) -> None:
    assert expanded(FINE[name]).codes == []


def test_the_subnets_of_a_zone(expanded: Any) -> None:
    network = {"zone_names": ["us-east-1a", "us-east-1b", "us-east-1c"]}
    result = expanded(
        lambda: cluster(
            system(), NodePool("gpu", instance_type="g5.xlarge", zones=["us-east-1b"]), network=Network("n", **network)
        )
    )
    assert [item.node for item in result.inputs("train/pool-gpu")["subnetIds"]] == ["n/private-2"]
    assert len(result.inputs("train/pool-system")["subnetIds"]) == 3


def test_without_aws_there_is_nothing_to_check(expanded: Any) -> None:
    pools = [NodePool("gpu", instance_type="g5.xlarge")]
    result = expanded(lambda: TrainingCluster("train", eks=Eks(version="1.34"), pools=pools), "kubeconfig")
    assert result.codes == []
