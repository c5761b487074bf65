"""`NodePool`: machines of one kind, on which training and serving run."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Component, Many
from mlinfra.components.instances import Instance, InstanceType, instance
from mlinfra.components.network_plan import ZoneName
from mlinfra.components.quantities import GPU
from mlinfra.components.values import LabelKey, LabelValue, Taint, repeated
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Pool

NEURON = "aws.amazon.com/neuron"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
GPU_PRESENT = "nvidia.com/gpu.present"
"""The label by which NVIDIA's own software knows machines with GPUs."""

AmiType = Literal[
    "AL2023_x86_64_STANDARD",
    "AL2023_ARM_64_STANDARD",
    "AL2023_x86_64_NVIDIA",
    "AL2023_ARM_64_NVIDIA",
    "AL2023_x86_64_NEURON",
    "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_ARM_64",
    "BOTTLEROCKET_x86_64_NVIDIA",
    "BOTTLEROCKET_ARM_64_NVIDIA",
]
"""Systems that EKS starts machines with, those of them that are for Linux and still made (EKS API reference,
`CreateNodegroup`, `amiType`)."""

LEAST_DISK_GIB: Final = 20
"""EKS's own default (EKS API reference, `CreateNodegroup`, `diskSize`); its AMIs need most of it."""


class NodePool(Component):
    """Machines of one instance type.

    What is declared here bounds the quota of the clusters that use the pool, and decides where their pods go: on AWS
    to machines of this instance type (which EKS managed node groups, Karpenter and EKS Auto Mode all label), on other
    clusters wherever the scheduler finds room. The local target stands in machines of exactly these sizes. A cluster
    that the stack makes (`TrainingCluster(eks=Eks(…))`) gets a managed node group for each of its pools.

    Machines with GPUs carry the taint `nvidia.com/gpu=present:NoSchedule`, so that they are kept for pods that use
    GPUs; machines with Inferentia or Trainium carry `aws.amazon.com/neuron=present:NoSchedule`.
    """

    instance_type: InstanceType
    """EC2 instance type, such as `g5.xlarge`."""

    min: int = Field(default=0, ge=0, le=1000)
    """Fewest machines."""

    max: int = Field(default=1, ge=1, le=1000)
    """Most machines."""

    spot: bool = False
    """Whether to use spot machines: cheaper, and taken away at two minutes' notice."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Further labels of the machines."""

    taints: Many[Taint] = ()
    """Further taints of the machines."""

    disk_gib: int = Field(default=100, ge=LEAST_DISK_GIB, le=16_384)
    """GiB of a machine's disk, for images and what pods write beside their volumes: images with PyTorch and CUDA have
    10 GiB and more. Encrypted. It counts where the stack makes the cluster."""

    zones: Annotated[Many[ZoneName], Field(max_length=6)] = ()
    """The availability zones of the machines, such as `["us-east-1a"]`, where it matters which: not all have every
    type, and machines of one zone speak to each other faster and free of charge. By default all of the network's, which
    has to name its own (`zone_names`) where a pool does. It counts where the stack makes the cluster."""

    ami: AmiType | None = None
    """The system that machines start with, where the stack makes the cluster; by default Amazon Linux 2023 for their
    processors and accelerators."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, which is more than max, {self.max}")
        return self

    @model_validator(mode="after")
    def _zones_once(self) -> Self:
        if repeated(self.zones):
            raise ValueError("zones names a zone more than once")
        return self

    @model_validator(mode="after")
    def _system_fits(self) -> Self:
        if self.ami is None:
            return self
        machine = self.machine
        for_arm = "_ARM_64" in self.ami
        if for_arm != (machine.architecture == "arm64"):
            raise ValueError(
                f"ami is {self.ami}, for {'arm64' if for_arm else 'x86_64'}, and a {machine.name} has processors of "
                f"{machine.architecture}"
            )
        for said, there, what in (("NVIDIA", machine.gpus, "NVIDIA GPU"), ("NEURON", machine.neuron_devices, "Neuron")):
            if (said in self.ami) != bool(there):
                raise ValueError(
                    f"ami is {self.ami}, {'with' if said in self.ami else 'without'} drivers for {what} devices, and a "
                    f"{machine.name} has {there or 'none'}"
                )
        return self

    @property
    def machine(self) -> Instance:
        """The facts of one machine."""
        return instance(self.instance_type)

    @property
    def accelerator_counts(self) -> dict[str, int]:
        """How many accelerators a machine has, by their resource names."""
        counts = {GPU: self.machine.gpus, NEURON: self.machine.neuron_devices}
        return {name: count for name, count in counts.items() if count}

    @property
    def accelerators(self) -> tuple[str, ...]:
        """The resource names of the machines' accelerators, which are the keys of their usual taints, too."""
        return tuple(self.accelerator_counts)

    @property
    def ami_type(self) -> AmiType:
        """The system that machines start with (EKS user guide, "Create nodes with optimized Amazon Linux images")."""
        if self.ami is not None:
            return self.ami
        machine = self.machine
        arm = machine.architecture == "arm64"
        if machine.gpus:
            return "AL2023_ARM_64_NVIDIA" if arm else "AL2023_x86_64_NVIDIA"
        if machine.neuron_devices:
            return "AL2023_x86_64_NEURON"
        return "AL2023_ARM_64_STANDARD" if arm else "AL2023_x86_64_STANDARD"

    @property
    def own_labels(self) -> dict[str, str]:
        """The labels that the machines have from this pool alone, beside those that EKS and the kubelet give."""
        present = {GPU_PRESENT: "true"} if self.machine.gpus else {}
        return {f"{DOMAIN}/pool": self.identity, **present, **self.labels}

    @property
    def all_taints(self) -> tuple[tuple[str, str, str], ...]:
        """Key, value and effect of the taints: those that keep accelerators for their users, and the pool's own."""
        return (
            *((name, "present", "NoSchedule") for name in self.accelerators),
            *((taint.key, taint.value, taint.effect) for taint in self.taints),
        )

    def expand(self, scope: Scope) -> None:
        """Declare the machines; a cluster that the stack makes starts them."""
        machine = self.machine
        labels = {
            INSTANCE_TYPE: machine.name,
            "kubernetes.io/arch": "arm64" if machine.architecture == "arm64" else "amd64",
            "eks.amazonaws.com/capacityType": "SPOT" if self.spot else "ON_DEMAND",
        }
        pool = Pool(
            name=self.identity,
            instance_type=machine.name,
            cpu=machine.cpu,
            memory=machine.memory,
            gpus=machine.gpus,
            pods=machine.pods,
            min=self.min,
            max=self.max,
            spot=self.spot,
            labels={**labels, **self.own_labels},
            taints=self.all_taints,
        )
        scope.pool(pool)
