"""What a `Monitoring` is told by: its subjects, with the teams that hear of them, and its own health."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlinfra import naming
from mlinfra.components.place import Place
from mlinfra.components.prometheus import Subject
from mlinfra.components.signals import Signal, Watched
from mlinfra.components.team import Team
from mlinfra.environment import Environment

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring


def subjects(monitoring: Monitoring, environment: Environment) -> Iterator[Subject]:
    """What is watched, and the `Monitoring` itself."""
    for component in monitoring.watches:
        team = team_of(component, environment)
        yield Subject(component, team, component.signals(), component.records(), component.exports())
    owner = naming.dns_label(environment.owner.team)
    yield Subject(monitoring, owner, tuple(_own(monitoring)))


def place_of(component: Watched) -> Place | None:
    """The place whose namespace a component is in, or whose namespace it is; None: it does not say."""
    place = component if isinstance(component, Place) else getattr(component, "cluster", None)
    return place if isinstance(place, Place) else None


def team_of(component: Watched, environment: Environment) -> str:
    """The team that hears of a component's alerts."""
    if component.team:
        return component.team
    place = place_of(component)
    return place.identity if isinstance(place, Team) else naming.dns_label(environment.owner.team)


def _own(monitoring: Monitoring) -> Iterator[Signal]:
    """Sources that do not answer, rules that fail, alerts that do not arrive.

    Sources: the metrics that Prometheus and Alertmanager give of themselves.
    """
    name = monitoring.name
    silent = 'count by (job) (up{job!="pods"} == 0) > 0'
    yield Signal("SourceDown", "warning", silent, 10, f"A source of metrics of {name} does not answer")
    failing = "sum(increase(prometheus_rule_evaluation_failures_total[15m])) > 0"
    yield Signal("RulesFailing", "warning", failing, 5, f"Rules of {name} cannot be worked out")
    lost = "sum(rate(prometheus_notifications_dropped_total[15m])) > 0"
    yield Signal("AlertsLost", "critical", lost, 5, f"Prometheus of {name} cannot hand over alerts to Alertmanager")
    if monitoring.alertmanager is None:
        refused = "sum by (integration) (rate(alertmanager_notifications_failed_total[15m])) > 0"
        yield Signal("Undelivered", "critical", refused, 10, f"Alertmanager of {name} cannot reach a receiver")
