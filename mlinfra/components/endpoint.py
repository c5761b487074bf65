"""`Endpoint`: a model behind HTTP, with as many replicas as its load wants."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from mlinfra.authoring import Many
from mlinfra.components import endpoint_pod
from mlinfra.components.access import Anonymizes, Data, DataStore, Workload, connect
from mlinfra.components.model_store import StoredModel
from mlinfra.components.network_policies import let_call
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.signals import Alarm, Signal, Watched
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Autoscale, Image, Model, NamespaceName
from mlinfra.components.workload import Request, add_service, check_placement, pod_labels, selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join
from mlinfra.tiers import Tier

ServedModel = Annotated[
    Annotated[Model, Tag("place")] | Annotated[StoredModel, Tag("stored")],
    Discriminator(lambda value: "stored" if isinstance(value, StoredModel) else "place"),
]
"""A model by its place, or by the store that it is in. The discriminator keeps a mistake to one message."""

HttpPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$", max_length=200)]


class Endpoint(Watched, Workload):
    """An HTTP service that answers with a model's predictions.

    The container listens on `port`, answers `health_path` with 200 when it can serve, and gets `PORT`, `MODEL_URI` and
    `<NAME>_URI` for each bucket that it reads or writes. It runs without root, on a read-only file system with a
    writable `/tmp`. Without an image there is no Deployment yet: address, identity and permissions wait for the first
    version.

    Alerts want Prometheus metrics at `metrics_path`: the counter `http_requests_total` with the label `status`, and
    the histogram `http_request_duration_seconds`.
    """

    cluster: Place
    """Where it runs: a cluster, or a team in one."""

    pool: NodePool | None = None
    """On which machines it runs; None: any without a taint."""

    image: Image | None = None
    """The image, by digest; None: not built yet."""

    model: ServedModel | None = None
    """The model, which the container finds in `MODEL_URI`: a `StoredModel`, which its pods may then read, or a place
    that they may read for other reasons, such as `models:/ranker/3`."""

    reads: Many[Data] = ()
    """What its pods may read."""

    writes: Many[Data] = ()
    """What its pods may write; it includes neither reading nor deleting."""

    callers: Many[Place] = ()
    """Teams, and clusters, whose pods may call it where its namespace is closed; those of its own may in any case."""

    called_from: Many[NamespaceName] = ()
    """Other namespaces whose pods may call it where its own is closed, such as the ingress controller's:
    `["ingress-nginx"]`."""

    anonymizes: Anonymizes | None = None
    """How it makes personal data into data that is not personal any more, such as `counts per item only, none below
    20`. A workload that reads a store marked `pii` may write to one that is not marked so only if it says this."""

    scale: Autoscale | None = None
    """How many replicas; by default as the tier says."""

    cpu: float = Field(default=1.0, gt=0)
    """Cores of one replica."""

    memory: float = Field(default=2.0, gt=0)
    """GiB of one replica."""

    gpus: int = Field(default=0, ge=0, le=16)
    """GPUs of one replica."""

    port: int = Field(default=8080, ge=1024, le=65535)
    """Port that the container listens on, and the service too."""

    health_path: HttpPath = "/healthz"
    """Path that answers 200 when the replica can serve."""

    metrics_path: HttpPath = "/metrics"
    """Path of Prometheus metrics."""

    startup_seconds: int = Field(default=300, ge=10, le=3600)
    """Longest that a replica takes until it can serve, loading of the model included."""

    drain_seconds: int = Field(default=30, ge=5, le=3600)
    """Longest that a request takes: a replica that goes is given this long to finish."""

    latency_seconds: float = Field(default=0.5, gt=0)
    """The 95th percentile of response times above which a warning goes out."""

    error_percent: float = Field(default=5.0, gt=0, le=100)
    """Share of answers with a 5xx status above which an alert goes out."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables. Not for secrets: they are stored as plain text."""

    run_as_user: int = Field(default=1000, ge=1, le=65535)
    """User and group that the container runs as; never root."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def url(self) -> Value:
        """The address within the cluster: `http://name.namespace.svc:port`."""
        name = self.output("service", "metadata", "name")
        return join("http://", name, ".", self.cluster.namespace, ".svc:", self.port)

    @property
    def read_stores(self) -> tuple[DataStore, ...]:
        """What its pods may read: `reads`, and the model where that is in a store."""
        model = (self.model.folder,) if isinstance(self.model, StoredModel) else ()
        return (*self.reads, *model)

    @property
    def request(self) -> Request:
        """What one replica asks for."""
        return Request(self.cpu, self.memory, self.gpus)

    def scale_in(self, tier: Tier) -> Autoscale:
        """How many replicas it has in a tier."""
        return self.scale or Autoscale(min=tier.defaults.min_replicas, max=tier.defaults.max_replicas)

    def signals(self) -> tuple[Signal, ...]:
        """No replica answers, too many errors, slow answers, no room to grow.

        The last one's metrics are kube-state-metrics' ("Horizontal Pod Autoscaler Metrics").
        """
        if self.image is None:
            return ()
        me = f'component="{self.identity}"'
        requests = "rate(http_requests_total{%s}[5m])"
        failed = f'{me},status=~"5.."'
        errors = f"sum({requests % failed}) / sum({requests % me})"
        slow = f"histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{{me}}}[5m])))"
        scaler = f'{{horizontalpodautoscaler="{self.identity}"}}'
        replicas = "kube_horizontalpodautoscaler_status_current_replicas"
        limits = "kube_horizontalpodautoscaler_spec"
        grown = f"{replicas}{scaler} >= {limits}_max_replicas{scaler} > {limits}_min_replicas{scaler}"
        dimensions = {"Namespace": self.cluster.namespace, "Service": self.identity}
        alarm = Alarm("service_number_of_running_pods", dimensions, "Maximum", below=1, minutes=3)
        name, percent, seconds = self.name, self.error_percent, self.latency_seconds
        return (
            Signal(
                "Down",
                "critical",
                f"sum(up{{{me}}}) == 0 or absent(up{{{me}}})",
                2,
                f"No replica of endpoint {name} answers",
                alarm,
            ),
            Signal(
                "Errors",
                "critical",
                f"{errors} > {percent / 100:g}",
                5,
                f"Endpoint {name} answers more than {percent:g} % of requests with an error",
            ),
            Signal(
                "Slow",
                "warning",
                f"{slow} > {seconds:g}",
                10,
                f"The 95th percentile of endpoint {name}'s response times is above {seconds:g} s",
            ),
            Signal("AtMaximum", "warning", grown, 15, f"Endpoint {name} runs as many replicas as it may"),
        )

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """Identity and address; where there is an image, the Deployment, its autoscaler, its disruption budget, and
        who may call it."""
        if not needs_kubernetes(scope):
            return
        check_placement(scope, self.cluster, self.pool, self.request)
        namespace = self.cluster.namespace
        account = connect(scope, namespace, self.read_stores, self.writes, anonymizes=self.anonymizes)
        add_service(scope, namespace, self.port, awaited=self.image is not None)
        if self.image is not None:
            self._deployment(scope, account)
            self._check_callers(scope)
            callers = {place.name: place.namespace for place in (self.cluster, *self.callers)}
            let_call(scope, namespace, self.port, callers, self.called_from)

    def _check_callers(self, scope: Scope) -> None:
        """Note as errors callers whose pods cannot find it: its address is one within its cluster."""
        for place in self.callers:
            if scope.cluster_of(place.namespace) != scope.cluster_of(self.cluster.namespace):
                scope.problem(
                    f"endpoint {self.name!r} names a caller in another Kubernetes cluster, {place.name!r}",
                    detail="Network policies and the addresses of services end with the cluster.",
                    remedy=f"Take {place.name} out of `callers`, and let it call an address of an ingress controller.",
                    code="endpoint-caller-elsewhere",
                )

    def _deployment(self, scope: Scope, account: Ref) -> None:
        namespace = self.cluster.namespace
        template = {
            "metadata": {
                "labels": pod_labels(scope),
                "annotations": {
                    "prometheus.io/scrape": "true",
                    "prometheus.io/port": str(self.port),
                    "prometheus.io/path": self.metrics_path,
                },
            },
            "spec": endpoint_pod.spec(self, scope, account),
        }
        spec = {
            # No `replicas`: the autoscaler owns them.
            "selector": {"matchLabels": selector(scope)},
            "template": template,
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": self.startup_seconds + 300,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        }
        deployment = scope.kubernetes(
            "deployment", "apps/v1", "Deployment", self.identity, {"spec": spec}, namespace=namespace
        )
        scale = self.scale_in(scope.environment.tier)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": Ref(deployment.node, ("metadata", "name"))}
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": scale.cpu_percent}}
        scaler = {
            "scaleTargetRef": target,
            "minReplicas": scale.min,
            "maxReplicas": scale.max,
            "metrics": [{"type": "Resource", "resource": cpu}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        }
        scope.kubernetes(
            "autoscaler",
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            self.identity,
            {"spec": scaler},
            namespace=namespace,
        )
        budget = {
            "selector": {"matchLabels": selector(scope)},
            # One at a time, also where there is only one: a budget that allows none blocks every drain of a node.
            "maxUnavailable": 1 if scale.min < 4 else "25%",
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        scope.kubernetes(
            "disruption-budget",
            "policy/v1",
            "PodDisruptionBudget",
            self.identity,
            {"spec": budget},
            namespace=namespace,
        )
