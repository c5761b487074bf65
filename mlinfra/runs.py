"""A run of a training job as plain data: how far it is, what came of it, and what it writes.

A run is a Kubernetes `Job`, or a KubeRay `RayJob`, that was made from the template of a `TrainingJob`. Everything that
is said of one here is read from the cluster: `mlinfra.workflow.runs_state`, `mlinfra.workflow.runs_ray`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """How far a run, or one of its pods, is."""

    QUEUED = "queued"
    """A queue has not let it in yet."""
    WAITING = "waiting"
    """Its pods wait for a machine."""
    STARTING = "starting"
    """It has its machines; images are pulled and volumes mounted."""
    RUNNING = "running"
    RETRYING = "retrying"
    """A pod failed, and another takes its place."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEADLINE = "deadline exceeded"
    """It took longer than the job allows, and was stopped."""
    CANCELLED = "cancelled"
    """Somebody stopped it."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self in _ENDED


_ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.DEADLINE, Phase.CANCELLED})


@dataclass(frozen=True, slots=True)
class JobPod:
    """One pod of a run.

    `rank` is its index among the run's pods, None where they have none; `part` is how its log lines are marked: the
    rank, or in a Ray cluster what the pod is. `reason` says why it is where it is, `exit_code` what its program ended
    with.
    """

    name: str
    phase: Phase
    rank: int | None = None
    part: str = ""
    node: str = ""
    reason: str = ""
    exit_code: int | None = None
    container: str = ""

    def as_json(self) -> dict[str, Any]:
        """The pod as plain data, without what is empty."""
        return _plain({**asdict(self), "phase": None, "state": str(self.phase)})


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run, as it is just now.

    `job` is the component that it is a run of, `kind` `Job` or `RayJob`. `digest` is of its inputs: two runs with the
    same digest were made from the same template and the same config. `settings` are the values of its config that
    differ from the template's. `wanted` is how many pods have to succeed, `parallel` how many of them may run at once;
    `running`, `succeeded` and `failed` count pods. Times are UTC, as Kubernetes writes them; `seconds` is how long it
    has run, or ran. `made` says whether this command made it.
    """

    name: str
    job: str
    namespace: str
    phase: Phase
    kind: str = "Job"
    reason: str = ""
    digest: str = ""
    title: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    wanted: int = 1
    parallel: int = 1
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    exit_code: int | None = None
    created: str = ""
    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    started_by: str = ""
    made: bool = False
    pods: tuple[JobPod, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The run as plain data, without texts and values that are empty; its pods apart."""
        record = {
            **{name: getattr(self, name) for name in self.__slots__ if name not in ("phase", "pods", "settings")},
            "state": str(self.phase),
            "finished": self.phase.ended,
            "seconds": round(self.seconds, 3),
        }
        return {**_plain(record), "settings": dict(self.settings)}

    def looks(self) -> tuple[Any, ...]:
        """What of it is worth telling when it changes."""
        return self.phase, self.reason, self.running, self.succeeded, self.failed


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a pod of a run wrote; `part` is the pod's mark, empty where the run has a single pod."""

    run: str
    pod: str
    part: str
    text: str
    time: str = ""
    rank: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The line as plain data."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value not in (None, "")}
