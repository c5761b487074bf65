"""`NodePool`: machines of one kind, on which training and serving run."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from mlinfra.authoring import Component, Many
from mlinfra.components.instances import Instance, instance
from mlinfra.components.quantities import GPU
from mlinfra.components.values import Taint
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Pool

NEURON = "aws.amazon.com/neuron"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"

LabelKey = Annotated[str, Field(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")]


class NodePool(Component):
    """Machines of one instance type.

    What is declared here bounds the quota of the clusters that use the pool, and decides where their pods go: on AWS
    to machines of this instance type (which EKS managed node groups, Karpenter and EKS Auto Mode all label), on other
    clusters wherever the scheduler finds room. The local target stands in machines of exactly these sizes.

    Machines with GPUs carry the taint `nvidia.com/gpu=present:NoSchedule`, so that they are kept for pods that use
    GPUs; machines with Inferentia or Trainium carry `aws.amazon.com/neuron=present:NoSchedule`.
    """

    instance_type: str
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

    @field_validator("instance_type")
    @classmethod
    def _known(cls, name: str) -> str:
        return instance(name).name

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, which is more than max, {self.max}")
        return self

    @property
    def machine(self) -> Instance:
        """The facts of one machine."""
        return instance(self.instance_type)

    @property
    def accelerators(self) -> tuple[str, ...]:
        """The resource names of the machines' accelerators, which are the keys of their usual taints, too."""
        counts = {GPU: self.machine.gpus, NEURON: self.machine.neuron_devices}
        return tuple(name for name, count in counts.items() if count)

    def expand(self, scope: Scope) -> None:
        """Declare the machines; no resource is made for them yet."""
        machine = self.machine
        labels = {
            INSTANCE_TYPE: machine.name,
            "kubernetes.io/arch": "arm64" if machine.architecture == "arm64" else "amd64",
            "eks.amazonaws.com/capacityType": "SPOT" if self.spot else "ON_DEMAND",
            f"{DOMAIN}/pool": self.identity,
        }
        if machine.gpus:
            labels["nvidia.com/gpu.present"] = "true"
        scope.pool(
            Pool(
                name=self.identity,
                instance_type=machine.name,
                cpu=machine.cpu,
                memory=machine.memory,
                gpus=machine.gpus,
                pods=machine.pods,
                min=self.min,
                max=self.max,
                spot=self.spot,
                labels={**labels, **self.labels},
                taints=(
                    *((name, "present", "NoSchedule") for name in self.accelerators),
                    *((taint.key, taint.value, taint.effect) for taint in self.taints),
                ),
            )
        )
