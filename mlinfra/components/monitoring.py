"""`Monitoring`: Prometheus with rules from what is watched, and on AWS topics and alarms."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlinfra import naming
from mlinfra.authoring import Component, Many
from mlinfra.components import monitoring_aws, monitoring_pod, prometheus
from mlinfra.components.access import service_account
from mlinfra.components.network_policies import API_SERVER, let_out, tcp
from mlinfra.components.place import Place
from mlinfra.components.signals import Observed
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Route
from mlinfra.components.workload import Request, add_service, pod_labels, selector
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value, join

PROMETHEUS_IMAGE = "quay.io/prometheus/prometheus:v3.5.0"
STATE_METRICS_IMAGE = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.16.0"


class Monitoring(Component):
    """Watches components of one cluster.

    Prometheus scrapes the namespace's pods, with kube-state-metrics at its side, and evaluates a rule for each signal
    that a watched component gives. It sends alerts to the Alertmanager that `alertmanager` names, with the labels
    `severity`, `component` and `receiver`, by which it can route them. Series are kept in the pod's own storage: they
    go when the pod moves.

    On AWS each severity has an SNS topic, to which `email:` and `webhook:` receivers are subscribed; `pagerduty:` and
    `slack:` ones want an integration that only their owners can make. Where the target names an EKS cluster,
    CloudWatch alarms on Container Insights metrics publish to the topics, which also works while Prometheus does not.
    """

    cluster: Place
    """The cluster or team in whose namespace Prometheus runs; it watches that namespace."""

    watches: Many[Observed] = ()
    """What to watch."""

    route: Route
    """Where alerts go."""

    alertmanager: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")] | None = None
    """Host and port of the Alertmanager that Prometheus sends alerts to; None: it shows them, and sends none."""

    scrape_seconds: int = Field(default=30, ge=5, le=300)
    """Seconds between two looks at each pod."""

    retention_days: int | None = Field(default=None, ge=1, le=400)
    """Days that series are kept; by default as the tier says."""

    storage_gib: int = Field(default=10, ge=1, le=1000)
    """Most GiB that series take; the oldest go first."""

    cpu: float = Field(default=0.25, gt=0)
    """Cores of Prometheus."""

    memory: float = Field(default=1.0, gt=0)
    """GiB of Prometheus."""

    prometheus_image: str = PROMETHEUS_IMAGE
    """Image of Prometheus, for example a mirror's."""

    state_metrics_image: str = STATE_METRICS_IMAGE
    """Image of kube-state-metrics."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def url(self) -> Value:
        """Prometheus' address within the cluster."""
        name = self.output("service", "metadata", "name")
        return join("http://", name, ".", self.cluster.namespace, f".svc:{monitoring_pod.PORT}")

    def topic_arn(self, severity: str) -> Ref:
        """The ARN of the topic for a severity, `critical` or `warning`; on AWS only."""
        return self.output(f"topic-{severity}", "arn")

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """Prometheus, then what AWS adds."""
        if not needs_kubernetes(scope):
            return
        self._check_delivery(scope)
        self._check_places(scope)
        namespace = self.cluster.namespace
        account = service_account(scope, namespace, (), token=True)
        monitoring_pod.permissions(scope, namespace, account)
        alertmanager = [tcp(int(self.alertmanager.rpartition(":")[2]))] if self.alertmanager else []
        let_out(scope, namespace, tcp(*API_SERVER), *alertmanager)
        files = self._files(scope)
        config = scope.kubernetes("config", "v1", "ConfigMap", self.identity, {"data": files}, namespace=namespace)
        template = {
            "metadata": {
                "labels": pod_labels(scope),
                # Prometheus reads its files when it starts: another content makes another pod.
                "annotations": {f"{DOMAIN}/config-hash": naming.short_hash(*files.values(), length=16)},
            },
            "spec": monitoring_pod.spec(self, account, Ref(config.node, ("metadata", "name")), self._retention(scope)),
        }
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": selector(scope)},
            "strategy": {"type": "Recreate"},  # two at once would each see half of what happens
            "template": template,
        }
        scope.kubernetes("deployment", "apps/v1", "Deployment", self.identity, {"spec": spec}, namespace=namespace)
        add_service(scope, namespace, monitoring_pod.PORT)
        if scope.environment.has_aws:
            monitoring_aws.add(self, scope)

    @property
    def request(self) -> Request:
        """What Prometheus asks for."""
        return Request(self.cpu, self.memory)

    def _retention(self, scope: Scope) -> int:
        return self.retention_days or scope.environment.tier.defaults.metrics_retention_days

    def _files(self, scope: Scope) -> dict[str, str]:
        labels = {"blueprint": scope.expansion.blueprint, "environment": scope.environment.name}
        return {
            prometheus.CONFIG: prometheus.configuration(self.scrape_seconds, labels, self.alertmanager),
            prometheus.RULES: prometheus.rules(self.watches, self.route),
        }

    def _check_places(self, scope: Scope) -> None:
        """Note as errors what runs where Prometheus does not look."""
        for component in self.watches:
            place = getattr(component, "cluster", self.cluster)
            if place is not self.cluster:
                scope.problem(
                    f"{self.name} watches {component.name}, which runs in another namespace, {place.name!r}",
                    detail=f"Prometheus sees the pods of its own namespace alone, that of {self.cluster.name!r}.",
                    remedy=f"Declare a Monitoring with `cluster={place.name}` for it.",
                    code="monitoring-other-place",
                )

    def _check_delivery(self, scope: Scope) -> None:
        """Warn where alerts would reach nobody."""
        if self.alertmanager is None:
            scope.warning(
                f"nobody is told of the alerts of {self.name}: it names no Alertmanager",
                detail="Prometheus evaluates the rules and shows what fires, but sends it nowhere.",
                remedy='Name one: `alertmanager="alertmanager.monitoring.svc:9093"`.',
                code="alerts-undelivered",
            )
