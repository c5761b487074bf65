"""Where a training job's runs find their data: what they read, the place for what they make, their checkpoints."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlinfra.components.access import DataStore
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_part import BucketPart
from mlinfra.expansion import Scope
from mlinfra.graph import Value, join

if TYPE_CHECKING:
    from mlinfra.components.training_job import TrainingJob

ARTIFACTS: Final = "MLINFRA_ARTIFACTS"
"""The variable with the place for what a run makes."""

CHECKPOINTS: Final = "MLINFRA_CHECKPOINTS"
"""The variable with the place of a run's checkpoints."""

RUN: Final = "MLINFRA_RUN"
"""The variable with the run's name."""

INDEX: Final = "JOB_COMPLETION_INDEX"
"""The variable with a pod's number in its run (Kubernetes, "Jobs", completion mode)."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What a job's pods read and write, checkpoints among both."""

    reads: tuple[DataStore, ...]
    writes: tuple[DataStore, ...]


class _Checkpoints(BucketPart):
    """The part of a bucket that holds the checkpoints of one job; no component of the blueprint."""

    def variables(self) -> dict[str, Value]:
        """None: a run's own folder is told by `CHECKPOINTS`."""
        return {}

    def __repr__(self) -> str:
        """As the bucket: that is what a blueprint knows."""
        return repr(self.bucket)


def stores(job: "TrainingJob") -> Stores:
    """What the job's pods read and write."""
    part = _checkpoints(job)
    added = (part,) if part else ()
    return Stores((*job.reads, *added), (*job.writes, *added))


def locations(job: "TrainingJob", scope: Scope) -> dict[str, Value]:
    """The places of a run, each with a folder of its own by the run's name; in a sweep, and one for each pod."""
    folder = f"$({RUN})/$({INDEX})" if job.sweep else f"$({RUN})"
    found: dict[str, Value] = {}
    made = next((store for store in job.writes if isinstance(store, Bucket | BucketPart)), None)
    if made is not None and _there(made, scope):
        found[ARTIFACTS] = join(made.uri, f"/runs/{folder}")
    kept = _checkpoints(job)
    if kept is not None and _there(kept, scope):
        found[CHECKPOINTS] = join(kept.uri, f"/{folder}")
    return found


def _checkpoints(job: "TrainingJob") -> _Checkpoints | None:
    if job.checkpoints is None:
        return None
    prefix = f"checkpoints/{job.identity}"
    return _Checkpoints.model_construct(name=job.checkpoints.name, bucket=job.checkpoints, prefix=prefix)


def _there(store: DataStore, scope: Scope) -> bool:
    """Whether the target has the store; where it has not, the store has said so."""
    return scope.environment.has_aws or not store.by_iam
