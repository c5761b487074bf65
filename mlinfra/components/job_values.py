"""What a `TrainingJob` can be besides one pod: many ranks, a sweep over parameters, a Ray cluster."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.node_pool import NodePool
from mlinfra.components.values import NamespaceName, Structure, repeated
from mlinfra.components.workload import Request

MOST_COMBINATIONS: Final = 1000
MOST_SWEPT: Final = 512 * 1024
"""Bytes that all combinations of a sweep may have as JSON. They are in one ConfigMap, which holds 1 MiB with all that
belongs to it (Kubernetes, "ConfigMaps")."""

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
ParameterName = Annotated[str, Field(pattern=rf"^{_NAME}(\.{_NAME})*$", max_length=200)]

Role = Literal["chief", "worker", "ps"]


class Ranks(Structure):
    """A run on many pods that find each other: `Ranks(count=4)`.

    Each pod is one rank. Their environment says who they are and where the first one is, so that the program needs no
    arguments:

    - `pytorch`: `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `LOCAL_WORLD_SIZE`, `NODE_RANK`, `MASTER_ADDR` and `MASTER_PORT`
      for one process in each pod; and the same for `torchrun` (`PET_NNODES`, `PET_NODE_RANK`, `PET_NPROC_PER_NODE`,
      `PET_MASTER_ADDR`, `PET_MASTER_PORT`), which starts a process for each of the pod's GPUs:
      `command=["torchrun", "train.py"]`.
    - `tensorflow`: `TF_CONFIG`. All ranks are workers, for `MultiWorkerMirroredStrategy`. With parameter servers, for
      `ParameterServerStrategy`, the first rank is the chief, the last ones are the parameter servers, and the others
      are workers; the run has succeeded when the chief has, and the others are stopped then.

    A run makes sense only with all of its ranks. Where Kueue runs (`TrainingCluster(kueue=True)`), a run starts when
    there is room for all of them; elsewhere two runs that want more than there is can wait for each other.

    Sources: PyTorch, "torchrun (Elastic Launch)" and "Distributed communication package"; TensorFlow, "Multi-worker
    training with Keras" and "Parameter server training with ParameterServerStrategy".
    """

    count: int = Field(ge=2, le=1000)
    """How many pods there are, parameter servers among them."""

    framework: Literal["pytorch", "tensorflow"] = "pytorch"
    """Which framework's variables the pods get."""

    parameter_servers: int = Field(default=0, ge=0, le=200)
    """How many of them are parameter servers; TensorFlow only. They ask for as much as the other pods."""

    one_per_machine: bool = True
    """Whether each rank of a run has to be on another machine than the others; jobs of others may be there, too."""

    port: int = Field(default=29500, ge=1024, le=65535)
    """Port at which ranks find each other, PyTorch's usual one; with TensorFlow each rank listens on it."""

    @model_validator(mode="after")
    def _roles_fit(self) -> Self:
        if self.parameter_servers and self.framework != "tensorflow":
            raise ValueError(
                'parameter_servers: TensorFlow has them; write `framework="tensorflow"`, or leave them out'
            )
        if self.parameter_servers and self.count < self.parameter_servers + 2:
            raise ValueError(
                f"count is {self.count}, and parameter_servers is {self.parameter_servers}: there have to be a chief "
                f"and a worker beside them, {self.parameter_servers + 2} in all"
            )
        return self

    @property
    def roles(self) -> list[tuple[Role, int]]:
        """What each rank is in TensorFlow's words, and its number among those."""
        if not self.parameter_servers:
            return [("worker", index) for index in range(self.count)]
        workers = self.count - 1 - self.parameter_servers
        servers = range(self.parameter_servers)
        return [("chief", 0), *(("worker", index) for index in range(workers)), *(("ps", index) for index in servers)]


class Sweep(Structure):
    """A run for each combination of parameters:

        Sweep(parameters={"lr": [0.1, 0.01], "model.layers": [2, 4, 8]}, parallelism=3)

    comes to six pods, of which three run at a time. Each finds its own combination, as JSON, in the file that
    `MLINFRA_SWEEP` names (`{"lr": 0.1, "model": {"layers": 2}}`); it goes before what is in `config`. A pod that fails
    is tried again `retries` times; the others go on. The run has succeeded when all of them have.
    """

    parameters: dict[ParameterName, Many[Any]] = Field(min_length=1)
    """The values of each parameter, by its name; dots in a name lead into objects."""

    parallelism: int = Field(default=4, ge=1, le=MOST_COMBINATIONS)
    """How many pods run at a time, at most."""

    max_failures: int | None = Field(default=None, ge=0, le=MOST_COMBINATIONS)
    """How many combinations may fail for good before the others are stopped; by default all are tried."""

    @model_validator(mode="after")
    def _can_be_swept(self) -> Self:
        for name, values in self.parameters.items():
            if not values:
                raise ValueError(f"parameters: {name} has no values")
            texts = [json.dumps(plain(value, name), sort_keys=True) for value in values]
            if twice := repeated(texts):
                raise ValueError(f"parameters: {name} has the value {twice[0]} twice")
        check_paths(self.parameters)
        if (count := self.count) > MOST_COMBINATIONS:
            raise ValueError(f"parameters: there are {count:,} combinations, more than {MOST_COMBINATIONS:,}")
        if (size := sum(map(len, self.texts))) > MOST_SWEPT:
            raise ValueError(f"parameters: the combinations have {size:,} bytes as JSON, more than {MOST_SWEPT:,}")
        return self

    @property
    def count(self) -> int:
        """How many combinations there are."""
        return math.prod(len(values) for values in self.parameters.values())

    @property
    def combinations(self) -> Iterator[dict[str, Any]]:
        """Each combination; the last parameter changes first."""
        for values in itertools.product(*self.parameters.values()):
            yield nested(dict(zip(self.parameters, values, strict=True)))

    @property
    def texts(self) -> list[str]:
        """Each combination as JSON text."""
        return [json.dumps(item, sort_keys=True, separators=(",", ":")) for item in self.combinations]


class Ray(Structure):
    """A run on a Ray cluster of its own, by KubeRay: `Ray(workers=4)`.

    KubeRay (1.1 or newer, which has to run in the cluster) makes a head and the workers, runs the job's command on the
    head, and takes the cluster down when the command ends. The job's `gpus`, `cpu` and `memory` are those of one
    worker. The image holds Ray and the program. When a run fails, it is tried again on a new Ray cluster.
    """

    workers: int = Field(ge=1, le=1000)
    """How many workers there are."""

    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] | None = None
    """The version of Ray in the image, such as `2.49.0`; KubeRay fits its commands to it."""

    head_pool: NodePool | None = None
    """On which machines the head runs; by default on the workers'."""

    head_cpu: float = Field(default=2.0, gt=0)
    """Cores of the head, on which the command runs; no tasks of Ray do."""

    head_memory: float = Field(default=8.0, ge=1)
    """GiB of the head."""

    operator_namespace: NamespaceName = "kuberay-operator"
    """The namespace that KubeRay's operator runs in. It asks the head how the job is, and is let through to it where
    the job's namespace is closed."""

    @property
    def head_request(self) -> Request:
        """What the head asks for."""
        return Request(self.head_cpu, self.head_memory)


STRUCTURES: Final = (Ranks, Sweep, Ray)
"""What documentation describes beside the components."""


def plain(value: Any, where: str) -> Any:
    """A value that JSON has; raises `ValueError` that says where another one stands."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: plain(item, f"{where}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    shown = repr(value) if isinstance(value, float) else f"of the type {type(value).__name__}"
    raise ValueError(f"{where} is {shown}; it has to be what JSON can hold: texts, numbers, lists and objects of such")


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted names as objects within objects."""
    whole: dict[str, Any] = {}
    for name, value in flat.items():
        place = whole
        *folders, last = name.split(".")
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return whole


def check_paths(names: Mapping[str, Any]) -> None:
    """Raise `ValueError` where one name is a value and another leads into it: `model` and `model.layers`."""
    for name in names:
        if inner := next((other for other in names if other.startswith(f"{name}.")), None):
            raise ValueError(f"parameters: {name} is a value, and {inner} would be in it")
