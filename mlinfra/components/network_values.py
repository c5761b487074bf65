"""What a `Network` is told: one that is there already, and what is logged of its traffic."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.bucket import Bucket
from mlinfra.components.key import Key
from mlinfra.components.network_plan import Range, ZoneName
from mlinfra.components.values import LogDays, Structure

VpcId = Annotated[str, Field(pattern=r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$", examples=["vpc-0123456789abcdef0"])]
"""The id of a VPC."""

SubnetId = Annotated[str, Field(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$", examples=["subnet-0123456789abcdef0"])]
"""The id of a subnet."""

_SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]  # two zones: a database takes no fewer


class ExistingNetwork(Structure):
    """A network that is there already: made by another stack, or by somebody else.

    `Network.exported` has this form, so that a stack can give its network out and others can import it.
    """

    vpc_id: VpcId
    """The VPC, for example `vpc-0123456789abcdef0`."""

    cidr: Range
    """The VPC's range of addresses, for example `10.0.0.0/16`."""

    private_subnet_ids: Annotated[Many[SubnetId], Field(min_length=1, max_length=64, examples=[_SUBNETS])]
    """The subnets for machines and databases: nothing on the internet can reach them."""

    public_subnet_ids: Annotated[Many[SubnetId], Field(max_length=64)] = ()
    """The subnets for load balancers that the internet is to reach; none by default."""

    private_cidrs: Annotated[Many[Range], Field(max_length=64)] = ()
    """The ranges of the private subnets: rules that let them in name these. None: the whole VPC's."""

    zones: Annotated[Many[ZoneName], Field(max_length=64)] = ()
    """The availability zones of the private subnets, in their order."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        both = sorted(set(self.private_subnet_ids) & set(self.public_subnet_ids))
        if both:
            raise ValueError(f"{', '.join(both)}: a subnet is private or public, not both")
        return self


class FlowLogs(Structure):
    """What is noted of the traffic of a network: who spoke to whom, how much, and whether it was let through."""

    traffic: Literal["all", "accepted", "rejected"] = "all"
    """Which traffic: all of it, what was let through, or what was not."""

    days: LogDays | None = None
    """Days for which CloudWatch keeps them, by default as the tier says. CloudWatch Logs takes these numbers alone
    (CloudWatch Logs API reference, `PutRetentionPolicy`)."""

    key: Key | None = None
    """The key that CloudWatch encrypts them with, by default one of its own; a bucket has its key itself."""

    bucket: Bucket | None = None
    """A bucket that they are written to, as `AWSLogs/<account>/vpcflowlogs/…`, instead of CloudWatch; the bucket says
    for how long they are kept."""

    interval: Literal[60, 600] = 600
    """Seconds of traffic that one line sums up: 600, or 60 for more lines and more cost (EC2 API reference,
    `CreateFlowLogs`)."""

    @model_validator(mode="after")
    def _kept_by_one(self) -> Self:
        if self.bucket is not None and self.key is not None:
            raise ValueError("key is for CloudWatch, and the bucket says itself what it is encrypted with")
        if self.bucket is not None and self.days is not None:
            raise ValueError(
                f"days is {self.days}, and the bucket says for how long it keeps what is in it: expire_days"
            )
        return self
