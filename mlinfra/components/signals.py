"""What a component says about its own health: conditions that `Monitoring` makes rules and alarms of."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator

from mlinfra.authoring import Component
from mlinfra.components.promql import metrics_in
from mlinfra.components.values import TeamName
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Value

PROMETHEUS_LABEL: Final = re.sub(r"[^A-Za-z0-9]", "_", COMPONENT_LABEL)
"""The label of a component's pods as Prometheus and kube-state-metrics write it."""

VARIANT_LABEL: Final = f"{DOMAIN}/variant"
"""The label of an endpoint's pods that says which of its variants they are."""

PROMETHEUS_VARIANT: Final = re.sub(r"[^A-Za-z0-9]", "_", VARIANT_LABEL)

Severity = Literal["critical", "warning"]
"""Critical: something is broken now. Warning: it will break, or works badly."""


INSIGHTS: Final = "ContainerInsights"
"""The namespace in CloudWatch of Container Insights' metrics."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A CloudWatch alarm.

    It goes off when `statistic` of the metric is less than `below`, or more than `above`, for `minutes`. `missing` says
    what no data counts as. Metrics of Container Insights are those of clusters on EKS; the cluster's name is added to
    their `dimensions`. Source of metrics and dimensions: CloudWatch user guide, "Amazon EKS and Kubernetes Container
    Insights metrics"; for other namespaces, the guide of the service.
    """

    metric: str
    dimensions: Mapping[str, Value]
    statistic: Literal["Average", "Minimum", "Maximum", "Sum"]
    below: float | None = None
    above: float | None = None
    minutes: int = 5
    namespace: str = INSIGHTS
    missing: Literal["breaching", "notBreaching", "ignore"] = "breaching"


@dataclass(frozen=True, slots=True)
class Line:
    """A metric in a chart: namespace, name, dimensions, statistic, and what the legend calls it."""

    namespace: str
    metric: str
    dimensions: Mapping[str, Value]
    statistic: str = "Average"
    label: str = ""

    def form(self) -> list[Value]:
        """As an array of a widget's `metrics`."""
        pairs = [part for pair in self.dimensions.items() for part in pair]
        return [self.namespace, self.metric, *pairs, {"stat": self.statistic, "label": self.label or self.metric}]


@dataclass(frozen=True, slots=True)
class Chart:
    """Some metrics over time, with a line at `limit` where an alarm goes off."""

    title: str
    lines: tuple[Line, ...]
    limit: float | None = None
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Signal:
    """One condition.

    `name` is in camel case and unique within the component; `expression` is PromQL that gives a result while the
    condition holds, empty where CloudWatch alone knows of it, by `alarm`; `minutes` says for how long it must hold.
    `summary` is one sentence. `lookback_days` says how many days back the expression looks: series have to be kept for
    longer.
    """

    name: str
    severity: Severity
    expression: str
    minutes: int
    summary: str
    alarm: Alarm | None = None
    lookback_days: int = 0

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that the expression reads: each has to come from somewhere."""
        return metrics_in(self.expression)


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule: `name`, which has a colon in it, is the series that the expression comes to.

    The label `component` is set by `Monitoring`; `labels` are further ones.
    """

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that the expression reads."""
        return metrics_in(self.expression)


class Watched(Component):
    """A component that can be watched, such as an `Endpoint` or a `TrainingJob`."""

    pushes: ClassVar[bool] = False
    """Whether its pods push metrics: `Monitoring` then runs a Pushgateway, and tells the component where it is."""

    team: TeamName | None = None
    """The team that hears of its alerts, as the route's `teams` name it; by default the `Team` whose namespace it is
    in, else the owner in the stack file."""

    @abstractmethod
    def signals(self) -> tuple[Signal, ...]:
        """The conditions to watch for."""

    def records(self) -> tuple[Record, ...]:
        """Series that are worked out all the time, for its signals and for dashboards."""
        return ()

    def exports(self) -> tuple[str, ...]:
        """The metrics that come from its own pods, scraped or pushed: names, or beginnings of names with `*` behind."""
        return ()

    def charts(self, cluster: str) -> Iterable[Chart]:  # noqa: ARG002 — not all are in one
        """What CloudWatch can show of it beside what its alarms look at.

        `cluster` is the EKS cluster that Container Insights report on; empty where they report on none.
        """
        return ()

    def limits(self) -> str:
        """Why it exports no more than it does, as a sentence for messages; empty where there is nothing to say."""
        return ""

    def push_to(self, scope: Scope, address: Value) -> None:
        """Learn the Pushgateway's address, `http://name.namespace.svc:port`.

        It is called after the component has been expanded, with `Monitoring`'s scope: a component that pushes sets an
        environment variable of its pods.
        """


def _is_watched(value: object) -> object:
    if isinstance(value, Component) and not isinstance(value, Watched):
        raise ValueError(f"{value!r} cannot be watched; endpoints, jobs, clusters, databases, queues and buckets can")
    return value


Observed = Annotated[Watched, BeforeValidator(_is_watched)]
"""The type of fields that take what can be watched."""
