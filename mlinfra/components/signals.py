"""What a component says about its own health: conditions that `Monitoring` makes rules and alarms of."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator

from mlinfra.authoring import Component
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.graph import Value

PROMETHEUS_LABEL: Final = re.sub(r"[^A-Za-z0-9]", "_", COMPONENT_LABEL)
"""The label of a component's pods as Prometheus and kube-state-metrics write it."""

Severity = Literal["critical", "warning"]
"""Critical: something is broken now. Warning: it will break, or works badly."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A CloudWatch alarm on a Container Insights metric, for clusters on EKS.

    It goes off when `statistic` of the metric is less than `below` for `minutes`. No data counts as broken. The
    cluster's name is added to `dimensions`. Source of metrics and dimensions: CloudWatch user guide, "Amazon EKS and
    Kubernetes Container Insights metrics".
    """

    metric: str
    dimensions: Mapping[str, Value]
    statistic: Literal["Average", "Minimum", "Maximum", "Sum"]
    below: float
    minutes: int


@dataclass(frozen=True, slots=True)
class Signal:
    """One condition.

    `name` is in camel case and unique within the component; `expression` is PromQL that gives a result while the
    condition holds; `minutes` says for how long it must hold. `summary` is one sentence.
    """

    name: str
    severity: Severity
    expression: str
    minutes: int
    summary: str
    alarm: Alarm | None = None


class Watched(Component):
    """A component that can be watched, such as an `Endpoint` or a `TrainingJob`."""

    @abstractmethod
    def signals(self) -> tuple[Signal, ...]:
        """The conditions to watch for."""


def _is_watched(value: object) -> object:
    if isinstance(value, Component) and not isinstance(value, Watched):
        raise ValueError(f"{value!r} cannot be watched; endpoints and training jobs can")
    return value


Observed = Annotated[Watched, BeforeValidator(_is_watched)]
"""The type of fields that take what can be watched."""
