"""`TrainingJob`: a template from which training runs are made, with an identity of its own.

What a run can be besides one pod is in `job_values`; the template is made in `job_template`, its pods in `job_pod`.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components import job_checks, job_signals, job_template
from mlinfra.components.access import Anonymizes, Data, Erasable, Workload, connect
from mlinfra.components.bucket import Bucket
from mlinfra.components.job_data import stores
from mlinfra.components.job_queue import JobQueue
from mlinfra.components.job_values import Ranks, Ray, Sweep
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.signals import Signal, Watched
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Image
from mlinfra.components.workload import Request, requested
from mlinfra.expansion import Scope
from mlinfra.graph import Ref

_GRACE: Final = 30
_GRACE_WITH_CHECKPOINTS: Final = 90
_USUAL: Final = Request(cpu=1.0, memory=4.0)


class TrainingJob(Watched, Workload):
    """A training job's template; `up` declares it and starts nothing. `mlinfra run` makes a run from it:

        fit = TrainingJob("fit", cluster=cluster, pool=gpu, gpus=1, image=p.image, config={"lr": 0.1, "epochs": 3},
                          reads=[clicks], writes=[models], checkpoints=scratch)

        mlinfra run fit --stack dev --set lr=0.05

    A run is one pod; with `ranks=Ranks(…)` many that train together, with `sweep=Sweep(…)` one for each combination of
    parameters, with `ray=Ray(…)` a Ray cluster. In the cluster the template is a suspended CronJob, which never starts
    anything either; of a Ray job, a ConfigMap with the RayJob. The job's service account may read and write exactly
    what `reads` and `writes` name. Without an image there is the identity only.

    What a container finds:

    - `MLINFRA_RUN`: the run's name.
    - `MLINFRA_CONFIG`: the path of a file with `config` as JSON, where there is one; with what `--set` changed.
    - `<NAME>_URI` for each bucket, dataset or model store that it reads or writes.
    - `MLINFRA_ARTIFACTS`: where the run's results go, `s3://bucket/runs/<run>`, a folder of its own in the first bucket
      or part of one that `writes` names. In a model store it is `…/models/runs/<run>`, which endpoints can serve:
      `StoredModel(store=models, name="runs", version="<run>")`.
    - `MLINFRA_CHECKPOINTS`, with `checkpoints`: a folder that stays the same for all attempts of a run.
    - shared memory for data loaders at `/dev/shm`.

    Spot machines go at two minutes' notice, and others can be drained. The pod gets SIGTERM, and another one takes its
    place; this is not counted as a failure. To go on where it was, a program has to do three things: look in
    `MLINFRA_CHECKPOINTS` for the latest checkpoint when it starts; write one every now and then; and on SIGTERM write
    one within `grace_seconds` and **end with an exit code other than 0** (143 is usual), since 0 says that the work is
    done.
    """

    cluster: Place
    """Where it runs: a cluster, or a team in one."""

    pool: NodePool
    """On which machines it runs."""

    gpus: int = Field(default=0, ge=0, le=16)
    """GPUs of one pod."""

    cpu: float | None = Field(default=None, gt=0)
    """Cores of one pod; by default its share of the machine by GPUs, or 1 core without GPUs."""

    memory: float | None = Field(default=None, gt=0)
    """GiB of one pod; by default its share of the machine by GPUs, or 4 GiB without GPUs."""

    image: Image | None = None
    """The image, by digest; None: not built yet."""

    command: Many[str] | None = None
    """Command and arguments; by default the image's own. In arguments, `$(NAME)` stands for a variable."""

    config: dict[str, Any] | None = None
    """Parameters of the program, as plain data: `{"lr": 0.1, "model": {"layers": 4}}`. `mlinfra run --set` changes
    values for one run. Not for secrets: they are stored as plain text."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables; they may refer to others as `$(NAME)`. Names that mlinfra sets itself are taken.
    Not for secrets: they are stored as plain text."""

    reads: Many[Data] = ()
    """What its pods may read."""

    writes: Many[Data] = ()
    """What its pods may write; it includes neither reading nor deleting."""

    erases: Many[Erasable] = ()
    """Buckets in which its pods may delete objects with all their old versions, or tag them to be erased, such as for
    people who want their data erased (GDPR, article 17); it includes listing names, but not reading."""

    anonymizes: Anonymizes | None = None
    """How it makes personal data into data that is not personal any more, such as `counts per item only, none below
    20`. A workload that reads a store marked `pii` may write to one that is not marked so only if it says this."""

    checkpoints: Bucket | None = None
    """The bucket for checkpoints, which its pods may read and write below `checkpoints/<job>/`. They cannot delete
    them; a bucket with `expire_days` does."""

    ranks: Ranks | None = None
    """Many pods that train together, such as `Ranks(count=4)`."""

    sweep: Sweep | None = None
    """A pod for each combination of parameters, such as `Sweep(parameters={"lr": [0.1, 0.01]})`."""

    ray: Ray | None = None
    """A Ray cluster that runs the command, such as `Ray(workers=4)`."""

    queue: JobQueue | None = None
    """The queue that runs wait in; a job has one exactly where the cluster has Kueue."""

    priority: Literal["low", "high"] = "low"
    """Whether it waits for room, or takes the place of jobs with low priority."""

    retries: int = Field(default=2, ge=0, le=100)
    """How often a run is tried again after its program failed; of a sweep, each pod. Pods whose machine was taken away
    are replaced and not counted; ranks that end because such a one is gone are. A run with ranks may have this many
    failures for each rank, so give it more on spot machines."""

    fatal_exit_codes: Annotated[Many[Annotated[int, Field(ge=1, le=255)]], Field(max_length=255)] = ()
    """Exit codes of the program that say that another try is of no use: the run fails at once, in a sweep its pod."""

    deadline_hours: int = Field(default=24, ge=1, le=720)
    """Hours after which a run is stopped, with all that it waited for machines; not the time in a queue."""

    keep_days: int = Field(default=30, ge=0, le=365)
    """Days that a run which has ended stays to be looked at, with the logs of its pods. After that the same inputs make
    a new run. KubeRay keeps RayJobs until somebody deletes them."""

    fresh_days: int | None = Field(default=None, ge=1, le=365)
    """Days within which some run has to end well, as a model is to be trained again; `Monitoring` warns where none did.
    Fewer than `keep_days`: it is told by the runs that are still there."""

    grace_seconds: int | None = Field(default=None, ge=0, le=3600)
    """Seconds that a pod has between SIGTERM and its end; by default 30, with checkpoints 90. On spot machines at most
    110."""

    run_as_user: int = Field(default=1000, ge=1, le=65535)
    """User and group that the container runs as; never root."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        job_checks.check_fields(self)
        return self

    @property
    def template(self) -> Ref:
        """The name of the object that runs are made from."""
        return self.output(job_template.TEMPLATE, "metadata", "name")

    @property
    def request(self) -> Request:
        """What one pod asks for; of a Ray cluster, one worker."""
        return requested(self.pool, self.gpus, self.cpu, self.memory, _USUAL)

    @property
    def grace(self) -> int:
        """Seconds that a pod has to end."""
        if self.grace_seconds is not None:
            return self.grace_seconds
        return _GRACE_WITH_CHECKPOINTS if self.checkpoints else _GRACE

    @property
    def deadline_seconds(self) -> int:
        """Seconds after which a run is stopped."""
        return self.deadline_hours * 3600

    def signals(self) -> tuple[Signal, ...]:
        """A run that failed or is about to meet its deadline, no run in time, GPUs that are not used."""
        return (*job_signals.signals(self), *job_signals.upkeep(self)) if self.image else ()

    def expand(self, scope: Scope) -> None:
        """The identity, and the template where there is an image."""
        if not needs_kubernetes(scope):
            return
        job_checks.check(self, scope)
        held = stores(self)
        account = connect(
            scope, self.cluster.namespace, held.reads, held.writes, self.erases, anonymizes=self.anonymizes
        )
        if self.image is not None:
            job_template.add(self, scope, account)
