"""A `Gate` as an `AnalysisTemplate`, by which Argo Rollouts' controller asks Prometheus.

Source of the fields and of how looks are counted: Argo Rollouts, "Analysis & Progressive Delivery".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlinfra.authoring import Component
from mlinfra.components.network_policies import is_closed, pods, tcp
from mlinfra.components.rollout_values import Gate
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

API: Final = "argoproj.io/v1alpha1"
CONTROLLER_NAMESPACE: Final = "argo-rollouts"
"""Where Argo Rollouts' controller runs (Argo Rollouts, "Installation")."""

_PROMETHEUS_PORT: Final = 9090
_TIMEOUT: Final = 20


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that a gate looks at: a query, and the limit of its answer."""

    name: str
    query: str
    limit: float
    above_is_bad: bool = True

    def conditions(self) -> dict[str, str]:
        """When a look is good, and when it is bad. No answer, and one that is no number, are neither."""
        good, bad = ("<=", ">") if self.above_is_bad else (">=", "<")
        answer = "len(result) > 0 && result[0]"
        return {
            "successCondition": f"{answer} {good} {self.limit:g}",
            "failureCondition": f"{answer} {bad} {self.limit:g}",
        }


def looks(endpoint: Endpoint, gate: Gate, variant: str) -> Iterator[Look]:
    """What a gate looks at, of the pods of an endpoint whose label says `variant`."""
    series = f'component="{endpoint.identity}",variant="{variant}"'
    if meters := endpoint.served_by.meters:
        window = f"{gate.window_seconds}s"
        failed, every = meters.failed_of(series, window), meters.requests_of(series, window)
        # Nobody has counted what never happened: without `or`, no error at all would be no answer.
        errors = f"({failed} or vector(0)) / {every}"
        yield Look("errors", errors, (gate.error_percent or endpoint.error_percent) / 100)
        slow = meters.slow_of(series).replace("[5m]", f"[{window}]")
        yield Look("latency", slow, gate.latency_seconds or endpoint.latency_seconds)
    if gate.accuracy is not None:
        yield Look("accuracy", f"min(model_accuracy{{{series}}})", gate.accuracy, above_is_bad=False)


def add_gate(
    scope: Scope, endpoint: Endpoint, gate: Gate, *, local: str, seconds: int, variant: str, address: Value, wait: int
) -> Ref:
    """Add the template of a gate that looks on for some seconds, after `wait` seconds; returns its name."""
    count = max(1, seconds // gate.every_seconds)
    metrics = [
        {
            "name": look.name,
            "interval": f"{gate.every_seconds}s",
            "initialDelay": f"{max(wait, gate.every_seconds)}s",
            "count": count,
            **look.conditions(),
            "failureLimit": gate.forgiven,
            # Looks that find no requests do not count as long as there is one that finds some.
            "inconclusiveLimit": count - 1,
            "provider": {"prometheus": {"address": address, "query": look.query, "timeout": _TIMEOUT}},
        }
        for look in looks(endpoint, gate, variant)
    ]
    return _template(scope, endpoint, local, metrics)


def add_load_test(scope: Scope, endpoint: Endpoint, name: str, *, local: str, service: Ref) -> Ref | None:
    """Add the template of a gate that waits for a load test of the pods behind a Service.

    Notes as an error, and returns None, where there is no such load test.
    """
    from mlinfra.components.load_test import LoadTest  # it knows endpoints, and they know this module

    test = endpoint._recording.named.get(name) if endpoint._recording else None
    if not isinstance(test, LoadTest) or test.place is not endpoint.cluster:
        scope.problem(
            f"a gate of {endpoint.name} waits for {name!r}, which is no LoadTest that runs where the endpoint does",
            remedy=f"Declare it, `LoadTest({name!r}, target={endpoint.name}, …)`, and give it to `Blueprint(…)`.",
            code="rollout-load-test",
        )
        return None
    url = join("http://", service, ".", endpoint.cluster.namespace, ".svc:", endpoint.port)
    job = {"spec": test.job_spec(scope, url)}
    metrics = [{"name": "load-test", "count": 1, "failureLimit": 0, "provider": {"job": job}}]
    return _template(scope, endpoint, local, metrics)


def _template(scope: Scope, endpoint: Endpoint, local: str, metrics: list[dict[str, Any]]) -> Ref:
    name = f"{endpoint.identity}-{local}"
    namespace = endpoint.cluster.namespace
    made = scope.kubernetes(local, API, "AnalysisTemplate", name, {"spec": {"metrics": metrics}}, namespace=namespace)
    return Ref(made.node, ("metadata", "name"))


# ------------------------------------------------------------------------------------------------ Prometheus


def prometheus_of(scope: Scope, endpoint: Endpoint, given: str | None) -> Value:
    """The address of the Prometheus that gates ask: the one that is given, or that of whoever watches the endpoint.

    Notes as an error where there is none. A Prometheus of the blueprint may be called by the controller then.
    """
    if given is not None:
        return given
    if (watcher := _watcher(endpoint)) is None:
        scope.problem(
            f"the gates of {endpoint.name} have no Prometheus to ask: no Monitoring watches it",
            detail="A gate looks at errors, latency and accuracy in Prometheus.",
            remedy=f'Watch it: `Monitoring("watch", cluster=…, watches=[{endpoint.name}], …)`. Or name a Prometheus '
            'that is there: `Canary(…, prometheus="http://prometheus.monitoring.svc:9090")`.',
            code="rollout-without-prometheus",
        )
        return ""
    _let_controller_ask(scope, endpoint, watcher)
    return getattr(watcher, "url")  # noqa: B009 — a Monitoring, which is above this module


def _watcher(endpoint: Endpoint) -> Component | None:
    """The component of the same blueprint that watches an endpoint, and has an address to ask at."""
    made = endpoint._recording.components if endpoint._recording else []
    return next(
        (item for item in made if endpoint in getattr(item, "watches", ()) and hasattr(type(item), "url")), None
    )


def _let_controller_ask(scope: Scope, endpoint: Endpoint, watcher: Component) -> None:
    """Let the controller's pods reach Prometheus, where its namespace is closed."""
    namespace = endpoint.cluster.namespace
    if not is_closed(scope, namespace):
        return
    spec = {
        "podSelector": {"matchLabels": {COMPONENT_LABEL: watcher.identity}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [pods({}, CONTROLLER_NAMESPACE)], **tcp(_PROMETHEUS_PORT)}],
    }
    scope.kubernetes(
        "gates-ask",
        "networking.k8s.io/v1",
        "NetworkPolicy",
        f"{endpoint.identity}.gates",
        {"spec": spec},
        namespace=namespace,
    )
