"""What a `TrainingVm` is told: its volume, and the image that it starts from."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from mlinfra.components.instances import Instance
from mlinfra.components.key import Key
from mlinfra.components.values import Structure

DEEP_LEARNING: Final = "pytorch"
DRIVERS: Final = "drivers"
PLAIN: Final = "plain"
PRESETS: Final = {
    DEEP_LEARNING: "/aws/service/deeplearning/ami/{arch}/oss-nvidia-driver-gpu-pytorch-2.10-amazon-linux-2023"
    "/latest/ami-id",
    DRIVERS: "/aws/service/deeplearning/ami/{arch}/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id",
    PLAIN: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{arch}",
}
"""The public parameters in which AWS keeps the newest image of each kind (Deep Learning AMI developer guide, release
notes; Amazon Linux 2023 user guide, "AL2023 on Amazon EC2"). All of them run the agent of Session Manager."""

MachineImage = Annotated[
    str,
    Field(
        pattern=rf"^({'|'.join(PRESETS)}|ami-([0-9a-f]{{8}}|[0-9a-f]{{17}})|/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)$",
        examples=["pytorch", "ami-0123456789abcdef0", "/golden/images/training"],
    ),
]
"""An image: `pytorch`, `drivers` or `plain`, an image's id, or a parameter of Systems Manager that holds one."""


class Volume(Structure):
    """The disk of a machine: an encrypted EBS volume of type gp3, with the system and all files on it."""

    gib: int = Field(default=200, ge=30, le=16_384)
    """GiB, at least what the image has: 8 for `plain`, up to 105 for those with drivers. It can be made more in place,
    never less (EC2 API reference, `ModifyVolume`); the file system grows at the next start."""

    iops: int = Field(default=3000, ge=3000, le=16_000)
    """Operations a second: 3,000 are part of the price, more are paid for (EBS user guide, "General Purpose SSD
    volumes")."""

    throughput: int = Field(default=125, ge=125, le=1000)
    """MiB a second: 125 are part of the price, more are paid for; a quarter of `iops` at the most."""

    key: Key | None = None
    """The KMS key that it is encrypted with; by default AWS's own for EBS in the account. It is chosen for ever:
    another one replaces the machine."""

    @model_validator(mode="after")
    def _ratios(self) -> Self:
        source = 'EBS user guide, "General Purpose SSD volumes"'
        if self.iops > max(3000, 500 * self.gib):
            raise ValueError(f"iops is {self.iops}: 500 for each GiB at the most, here {500 * self.gib} ({source})")
        if self.throughput * 4 > self.iops:
            raise ValueError(f"throughput is {self.throughput}: a quarter of iops at the most, here {self.iops / 4:g}")
        return self


def parameter_of(image: str, machine: Instance) -> str:
    """The name of the parameter that holds an image's id; empty for an id."""
    if image.startswith("ami-"):
        return ""
    return PRESETS.get(image, image).format(arch=machine.architecture)


def image_for(image: str | None, machine: Instance) -> str:
    """The image that a machine starts from, where nobody says: with drivers and PyTorch where it has NVIDIA's GPUs."""
    return image or (DEEP_LEARNING if machine.gpus else PLAIN)


def check_image(image: str | None, machine: Instance) -> None:
    """Raise `ValueError` for an image that the machine has no use for."""
    if image in (DEEP_LEARNING, DRIVERS) and not machine.gpus:
        raise ValueError(
            f"image {image!r} is for machines with NVIDIA GPUs, and a {machine.name} has none "
            '(Deep Learning AMI developer guide, "supported EC2 instances"): leave it out, or write image="plain"'
        )
    if image is None and machine.neuron_devices:
        raise ValueError(
            f"a {machine.name} has AWS Neuron devices, whose images differ by framework: name one, such as "
            'image="/aws/service/neuron/dlami/multi-framework/ubuntu-22.04/latest/image_id"'
        )
