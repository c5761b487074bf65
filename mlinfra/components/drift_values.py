"""What a `DriftMonitor` can be told besides where to look."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Structure, repeated

FeatureName = Annotated[str, Field(min_length=1, max_length=200)]
"""The name of a feature, as requests and the training data have it."""


class Fairness(Structure):
    """Whether groups of people get favourable predictions alike:

        Fairness(groups=["country", "age_band"], favourable_labels=["approved"])

    For each feature the share of favourable predictions is counted by its values. The largest difference between two
    of them, the demographic parity difference (Fairlearn, "Common fairness metrics"), is the gauge
    `fairness_difference`. It needs no true labels, and says nothing of whether predictions are right. The features have
    to be in the requests that are logged.
    """

    groups: Annotated[Many[FeatureName], Field(min_length=1, max_length=20)]
    """Features whose values are the groups, with at most 100 values each: `age_band`, not the age."""

    favourable_from: float = 0.5
    """The least number that is a favourable prediction, such as a score; of truth values, `true` is 1."""

    favourable_labels: Annotated[Many[str], Field(max_length=100)] = ()
    """The favourable predictions, where predictions are texts."""

    prediction_field: str = Field(default="", max_length=200)
    """The field of a prediction that counts, where predictions are objects: `score` of `{"score": 0.7, "id": 3}`."""

    most: float = Field(default=0.1, gt=0, lt=1)
    """The difference above which a warning goes out: 0.1 is ten percentage points."""

    min_rows: int = Field(default=100, ge=10, le=1_000_000)
    """Groups with fewer predictions are left out: a share of few says little."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if twice := repeated(self.groups):
            raise ValueError(f"groups: {' and '.join(twice)} is named more than once")
        return self


class Retrain(Structure):
    """A run of a training job when a feature has drifted: `Retrain(job=fit, days=7)`.

    It is made from the job's template with its own config, as `kubectl create job --from=cronjob/fit` makes one, and
    is called `fit-drift-20261121`. It trains anew; whether what comes of it serves is decided by whoever gives the
    endpoint its model.
    """

    job: TrainingJob
    """The job, in the same namespace; not one with `ray`, whose template is no CronJob."""

    days: int = Field(default=1, ge=1, le=90)
    """Days in which one run is made at most. Drift goes on until a new model serves, and a run a day may be dear."""

    @model_validator(mode="after")
    def _has_a_cron_job(self) -> Self:
        if self.job.ray:
            raise ValueError(f"{self.job!r} runs on Ray, and a run of it cannot be made from a CronJob")
        return self
