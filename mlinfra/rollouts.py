"""How far an endpoint's new version has taken over, as plain data.

Everything that is said of it here is read from the cluster: `mlinfra.workflow.rollout_state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Progress(StrEnum):
    """How far it is."""

    UNSEEN = "unseen"
    """Its controller has not looked at it yet."""
    PROGRESSING = "progressing"
    PAUSED = "paused"
    """It waits for a person, or for a step's time."""
    DONE = "done"
    """One version has all the traffic, and is ready."""
    ABORTED = "aborted"
    """A gate or a person ended it: the version before has the traffic."""
    DEGRADED = "degraded"
    """It cannot go on: pods are not ready, or something is wrong with what it was told."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self in (Progress.DONE, Progress.ABORTED, Progress.DEGRADED)


@dataclass(frozen=True, slots=True)
class GateLook:
    """One thing that a gate looks at: how it stands, the last value, and how many looks went which way.

    `step` counts from 1; None for a gate that belongs to no step. `phase` is Argo Rollouts' own word in lower case.
    """

    name: str
    phase: str
    step: int | None = None
    value: str = ""
    message: str = ""
    good: int = 0
    bad: int = 0
    unclear: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class RolloutState:
    """The rollout of an endpoint, as it is just now.

    `kind` is `Rollout` where Argo Rollouts' controller progresses it, `Deployment` where Kubernetes does; `variant` is
    the one that it is of, empty for the endpoint's only version. `step` is how many of its `steps` are done, None where
    there are none. `weight` is the percent of the traffic that the new version gets. `waits_for_person` says that it is
    paused until somebody promotes or aborts it. `new` and `stable` are the versions' marks, the label of their pods.
    """

    endpoint: str
    namespace: str
    name: str
    kind: str
    strategy: str
    progress: Progress
    variant: str = ""
    message: str = ""
    step: int | None = None
    steps: int = 0
    weight: int | None = None
    wanted: int = 0
    updated: int = 0
    available: int = 0
    waits_for_person: bool = False
    new: str = ""
    stable: str = ""
    images: Mapping[str, str] | None = None
    gates: tuple[GateLook, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The rollout as plain data, without what is empty."""
        record = {name: getattr(self, name) for name in self.__slots__ if name not in ("progress", "gates")}
        kept = {key: value for key, value in record.items() if value not in (None, "")}
        gates = [{key: item for key, item in asdict(gate).items() if item not in (None, "")} for gate in self.gates]
        return {**kept, "progress": str(self.progress), "ended": self.progress.ended, "gates": gates}

    def looks(self) -> tuple[Any, ...]:
        """What of it is worth telling when it changes."""
        gates = tuple((gate.name, gate.step, gate.phase) for gate in self.gates)
        return self.progress, self.message, self.step, self.weight, self.updated, self.available, gates
