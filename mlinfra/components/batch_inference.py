"""`BatchInference`: predictions for what is in a bucket, written to a bucket, at set times or when somebody asks.

A run is a job like a training job's, from the same template (`job_template`); in shards it is a sweep over their
numbers.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from mlinfra.authoring import Component, Many
from mlinfra.components import endpoint_model, job_checks, job_signals, job_template, release
from mlinfra.components.access import Anonymizes, Data, DataStore, Workload, connect
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_part import BucketPart
from mlinfra.components.endpoint_model import ServedModel
from mlinfra.components.job_queue import JobQueue
from mlinfra.components.job_values import MOST_COMBINATIONS, Sweep
from mlinfra.components.model_store import MODEL_VARIABLE
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.schedule import Schedule, TimeZone
from mlinfra.components.signals import Signal, Watched
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Image
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

INPUT: Final = "MLINFRA_INPUT"
"""The variable with the place of what predictions are made for."""

SHARD: Final = "MLINFRA_SHARD"
SHARDS: Final = "MLINFRA_SHARDS"
"""The variables with a pod's number among the shards, from 0, and with how many there are."""


def _is_folder(value: object) -> object:
    if isinstance(value, Component) and not isinstance(value, Bucket | BucketPart):
        raise ValueError(f"{value!r} is no folder of objects; a Bucket is, and a Dataset")
    return value


Folder = Annotated[DataStore, BeforeValidator(_is_folder)]
"""The type of fields that take a bucket or a part of one."""

_SAME: Final = ("cluster", "pool", "gpus", "cpu", "memory", "image", "command", "config", "retries", "queue")
_SAME_TOO: Final = ("fatal_exit_codes", "deadline_hours", "keep_days", "run_as_user", "moved_from")
"""Fields that mean what they mean in a training job."""


class BatchInference(Watched, Workload):
    """Predictions for all that is in a bucket, written to another one, every night or whenever somebody asks:

        score = BatchInference("score", cluster=cluster, pool=cpu, image=p.score_image, model=p.model, inputs=clicks,
                               outputs=scores, schedule="30 2 * * *", time_zone="Europe/Berlin", shards=8)

        mlinfra run score --stack prod

    `model` is written as an endpoint's is, so that both can have the same parameter. Kubernetes begins a run when it is
    due; one whose predecessor still goes on, or that cannot begin within `start_minutes`, is left out and an alert says
    so. Without `schedule` there are only the runs that people ask for. Without an image, or a model that is still to
    come, there is the identity only.

    What a container finds, besides what a `TrainingJob`'s does (`MLINFRA_RUN`, `MLINFRA_CONFIG`, `<NAME>_URI`):

    - `MODEL_URI` and `MODEL_VERSION`, as an endpoint's pods.
    - `MLINFRA_INPUT`: where the data is, `s3://bucket/prefix`.
    - `MLINFRA_ARTIFACTS`: where predictions go, `<outputs>/runs/<run>`, with shards `<outputs>/runs/<run>/<shard>`. The
      folder is of this run alone and the same for all its attempts: a program that writes the same names again puts
      right what an attempt before it left half done, and predictions are there once, however often a pod was replaced.
    - `MLINFRA_SHARD` and `MLINFRA_SHARDS`: the pod's number from 0, and how many there are; 0 and 1 without shards. A
      program takes the objects whose place in the sorted list, divided by `MLINFRA_SHARDS`, leaves `MLINFRA_SHARD`.
    """

    cluster: Place
    """Where it runs: a cluster, or a team in one."""

    pool: NodePool
    """On which machines it runs."""

    image: Image | None = None
    """The image, by digest; None: not built yet."""

    model: ServedModel | None = None
    """The model, which the container finds in `MODEL_URI`, as an endpoint's does; None: the one in the image."""

    inputs: Folder
    """What predictions are made for; its pods may read it."""

    outputs: Folder
    """Where predictions go, a bucket or a part of one; its pods may write to it, and neither read nor delete."""

    reads: Many[Data] = ()
    """What else its pods may read."""

    anonymizes: Anonymizes | None = None
    """How it makes personal data into data that is not personal any more, such as `scores by random number only, the
    numbers' key is with the users' service`. A workload that reads a store marked `pii` may write to one that is not
    marked so only if it says this."""

    schedule: Schedule | None = None
    """When runs begin: `30 2 * * *` for half past two each night; None: when somebody asks."""

    time_zone: TimeZone = "UTC"
    """The time zone of the schedule, such as `Europe/Berlin`."""

    start_minutes: int = Field(default=60, ge=1, le=1440)
    """Minutes within which a run that is due has to begin; after that it is left out until it is due again."""

    shards: int = Field(default=1, ge=1, le=MOST_COMBINATIONS)
    """Into how many pods the work is divided. Each is tried again for itself; the run has succeeded when all have."""

    parallelism: int = Field(default=4, ge=1, le=MOST_COMBINATIONS)
    """How many of these pods run at a time, at most."""

    gpus: int = Field(default=0, ge=0, le=16)
    """GPUs of one pod."""

    cpu: float | None = Field(default=None, gt=0)
    """Cores of one pod; by default its share of the machine by GPUs, or 1 core without GPUs."""

    memory: float | None = Field(default=None, gt=0)
    """GiB of one pod; by default its share of the machine by GPUs, or 4 GiB without GPUs."""

    command: Many[str] | None = None
    """Command and arguments; by default the image's own. In arguments, `$(NAME)` stands for a variable."""

    config: dict[str, Any] | None = None
    """Parameters of the program, as plain data: `{"batch_size": 512}`. `mlinfra run --set` changes values for one run.
    Not for secrets: they are stored as plain text."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables; they may refer to `MLINFRA_RUN` and to those of buckets as `$(NAME)`. Names that
    mlinfra sets itself are taken. Not for secrets: they are stored as plain text."""

    queue: JobQueue | None = None
    """The queue that runs wait in; a job has one exactly where the cluster has Kueue."""

    retries: int = Field(default=2, ge=0, le=100)
    """How often a run is tried again after its program failed; with shards, each pod. Pods whose machine was taken away
    are replaced and not counted."""

    fatal_exit_codes: Annotated[Many[Annotated[int, Field(ge=1, le=255)]], Field(max_length=255)] = ()
    """Exit codes of the program that say that another try is of no use: the run fails at once, with shards its pod."""

    deadline_hours: int = Field(default=6, ge=1, le=720)
    """Hours after which a run is stopped, with all that it waited for machines; not the time in a queue."""

    keep_days: int = Field(default=30, ge=0, le=365)
    """Days that a run which has ended stays to be looked at, with the logs of its pods."""

    run_as_user: int = Field(default=1000, ge=1, le=65535)
    """User and group that the container runs as; never root."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        job_checks.check_fields(self._job(self.env))
        if taken := sorted({MODEL_VARIABLE, endpoint_model.VERSION_VARIABLE} & set(self.env)):
            raise ValueError(f"env: {' and '.join(taken)} cannot be set, as mlinfra sets what has this name")
        if self.schedule is None and {"time_zone", "start_minutes"} & self.model_fields_set:
            raise ValueError(
                "schedule: without one nothing is ever due; give it, or leave time_zone and start_minutes out"
            )
        return self

    @property
    def template(self) -> Ref:
        """The name of the object that runs are made from."""
        return self.output(job_template.TEMPLATE, "metadata", "name")

    @property
    def read_stores(self) -> tuple[DataStore, ...]:
        """What its pods may read: `inputs`, `reads`, and the model where that is in a store."""
        model = endpoint_model.store_of(self.model)
        return (self.inputs, *self.reads, *((model,) if model else ()))

    @property
    def runs(self) -> bool:
        """Whether all is there that a run takes: an image, and the model unless it is in the image."""
        return self.image is not None and endpoint_model.missing(self.model) is None

    def signals(self) -> tuple[Signal, ...]:
        """A run that failed, one that is about to meet its deadline, and one that is due and does not begin.

        The last one's metric is kube-state-metrics' ("CronJob Metrics"): the time at which the next run is due goes
        by when one could not begin, or when the one before it still goes on.
        """
        if not self.runs:
            return ()
        found = job_signals.signals(self._job(self.env), "batch inference")
        if self.schedule is None:
            return found
        due = f'time() - kube_cronjob_next_schedule_time{{cronjob="{self.identity}"}}'
        summary = f"A run of batch inference {self.name} is due and has not begun"
        return (*found, Signal("Late", "warning", f"max({due}) > 300", 5, summary))

    def expand(self, scope: Scope) -> None:
        """The identity, and the template where all is there that a run takes."""
        if not needs_kubernetes(scope):
            return
        assert isinstance(self.inputs, Bucket | BucketPart)  # by `Folder`
        env: dict[str, Value] = {
            **endpoint_model.variables_of(self.model),
            INPUT: self.inputs.uri,
            SHARD: "$(JOB_COMPLETION_INDEX)" if self.shards > 1 else "0",
            SHARDS: str(self.shards),
            **self.env,
        }
        job = self._job(env)
        job_checks.check(job, scope)
        namespace = self.cluster.namespace
        account = connect(scope, namespace, self.read_stores, (self.outputs,), anonymizes=self.anonymizes)
        endpoint_model.open_way(scope, namespace, self.model)
        if not self.runs:
            return
        release.describe(self, scope)
        due = job_template.Due(self.schedule, self.time_zone, self.start_minutes * 60) if self.schedule else None
        job_template.add(job, scope, account, due)

    def _job(self, env: dict[str, Any]) -> TrainingJob:
        """A run as a training job with these variables; it is no component of the blueprint."""
        numbers: dict[str, Many[Any]] = {"shard": list(range(self.shards)), "shards": [self.shards]}
        return TrainingJob.model_construct(
            name=self.name,
            **{field: getattr(self, field) for field in (*_SAME, *_SAME_TOO)},
            reads=self.read_stores,
            writes=(self.outputs,),
            sweep=Sweep(parameters=numbers, parallelism=self.parallelism) if self.shards > 1 else None,
            env=env,
        )
