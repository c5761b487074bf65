"""`DriftMonitor`: whether what a served model is asked is still like what it was trained on.

Its program is `mlinfra.serving.drift`; the job that runs it is made in `drift_job`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from mlinfra.components import drift_job, drift_signals
from mlinfra.components.access import Workload
from mlinfra.components.drift_values import Fairness, Retrain
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_model import ServedModel, in_registry, missing
from mlinfra.components.job_template import TEMPLATE
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.schedule import Schedule, TimeZone, longest_gap
from mlinfra.components.signals import Signal, Watched
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Image
from mlinfra.components.workload import Request, check_placement
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

ProfilePlace = Annotated[
    str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([A-Za-z0-9_.=-]+/)*[A-Za-z0-9_.=-]+$", max_length=900)
]
"""An object in S3. A `*` would be a wildcard in a policy."""

MOST_STALE_HOURS: Final = 2160
_LEAST_STALE_HOURS: Final = 24


def _twice(gap: timedelta) -> int:
    """Hours that are twice as long, as far as they may be."""
    return min(-(-2 * gap // timedelta(hours=1)), MOST_STALE_HOURS)


class DriftMonitor(Watched, Workload):
    """Compares the requests of an endpoint with the data that its model was trained on, again and again:

        api = Endpoint("api", …, model=StoredModel(…), log_requests=logs)
        drift = DriftMonitor("drift", endpoint=api, image=p.drift_image, fairness=Fairness(groups=["country"]))
        watch = Monitoring("watch", …, watches=[api, drift])

    It wants two things: the endpoint logs its requests (`log_requests`), and training wrote a profile of its data
    beside the model (`mlinfra.serving.write_profile`). For each feature of the profile it pushes gauges to the
    Pushgateway of the `Monitoring` that watches it, with the label `component` of the endpoint:

    - `data_drift`, by `feature` and `test`: `psi`, the population stability index, of all; `ks`, the
      Kolmogorov-Smirnov statistic, of numbers. 0 is no difference; below 0.1 little, above 0.2 much.
      `data_drift_confidence` is the probability that it is no accident.
    - `data_missing_ratio` and `data_missing_ratio_trained`: the share of rows without the feature, now and in training.
    - `data_new_categories`: how many categories there are that training did not have.
    - `fairness_difference`, by `group`, where `fairness` asks for it.
    - `data_age_seconds`, `data_rows`, `data_malformed_lines`: of the log.

    With fewer than `min_rows` rows there are only the last ones, so that a handful of requests raises no alarm. Records
    of a model with another profile are left out. Each run tells its result in a line of JSON
    (`mlinfra runs follow drift`).

    The image has to have Python and the program: `pip install --no-deps mlinfra-platform`, and the packages of its
    extra `drift` (SciPy, NumPy, Fairlearn, prometheus-client, boto3). In the cluster it is a CronJob, of which
    `mlinfra run drift` makes a run at once, with `--set hours=168` over other hours. Its pods read the endpoint's log
    and the profile, and nothing else. While its image is not there, or the endpoint waits for its first version, there
    is the identity only.
    """

    pushes: ClassVar[bool] = True

    endpoint: Endpoint
    """Whose requests are compared. It logs them: `log_requests`."""

    image: Image | None = None
    """The image, by digest; None: not built yet."""

    model: ServedModel | None = None
    """The model whose profile counts; by default the endpoint's. For an endpoint with variants, a monitor for each."""

    profile: ProfilePlace | None = None
    """Where the profile is, where it is not beside a model in S3, as for a model in a registry:
    `s3://bucket/profiles/ranker.json`. A key of that bucket has to let its pods decrypt it."""

    schedule: Schedule = "15 */6 * * *"
    """When it compares, as cron writes it."""

    time_zone: TimeZone = "UTC"
    """The time zone of `schedule`."""

    hours: int = Field(default=24, ge=1, le=720)
    """Hours of requests that are compared, up to the moment of the run."""

    threshold: float = Field(default=0.2, gt=0, le=10)
    """PSI or KS above which a feature has drifted."""

    missing_percent: float = Field(default=5.0, gt=0, lt=100)
    """Percentage points of missing values, beyond those in training, above which a warning goes out."""

    new_category_percent: float = Field(default=0.1, ge=0.1, le=100)
    """The share of rows, in percent, from which a value that training did not have is a new category."""

    min_rows: int = Field(default=500, ge=50, le=1_000_000)
    """Rows that it takes to say something; a request may have several."""

    max_rows: int = Field(default=200_000, ge=1000, le=10_000_000)
    """Rows that are read at most; of more, objects of the log are chosen at random."""

    fairness: Fairness | None = None
    """Whether groups of people get favourable predictions alike; by default it is not looked at."""

    retrain: Retrain | None = None
    """A training job that is run when a feature has drifted; by default people decide. RBAC cannot say which Jobs
    somebody may make: a program in its pods could make any in the namespace, with any service account there. Use an
    image of your own."""

    stale_hours: int | None = Field(default=None, ge=2, le=MOST_STALE_HOURS)
    """Hours without a comparison after which a warning goes out, more than `schedule` ever leaves between two of them.
    By default twice as many, so that one of them may fail, and at least 24."""

    pool: NodePool | None = None
    """On which machines it runs; None: any without a taint."""

    cpu: float = Field(default=0.5, gt=0, le=64)
    """Cores of its pod."""

    memory: float = Field(default=1.0, ge=0.5, le=512)
    """GiB of its pod. It grows with the features, about 80 KB for each, and not with the requests."""

    deadline_minutes: int = Field(default=60, ge=1, le=1440)
    """Minutes after which a run is stopped."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.endpoint.log_requests is None:
            raise ValueError(
                f"{self.endpoint!r} does not log its requests, so there is nothing to compare: give it "
                "`log_requests=<a Bucket>`"
            )
        if self.retrain and self.retrain.job.cluster is not self.cluster:
            raise ValueError(
                f"retrain: {self.retrain.job!r} runs in {self.retrain.job.cluster.name!r}, and {self.endpoint!r} in "
                f"{self.cluster.name!r}; a pod makes Jobs in its own namespace alone"
            )
        if self.max_rows < self.min_rows:
            raise ValueError(
                f"max_rows is {self.max_rows}, fewer than min_rows, {self.min_rows}: nothing would be said"
            )
        gap = longest_gap(self.schedule)
        if gap >= timedelta(hours=self.stale_after):
            most = timedelta(hours=MOST_STALE_HOURS)
            remedy = f"stale_hours={_twice(gap)} lets one of them fail" if gap < most else "let it compare more often"
            raise ValueError(
                f"stale_hours is {self.stale_after}, and schedule {self.schedule!r} leaves up to "
                f"{gap / timedelta(hours=1):g} hours between two comparisons: the warning that nothing is compared "
                f"would go out though all is well; {remedy}"
            )
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def cluster(self) -> Place:
        """Where it runs: with the endpoint."""
        return self.endpoint.cluster

    @property
    def template(self) -> Ref:
        """The name of the CronJob."""
        return self.output(TEMPLATE, "metadata", "name")

    @property
    def served_model(self) -> ServedModel | None:
        """The model whose profile counts."""
        return self.model or self.endpoint.model

    @property
    def runs(self) -> bool:
        """Whether all is there that a run takes: an image, a profile, and an endpoint that serves."""
        model = self.served_model
        told = self.profile is not None or (model is not None and missing(model) is None and not in_registry(model))
        return told and self.image is not None and self.endpoint.waits_for is None

    @property
    def retrains(self) -> Retrain | None:
        """The job that is run, where its template is there."""
        return self.retrain if self.retrain and self.retrain.job.image else None

    @property
    def stale_after(self) -> int:
        """Hours without a comparison after which a warning goes out."""
        return self.stale_hours or max(_LEAST_STALE_HOURS, _twice(longest_gap(self.schedule)))

    @property
    def request(self) -> Request:
        """What its pod asks for."""
        return Request(self.cpu, self.memory)

    def signals(self) -> tuple[Signal, ...]:
        """Drift, missing values, new categories, unfairness, and that nothing is compared."""
        return drift_signals.signals(self) if self.runs else ()

    def exports(self) -> tuple[str, ...]:
        """The gauges that a comparison pushes."""
        return drift_signals.GAUGES if self.runs else ()

    def push_to(self, scope: Scope, address: Value) -> None:
        """Tell the program where the Pushgateway is."""
        drift_job.tell_gateway(self, scope, address)

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The identity, and the CronJob where all is there that a run takes."""
        if not needs_kubernetes(scope):
            return
        check_placement(scope, self.cluster, self.pool, self.request)
        self._check_profile(scope)
        drift_job.add(self, scope)

    def _check_profile(self, scope: Scope) -> None:
        """Note as an error a profile that nobody can find."""
        if self.profile is not None or self.endpoint.waits_for is not None:
            return
        model, name = self.served_model, self.endpoint.name
        if model is None or in_registry(model):
            why = f"{name} names no model" if model is None else f"the model of {name} is in a registry"
            scope.problem(
                f"{self.name} finds no profile: {why}",
                detail="A profile lies beside a model in S3, where `mlinfra.serving.write_profile` puts it.",
                remedy='Say where it is: `profile="s3://bucket/profiles/ranker.json"`.',
                code="drift-no-profile",
            )
