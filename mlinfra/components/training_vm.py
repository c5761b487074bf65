"""`TrainingVm`: one machine to train on, with a role of its own, that nobody on the internet can reach."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Component, Many
from mlinfra.components import training_vm_boot
from mlinfra.components.access import (
    Anonymizes,
    Data,
    DataStore,
    Erasable,
    Grant,
    add_role,
    admit,
    attach,
    check_flow,
    data_grants,
    data_variables,
    policy,
    trusted,
)
from mlinfra.components.instances import Instance, InstanceType, instance
from mlinfra.components.key_use import check_key
from mlinfra.components.network import Network, default_network
from mlinfra.components.network_rules import MACHINE_GROUP, closed_group
from mlinfra.components.tags import Tags
from mlinfra.components.targets import needs_aws
from mlinfra.components.training_vm_values import MachineImage, Volume, check_image, image_for, parameter_of
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

_SSM_CORE: Final = "AmazonSSMManagedInstanceCore"
_SSM_SERVICES: Final = frozenset({"ssm", "ssmmessages"})
"""What Session Manager's agent has to reach (Systems Manager user guide, "Improve the security of EC2 instances by
using VPC endpoints for Systems Manager")."""

_PARAMETERS: Final = ("ssm:GetParameter", "ssm:GetParameters")
_HOPS: Final = 2
"""Hops that the answers of the metadata service go: one more for programs in containers (EC2 user guide, "Use the
Instance Metadata Service to access instance metadata")."""


class TrainingVm(Component):
    """One EC2 machine: the smallest thing that a team starts with, beside a bucket for its data.

        data = Bucket("data")
        box = TrainingVm("box", instance_type="g5.xlarge", reads=[data], writes=[data])

    The machine's role may do what `reads` and `writes` say, and nothing else. It is in a private subnet, has no public
    address and lets nobody in: people get a shell by AWS Systems Manager, `aws ssm start-session --target <id>` (the
    output `connect_command`), which wants an AWS identity, no key and no open port, and which AWS logs. Login shells
    (`sudo su - ec2-user`) find the bucket in `DATA_URI`.

    When it has not been in use for `idle_minutes` it stops itself, and only its disk is paid for; `aws ec2
    start-instances --instance-ids <id>` (the output `start_command`) starts it again, with all files as they were.

    Its disk is its data: what would replace or delete the machine is refused, unless `allow_loss` names it.
    """

    holds_data: ClassVar[bool] = True

    instance_type: InstanceType
    """EC2 instance type, such as `g5.xlarge`. Another size stops the machine, changes it and starts it again."""

    network: Network | None = Field(default_factory=default_network)
    """The network in whose private subnets it is; by default the blueprint's `Network("network")`, which is made if
    there is none. The account's default VPC will not do: it has public subnets only."""

    zone: Annotated[int, Field(ge=1, le=6)] = 1
    """In which of the network's zones it is, counted from 1: not every zone has every machine type. Another zone is
    another machine."""

    reads: Many[Data] = ()
    """What programs on it may read."""

    writes: Many[Data] = ()
    """What programs on it may write; it includes neither reading nor deleting."""

    erases: Many[Erasable] = ()
    """Buckets in which programs on it may delete objects with all their old versions."""

    anonymizes: Anonymizes | None = None
    """How it makes personal data into data that is not personal any more. A machine that reads a store marked `pii`
    may write to one that is not marked so only if it says this."""

    image: MachineImage | None = None
    """What it starts from: `pytorch` (AWS's Deep Learning AMI: NVIDIA's drivers, CUDA, PyTorch), `drivers` (the same
    without a framework, with Docker), `plain` (Amazon Linux 2023), an image's id (`ami-…`), or the name of a parameter
    of Systems Manager that holds one. By default `pytorch` for machines with NVIDIA GPUs, `plain` for others. A machine
    keeps the image that it first started from: a newer one replaces nothing."""

    volume: Volume = Volume()
    """Its disk: `Volume(gib=500)`."""

    idle_minutes: Annotated[int, Field(ge=5, le=10_080)] | None = 60
    """Minutes after which it stops itself if nobody uses it: no more than a quarter of a core at work, no GPU at work,
    nobody typing in a terminal. None: never. A change restarts the machine."""

    tags: Tags = Field(default_factory=dict)
    """Further tags on the machine and its disk."""

    # ------------------------------------------------------------------------------------ checks

    @model_validator(mode="after")
    def _image_fits(self) -> Self:
        check_image(self.image, self.machine)
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def machine(self) -> Instance:
        """The facts of its instance type."""
        return instance(self.instance_type)

    @property
    def instance_id(self) -> Ref:
        """The machine's id."""
        return self.output("machine")

    @property
    def private_ip(self) -> Ref:
        """Its address in the network."""
        return self.output("machine", "privateIp")

    @property
    def role_arn(self) -> Ref:
        """The ARN of its role."""
        return self.output("role", "arn")

    @property
    def connect_command(self) -> Value:
        """The command that opens a shell on it; it wants the AWS CLI with the Session Manager plugin."""
        return join("aws ssm start-session --target ", self.instance_id)

    @property
    def start_command(self) -> Value:
        """The command that starts it again once it has stopped."""
        return join("aws ec2 start-instances --instance-ids ", self.instance_id)

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The role and its profile, a security group that lets nobody in, and the machine."""
        if not needs_aws(scope):
            return
        network = self.network
        if network is None:
            scope.problem(
                f"machine {self.name!r} is on AWS and in no network",
                remedy='Name one: `network=Network("network")`, or leave `network` out.',
                code="machine-without-network",
            )
            return
        if not self._has_a_place(scope, network):
            return
        stores = self._stores(scope)
        check_key(scope, self.volume.key, "ec2")
        check_flow(scope, self.reads, self.writes, self.anonymizes)
        group = closed_group(scope, network, MACHINE_GROUP, f"Machine {self.name}: nobody gets in")
        everywhere = {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0", "description": "Packages, data, Session Manager"}
        scope.aws(
            "out",
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            {"securityGroupId": group, **everywhere, "tags": scope.tags},
        )
        for store in stores:
            store.open_to(scope, None)
        profile, after = self._profile(scope)
        self._machine(scope, network, group, profile, after)

    def _has_a_place(self, scope: Scope, network: Network) -> bool:
        zones = network.zone_count(scope.environment.tier)
        if self.zone > zones:
            scope.problem(
                f"machine {self.name!r} is to be in zone {self.zone} of network {network.name!r}, which has {zones}",
                remedy=f"Name one of its zones, 1 to {zones}, or give the network more.",
                code="machine-zone",
            )
            return False
        nat = network.nat or (scope.environment.tier.defaults.nat if network.public else "none")
        reached = {service.rpartition(".")[2] for service in network.interface_endpoints}
        if network.existing is None and nat == "none" and not reached >= _SSM_SERVICES:
            scope.problem(
                f"nobody could get to machine {self.name!r}: network {network.name!r} has no way to Session Manager",
                detail="The agent on the machine calls AWS, and there is neither a NAT gateway nor an endpoint "
                '(Systems Manager user guide, "Improve the security of EC2 instances by using VPC endpoints").',
                remedy='Give the network `interface_endpoints=["ssm", "ssmmessages"]`, or `nat="one"`.',
                code="machine-unreachable",
            )
            return False
        return True

    def _stores(self, scope: Scope) -> list[DataStore]:
        """What it refers to, each once, but for what no machine reaches, which is noted as an error."""
        reached = []
        for store in dict.fromkeys((*self.reads, *self.writes, *self.erases)):
            if store.by_iam and (store.read_grants() or store.write_grants()):
                reached.append(store)
                continue
            scope.problem(
                f"machine {self.name!r} refers to {store!r}, which is in a Kubernetes cluster",
                detail="Stores in a cluster are reached by its pods alone.",
                remedy='Put the store on AWS (`place="aws"`), or use a Workspace in that cluster.',
                code="machine-store-in-cluster",
            )
        return reached

    def _profile(self, scope: Scope) -> tuple[Ref, tuple[str, ...]]:
        """The instance profile, and the nodes that make its role complete."""
        description = f"Machine {self.name}, stack {scope.environment.name}"
        role = add_role(scope, "role", description, trusted("ec2.amazonaws.com"))
        grants = data_grants(self.reads, self.writes, self.erases)
        admit(scope, grants, role)
        statements = [grant.statement() for grant in grants]
        # The managed policy also lets read every parameter of the account, which no session needs.
        statements.append({**Grant(_PARAMETERS, ("*",)).statement(), "Effect": "Deny"})
        access = scope.aws(
            "policy", "aws:iam/rolePolicy:RolePolicy", {"role": role, "name": "access", "policy": policy(statements)}
        )
        # Sessions take what the agent does, and AWS keeps the managed policy in step with its agent (Systems Manager
        # user guide, "Configure instance permissions required for Systems Manager").
        sessions = attach(scope, "sessions", role, _SSM_CORE)
        inputs = {"name": scope.label_name(limit=64), "role": role, "tags": scope.tags}
        profile = scope.aws("profile", "aws:iam/instanceProfile:InstanceProfile", inputs)
        return profile, (access.node, sessions.node)

    def _machine(self, scope: Scope, network: Network, group: Ref, profile: Ref, after: tuple[str, ...]) -> None:
        tier = scope.environment.tier
        tags = {**self.tags, **scope.tags, "Name": scope.label_name(limit=255)}
        image, ignored = self._image(scope)
        key = {"kmsKeyId": self.volume.key.arn} if self.volume.key else {}
        found = data_variables(scope, None, (*self.reads, *self.erases), self.writes)
        variables = {"AWS_REGION": scope.environment.region, **found}
        scope.aws(
            "machine",
            "aws:ec2/instance:Instance",
            {
                "ami": image,
                "instanceType": self.instance_type,
                "subnetId": network.private_subnet_ids[self.zone - 1],
                "vpcSecurityGroupIds": [group],
                "associatePublicIpAddress": False,
                "iamInstanceProfile": profile,
                "metadataOptions": {
                    "httpEndpoint": "enabled",
                    "httpTokens": "required",
                    "httpPutResponseHopLimit": _HOPS,
                },
                "rootBlockDevice": {
                    "volumeType": "gp3",
                    "volumeSize": self.volume.gib,
                    "iops": self.volume.iops,
                    "throughput": self.volume.throughput,
                    "encrypted": True,
                    **key,
                    "deleteOnTermination": True,  # it never goes unasked, and nothing is left over when it does
                    "tags": tags,
                },
                "userData": training_vm_boot.user_data(variables, self.idle_minutes),
                "instanceInitiatedShutdownBehavior": "stop",
                # Against a slip in the console; a run of ours has guards of its own, and lifts it where it may.
                "disableApiTermination": tier.protected,
                "forceDestroy": True,
                "tags": tags,
            },
            protect=scope.protected or tier.protected,
            ignore_changes=ignored,
            depends_on=after,
        )

    def _image(self, scope: Scope) -> tuple[Value, tuple[str, ...]]:
        """The image's id, and whether changes of it are left alone: those that AWS makes, not those of the author."""
        image = image_for(self.image, self.machine)
        name = parameter_of(image, self.machine)
        if not name:
            return image, ()
        found = scope.lookup("image", "aws:ssm/getParameter:getParameter", {"name": name})
        return Ref(found.node, ("insecureValue",)), ("ami",)
