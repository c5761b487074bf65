"""What a small team starts with: a machine to train on, and a bucket for its data.

The machine stops itself when nobody uses it, and can be reached by nobody but people of the AWS account. When one
machine is no longer enough, the recommender shows the next step: a cluster, with jobs.
"""

from __future__ import annotations

from mlinfra import (
    Blueprint,
    Bucket,
    Environment,
    ExistingNetwork,
    Field,
    Network,
    Params,
    TrainingVm,
    Volume,
    blueprint,
)


class StarterParams(Params):
    """What differs between environments."""

    machine: str = "m6i.xlarge"
    """Instance type of the machine; one with a GPU, such as `g5.xlarge`, gets NVIDIA's drivers and PyTorch."""

    disk_gib: int = Field(default=100, ge=30, le=4096)
    """Its disk, in GiB."""

    idle_minutes: int = Field(default=60, ge=5, le=1440)
    """Minutes after which it stops if nobody uses it."""

    network: ExistingNetwork | None = None
    """A network that is there already; none: one of its own, as small as can be."""


@blueprint("starter", version="1.0.0")
def starter(env: Environment, p: StarterParams) -> Blueprint:
    """One machine and one bucket."""
    network = Network("network", existing=p.network) if p.network else Network("network", zones=1, nat="one")
    data = Bucket("data", classification="confidential")
    box = TrainingVm(
        "box",
        instance_type=p.machine,
        network=network,
        reads=[data],
        writes=[data],
        volume=Volume(gib=p.disk_gib),
        idle_minutes=p.idle_minutes,
    )
    outputs = {"data": data.uri, "machine": box.instance_id, "connect": box.connect_command, "start": box.start_command}
    return Blueprint(box, outputs=outputs)
