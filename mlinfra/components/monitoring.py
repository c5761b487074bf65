"""`Monitoring`: Prometheus with rules from what is watched, Alertmanager with ways from the route, alarms on AWS."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from mlinfra import naming
from mlinfra.authoring import Component, Many
from mlinfra.components import (
    alertmanager_pod,
    gpu_exporter,
    grafana_part,
    metric_sources,
    monitoring_aws,
    monitoring_operator,
    monitoring_pod,
    monitoring_signals,
    prometheus,
    pushgateway,
)
from mlinfra.components.access import service_account
from mlinfra.components.alert_values import AlertSecret, MailServer
from mlinfra.components.alertmanager import receivers
from mlinfra.components.config_files import as_yaml
from mlinfra.components.grafana_values import Grafana
from mlinfra.components.monitoring_part import connect_parts, shared_labels
from mlinfra.components.network_policies import API_SERVER, let_call, let_out, tcp
from mlinfra.components.place import Place
from mlinfra.components.quantities import counted
from mlinfra.components.signals import Observed
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import NamespaceName, Route
from mlinfra.components.workload import Request, add_service, pod_labels, selector
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value, join

PROMETHEUS_IMAGE = "quay.io/prometheus/prometheus:v3.5.0"
STATE_METRICS_IMAGE = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.16.0"
ALERTMANAGER_IMAGE = "quay.io/prometheus/alertmanager:v0.28.1"
PUSHGATEWAY_IMAGE = "quay.io/prometheus/pushgateway:v1.11.1"
GPU_EXPORTER_IMAGE = "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3-4.1.3-ubuntu22.04"


def _has_port(text: str) -> str:
    if not 1 <= (port := int(text.rpartition(":")[2])) <= 65535:
        raise ValueError(f"{port} is no port: they go from 1 to 65535")
    return text


HostPort = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$"), AfterValidator(_has_port)]
MetricPattern = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*\*?$")]


class Monitoring(Component):
    """Watches components of one cluster, and tells people.

    Prometheus scrapes the namespace's pods, with kube-state-metrics at its side, and evaluates a rule for each signal
    that a watched component gives. Alerts have the labels `severity`, `component`, `team` and `receiver`. Alertmanager
    tells whom `route` names for severity and team, and tells them again when it is over. Series, silences and what was
    told are kept in the pods' own storage: they go when the pod moves, but for what Alertmanager's replicas know of
    each other.

        pager = ManagedSecret("pager", value_from=FromEnvironment("PAGERDUTY_KEY"), in_cluster=[cluster])
        Monitoring(
            "watch",
            cluster=cluster,
            watches=[api, fit, cluster],
            route=Route(critical="pagerduty:recsys", warning="slack:#recsys"),
            secrets={"pagerduty:recsys": pager, "slack": ExistingSecret(name="alerting", key="slack-url")},
        )

    Where something that is watched pushes metrics there is a Pushgateway, and where it has GPUs NVIDIA's DCGM exporter
    on their machines. A rule that reads a metric which nothing gives is an error.

    On AWS each severity has an SNS topic, to which `email:` and `webhook:` receivers are subscribed; `pagerduty:` and
    `slack:` ones want an integration that only their owners can make. Where the target names an EKS cluster,
    CloudWatch alarms on Container Insights metrics publish to the topics, which also works while Prometheus does not.
    """

    cluster: Place
    """The cluster or team in whose namespace Prometheus runs; it watches that namespace."""

    watches: Many[Observed] = ()
    """What to watch: endpoints, jobs, the cluster or team itself; databases, queues and buckets."""

    route: Route
    """Where alerts go."""

    secrets: Mapping[str, AlertSecret] = Field(default_factory=dict)
    """What receivers are reached with, by receiver, `"pagerduty:recsys"`, or by their kind, `"slack"`: of PagerDuty a
    service's integration key, of Slack the URL of an incoming webhook, of a webhook, if it wants one, a bearer token.
    Alertmanager reads them from files, and no configuration has them."""

    mail: MailServer | None = None
    """The server that mail goes out by; for `email:` receivers."""

    alertmanager: HostPort | None = None
    """Host and port of an Alertmanager that is there already, and has ways of its own by the alerts' labels; None: the
    stack has one."""

    pushgateway: bool = False
    """Whether all pods of the namespace may push metrics. Where something that is watched pushes there is a Pushgateway
    in any case, for that alone."""

    external_metrics: Many[MetricPattern] = ()
    """Metrics that come from what this blueprint does not have, by name or by how their names begin:
    `["DCGM_FI_*", "queue_length"]`. With `DCGM_FI_*` there is no DCGM exporter: the cluster has one."""

    scrapes: Many[HostPort] = ()
    """What else Prometheus scrapes, such as `["nvidia-dcgm-exporter.gpu-operator.svc:9400"]`."""

    grafana: Grafana | None = Grafana()
    """Grafana with dashboards of what is watched; None: there is none."""

    called_from: Many[NamespaceName] = ()
    """Other namespaces whose pods may ask Prometheus where its own is closed, such as that of Argo Rollouts."""

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

    alertmanager_image: str = ALERTMANAGER_IMAGE
    """Image of Alertmanager."""

    pushgateway_image: str = PUSHGATEWAY_IMAGE
    """Image of the Pushgateway."""

    gpu_exporter_image: str = GPU_EXPORTER_IMAGE
    """Image of NVIDIA's DCGM exporter."""

    @model_validator(mode="after")
    def _secrets_have_receivers(self) -> Self:
        if self.alertmanager and (self.secrets or self.mail):
            raise ValueError(
                f"alertmanager is {self.alertmanager}, which has secrets and mail of its own: leave out both"
            )
        known = {name for receiver in receivers(self.route) for name in (str(receiver), receiver.kind)}
        if lost := sorted(set(self.secrets) - known):
            raise ValueError(f"secrets has {', '.join(lost)}, and the route names no such receiver")
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def url(self) -> Value:
        """Prometheus' address within the cluster."""
        name = self.output("service", "metadata", "name")
        return join("http://", name, ".", self.cluster.namespace, f".svc:{monitoring_pod.PORT}")

    def topic_arn(self, severity: str) -> Ref:
        """The ARN of the topic for a severity, `critical` or `warning`; on AWS only."""
        return self.output(f"topic-{severity}", "arn")

    @property
    def pushgateway_url(self) -> Value:
        """The Pushgateway's address within the cluster, where there is one."""
        return pushgateway.address(self)

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """Prometheus and what stands beside it, then what AWS adds."""
        if not needs_kubernetes(scope):
            return
        self._check_places(scope)
        subjects = tuple(monitoring_signals.subjects(self, scope.environment))
        metric_sources.check(self, scope, subjects)
        namespace = self.cluster.namespace
        account = service_account(scope, namespace, (), token=True)
        monitoring_pod.permissions(scope, namespace, account)
        self._open_ways(scope)
        if monitoring_operator.is_there(self):
            config, days = self._configuration(scope), self._retention(scope, subjects)
            monitoring_operator.add(self, scope, account, subjects, config, days)
        else:
            self._prometheus(scope, account, subjects)
            alertmanager_pod.add(self, scope, account)
        for part in (pushgateway, gpu_exporter):
            part.add(self, scope, account)
        grafana_part.add(self, scope, subjects)
        if scope.environment.has_aws:
            monitoring_aws.add(self, scope)

    def _prometheus(self, scope: Scope, account: Ref, subjects: tuple[prometheus.Subject, ...]) -> None:
        """Prometheus in a pod of ours."""
        namespace = self.cluster.namespace
        files = self._files(scope, subjects)
        config = scope.kubernetes("config", "v1", "ConfigMap", self.identity, {"data": files}, namespace=namespace)
        template = {
            "metadata": {
                "labels": {**pod_labels(scope), **shared_labels(scope)},
                # Prometheus reads its files when it starts: another content makes another pod.
                "annotations": {f"{DOMAIN}/config-hash": naming.short_hash(*files.values(), length=16)},
            },
            "spec": monitoring_pod.spec(
                self, account, Ref(config.node, ("metadata", "name")), self._retention(scope, subjects)
            ),
        }
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": selector(scope)},
            "strategy": {"type": "Recreate"},  # two at once would each see half of what happens
            "template": template,
        }
        scope.kubernetes("deployment", "apps/v1", "Deployment", self.identity, {"spec": spec}, namespace=namespace)
        add_service(scope, namespace, monitoring_pod.PORT)

    @property
    def request(self) -> Request:
        """What Prometheus asks for."""
        return Request(self.cpu, self.memory)

    def _open_ways(self, scope: Scope) -> None:
        """Who reaches whom, where the namespace is closed."""
        namespace = self.cluster.namespace
        outside = [host for host in (self.alertmanager, *self.scrapes) if host]
        ports = sorted({int(host.rpartition(":")[2]) for host in outside})
        let_out(scope, namespace, tcp(*API_SERVER), *(tcp(port) for port in ports))
        connect_parts(scope, namespace)
        if self.called_from:
            let_call(scope, namespace, monitoring_pod.PORT, {}, self.called_from)

    def _retention(self, scope: Scope, subjects: tuple[prometheus.Subject, ...]) -> int:
        """Days that series are kept: at least as long as rules look back, and a day."""
        longest = max((signal.lookback_days for subject in subjects for signal in subject.signals), default=0)
        if self.retention_days is None:
            return max(scope.environment.tier.defaults.metrics_retention_days, longest + 1 if longest else 0)
        if longest >= self.retention_days:
            scope.problem(
                f"{self.name} keeps series for {counted(self.retention_days, 'days')}, and a rule looks back "
                f"{counted(longest, 'days')}",
                remedy=f"Raise `retention_days` to {longest + 1} or more, or leave it out.",
                code="monitoring-retention",
            )
        return self.retention_days

    def _configuration(self, scope: Scope) -> dict[str, Any]:
        """Prometheus' configuration as data."""
        labels = {"blueprint": scope.expansion.blueprint, "environment": scope.environment.name}
        targets = prometheus.Targets(
            alertmanager_pod.addresses(self, scope),
            pushgateway.host(self, scope) if pushgateway.is_wanted(self) else "",
            gpu_exporter.namespace(scope) if gpu_exporter.pools(self) else "",
            self.scrapes,
        )
        return prometheus.configuration(self.scrape_seconds, labels, targets)

    def _files(self, scope: Scope, subjects: tuple[prometheus.Subject, ...]) -> dict[str, str]:
        return {
            prometheus.CONFIG: as_yaml(self._configuration(scope)),
            prometheus.RULES: as_yaml(prometheus.rules(subjects, self.route)),
        }

    def _check_places(self, scope: Scope) -> None:
        """Note as errors what runs where Prometheus does not look."""
        for component in self.watches:
            place = monitoring_signals.place_of(component) or self.cluster
            if place is not self.cluster:
                scope.problem(
                    f"{self.name} watches {component.name}, which runs in another namespace, {place.name!r}",
                    detail=f"Prometheus sees the pods of its own namespace alone, that of {self.cluster.name!r}.",
                    remedy=f"Declare a Monitoring with `cluster={place.name}` for it.",
                    code="monitoring-other-place",
                )
