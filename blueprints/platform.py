"""What the stacks of an environment share: its network, and the repository that their images come from.

One stack for each environment, run by the platform team. Other stacks take what they need of its outputs, in their
stack file: `imports: {network: platform-dev.network}`.
"""

from __future__ import annotations

from mlinfra import Blueprint, Environment, Field, ImageRepository, Network, Params, blueprint


class PlatformParams(Params):
    """What differs between environments."""

    cidr: str = "10.0.0.0/16"
    """The private addresses of the network; those of networks that are to be connected must not overlap."""

    endpoints: list[str] = Field(default_factory=list)
    """Services of AWS that get an address in the network, such as `ecr.api`: each is paid by the hour."""

    pull_accounts: list[str] = Field(default_factory=list)
    """Other AWS accounts whose machines pull images, 12 digits each."""


@blueprint("platform", version="1.0.0")
def platform(env: Environment, p: PlatformParams) -> Blueprint:
    """The network and the images of an environment, for all of its stacks."""
    network = Network("network", cidr=p.cidr, interface_endpoints=p.endpoints)
    images = ImageRepository("images", pull_accounts=p.pull_accounts)
    return Blueprint(network, images, outputs={"network": network.exported, "images": images.url})
