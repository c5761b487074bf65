"""What the stacks of an environment share: its network, its cluster, and the repository that their images come from.

One stack for each environment, run by the platform team. Other stacks take what they need of its outputs, in their
stack file: `imports: {network: platform-dev.network, cluster: platform-prod.cluster}`. An imported cluster is an
`ExistingEks`, to be given to a `TrainingCluster`.
"""

from __future__ import annotations

from mlinfra import (
    Blueprint,
    Component,
    Eks,
    Environment,
    Field,
    ImageRepository,
    Network,
    NodePool,
    Params,
    TrainingCluster,
    blueprint,
)


class PlatformParams(Params):
    """What differs between environments."""

    cidr: str = "10.0.0.0/16"
    """The private addresses of the network; those of networks that are to be connected must not overlap."""

    endpoints: list[str] = Field(default_factory=list)
    """Services of AWS that get an address in the network, such as `ecr.api`: each is paid by the hour."""

    pull_accounts: list[str] = Field(default_factory=list)
    """Other AWS accounts whose machines pull images, 12 digits each."""

    kubernetes: str | None = None
    """Version of Kubernetes for the environment's EKS cluster, such as `1.34`; none: it has no cluster."""

    admins: list[str] = Field(default_factory=list)
    """ARNs of IAM roles that may do everything in the cluster, beside the one that makes it."""

    api_cidrs: list[str] = Field(default_factory=list)
    """From where within the network, or networks connected to it, the cluster's API is reached: runners, a VPN."""

    cpu_type: str = "m6i.xlarge"
    """Instance type of machines without GPUs, two of which always run."""

    cpu_nodes: int = Field(default=8, ge=2, le=100)
    """Most machines without GPUs."""

    gpu_type: str = "g5.xlarge"
    """Instance type of machines with GPUs, which run while a pod needs them."""

    gpu_nodes: int = Field(default=4, ge=1, le=100)
    """Most machines with GPUs."""


@blueprint("platform", version="1.1.0")
def platform(env: Environment, p: PlatformParams) -> Blueprint:
    """The network, the images and the cluster of an environment, for all of its stacks."""
    network = Network("network", cidr=p.cidr, interface_endpoints=p.endpoints)
    images = ImageRepository("images", pull_accounts=p.pull_accounts)
    shared: list[Component] = [network, images]
    outputs = {"network": network.exported, "images": images.url}
    if p.kubernetes is not None:
        cpu = NodePool("cpu", instance_type=p.cpu_type, min=2, max=p.cpu_nodes)
        gpu = NodePool("gpu", instance_type=p.gpu_type, max=p.gpu_nodes)
        eks = Eks(version=p.kubernetes, network=network, admins=p.admins, private_cidrs=p.api_cidrs)
        cluster = TrainingCluster("cluster", eks=eks, pools=[cpu, gpu], repository=images)
        shared.append(cluster)
        outputs["cluster"] = cluster.exported
    return Blueprint(*shared, outputs=outputs)
