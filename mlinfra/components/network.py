"""`Network`: a VPC over several zones with private and public subnets, or one that is there already."""

from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Component, Many, active_recording
from mlinfra.components.network_endpoints import Gateway, Service
from mlinfra.components.network_nodes import expand_network
from mlinfra.components.network_plan import MOST_ZONES, Plan, SubnetRange, VpcRange, ZoneName, check_given, divide
from mlinfra.components.network_values import ExistingNetwork, FlowLogs
from mlinfra.components.tags import Tags
from mlinfra.components.targets import needs_aws
from mlinfra.components.values import repeated
from mlinfra.expansion import Scope
from mlinfra.graph import Value
from mlinfra.tiers import Nat, Tier

DEFAULT_NAME: Final = "network"
"""The name of the network that a blueprint has when something needs one and none is named."""


class Network(Component):
    """A virtual private cloud (VPC): the network that machines, databases and clusters of a stack are in.

    Private subnets, one in each zone, are for what computes and what holds data; nothing on the internet can reach
    them. Public subnets are for load balancers and NAT gateways, through which private machines reach the internet.
    The VPC's default security group lets nothing through, traffic is logged, S3 and DynamoDB are reached without
    leaving AWS. Subnets have the tags by which EKS finds them for load balancers.

    `Network("network")` is a whole one. `Network("network", existing=p.network)` stands for one that is there, made by
    a platform stack that gives it out as `outputs={"network": network.exported}`.
    """

    existing: ExistingNetwork | None = None
    """A network that is there already; then nothing is made, and no other option may be given."""

    cidr: VpcRange = "10.0.0.0/16"
    """The VPC's private IPv4 addresses, from /16 to /28. Networks that are to be connected must not overlap. It
    cannot be changed later: another range is another network."""

    zones: Annotated[int, Field(ge=1, le=MOST_ZONES)] | None = None
    """In how many availability zones there are subnets: the region's first by name. By default as the tier says."""

    zone_names: Annotated[Many[ZoneName], Field(max_length=MOST_ZONES)] = ()
    """The zones by name (`["us-east-1a", "us-east-1c"]`), where it matters which: not all have every machine type."""

    public: bool = True
    """Whether there are public subnets, and with them an internet gateway."""

    private_cidrs: Annotated[Many[SubnetRange], Field(max_length=MOST_ZONES)] = ()
    """The ranges of the private subnets, one for each zone. By default `cidr` is divided: an eighth for each."""

    public_cidrs: Annotated[Many[SubnetRange], Field(max_length=MOST_ZONES)] = ()
    """The ranges of the public subnets, where those of the private ones are given. By default a 64th of `cidr` each."""

    nat: Nat | None = None
    """How private machines reach the internet: `none`, `one` NAT gateway for all zones, or one `per-zone`, so that the
    loss of a zone does not cut off the others. By default as the tier says; `none` without public subnets."""

    gateway_endpoints: Annotated[Many[Gateway], Field(max_length=2)] = ("s3", "dynamodb")
    """Services that are reached through the route tables, free of charge, without a NAT gateway."""

    interface_endpoints: Annotated[Many[Service], Field(max_length=50)] = ()
    """Services that get an address in each private subnet, such as `ecr.api`, `ecr.dkr`, `sts`: each is paid by the
    hour and zone. Only the private subnets reach them, on port 443."""

    flow_logs: FlowLogs | None = FlowLogs()
    """What is logged of the network's traffic; None: nothing."""

    tags: Tags = Field(default_factory=dict)
    """Further tags on the VPC and its subnets, tables, gateways and endpoints, such as Karpenter's
    `{"karpenter.sh/discovery": "ml-prod"}`."""

    # ------------------------------------------------------------------------------------ checks

    @model_validator(mode="after")
    def _existing_or_made(self) -> Self:
        given = sorted(self.model_fields_set - set(Component.model_fields) - {"existing"})
        if self.existing is not None and given:
            raise ValueError(f"{', '.join(given)}: say how a network is made, and this one is there already (existing)")
        return self

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        if self.public_cidrs and not self.private_cidrs:
            raise ValueError("public_cidrs without private_cidrs: give the ranges of both, or of neither")
        if self.public_cidrs and not self.public:
            raise ValueError("public_cidrs, and no public subnets (public=False): leave one of them out")
        if self.private_cidrs and self.public and not self.public_cidrs:
            raise ValueError("private_cidrs without public_cidrs: give the ranges of both, or write public=False")
        if self.private_cidrs:
            check_given(self.cidr, Plan(tuple(self.private_cidrs), tuple(self.public_cidrs)))
        else:
            divide(self.cidr, 1, public=self.public)
        return self

    @model_validator(mode="after")
    def _zones_agree(self) -> Self:
        counts = {"zones": self.zones, "zone_names": len(self.zone_names), "private_cidrs": len(self.private_cidrs)}
        said = {name: count for name, count in counts.items() if count}
        if len(set(said.values())) > 1:
            raise ValueError(
                f"{', '.join(f'{name} says {count}' for name, count in said.items())}: how many zones is it to be?"
            )
        for name in ("zone_names", "gateway_endpoints", "interface_endpoints"):
            if twice := repeated(getattr(self, name)):
                raise ValueError(f"{name} names {', '.join(twice)} more than once")
        return self

    @model_validator(mode="after")
    def _nat_has_a_place(self) -> Self:
        if self.nat not in (None, "none") and not self.public:
            raise ValueError(
                f"nat is {self.nat!r}, and there are no public subnets for NAT gateways to be in (public=False)"
            )
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def vpc_id(self) -> Value:
        """The VPC's id."""
        return self.existing.vpc_id if self.existing else self.output("vpc")

    @property
    def cidr_block(self) -> Value:
        """The VPC's range of addresses."""
        return self.existing.cidr if self.existing else self.cidr

    @property
    def private_subnet_ids(self) -> list[Value]:
        """The ids of the private subnets, in the order of the zones."""
        if self.existing:
            return list(self.existing.private_subnet_ids)
        return [self.output(f"private-{number}") for number in self._numbers()]

    @property
    def public_subnet_ids(self) -> list[Value]:
        """The ids of the public subnets, in the order of the zones; empty where there are none."""
        if self.existing:
            return list(self.existing.public_subnet_ids)
        return [self.output(f"public-{number}") for number in self._numbers()] if self.public else []

    @property
    def private_ranges(self) -> list[str]:
        """The ranges of the private subnets; of an existing network that does not say, the whole VPC's."""
        if self.existing:
            return list(self.existing.private_cidrs or [self.existing.cidr])
        return list(self.plan().private)

    @property
    def availability_zones(self) -> list[Value]:
        """The names of the availability zones, in their order."""
        if self.existing:
            return list(self.existing.zones)
        return [self.output(f"private-{number}", "availabilityZone") for number in self._numbers()]

    @property
    def exported(self) -> dict[str, Value]:
        """The network as an output that other stacks import: `outputs={"network": network.exported}`.

        The parameter that takes it is an `ExistingNetwork`.
        """
        return {
            "vpc_id": self.vpc_id,
            "cidr": self.cidr_block,
            "private_subnet_ids": self.private_subnet_ids,
            "public_subnet_ids": self.public_subnet_ids,
            "private_cidrs": self.private_ranges,
            "zones": self.availability_zones,
        }

    def zone_count(self, tier: Tier | None = None) -> int:
        """In how many zones the network is. `tier` is that of the environment, by default the blueprint's that runs."""
        if self.existing:
            return len(self.existing.private_subnet_ids)
        given = len(self.zone_names) or len(self.private_cidrs) or self.zones
        return given or (tier or self._tier()).defaults.zones

    def nat_in(self, tier: Tier) -> Nat:
        """How private machines reach the internet in an environment of this tier, where the network is made here."""
        return self.nat or (tier.defaults.nat if self.public else "none")

    def plan(self) -> Plan:
        """The ranges of the subnets."""
        if self.private_cidrs:
            return Plan(tuple(self.private_cidrs), tuple(self.public_cidrs))
        return divide(self.cidr, self.zone_count(), public=self.public)

    def _numbers(self) -> range:
        return range(1, self.zone_count() + 1)

    def _tier(self) -> Tier:
        """The tier that the blueprint is compiled for: it was noted where the network was declared."""
        environment = self._recording.environment if self._recording else None
        if environment is None:
            raise ValueError(f"{self!r} was not made by a blueprint, so `zones` has to say in how many zones it is")
        return environment.tier

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The VPC and all that belongs to it; nothing for a network that is there already."""
        if self.existing is None and needs_aws(scope):
            expand_network(self, scope)


def default_network() -> Network | None:
    """The network of a component that names none: the blueprint's `Network("network")`, made if it has none.

    For `network: Network | None = Field(default_factory=default_network)`. None where the target has no AWS.
    """
    recording = active_recording()
    if recording is None:
        return None
    environment = recording.environment
    if environment is None or not environment.has_aws:
        return None
    found: Any = recording.named.get(DEFAULT_NAME)
    return found if isinstance(found, Network) else Network(DEFAULT_NAME)
