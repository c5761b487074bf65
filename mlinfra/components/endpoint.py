"""`Endpoint`: a model behind HTTP, with as many replicas as its load wants."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components import (
    endpoint_address,
    endpoint_auth,
    endpoint_checks,
    endpoint_model,
    endpoint_pod,
    endpoint_scale,
    endpoint_signals,
    release,
)
from mlinfra.components import failover as fallback
from mlinfra.components.access import Anonymizes, Data, DataStore, Workload, connect
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_part import Prefix
from mlinfra.components.endpoint_log import RequestLog, request_log
from mlinfra.components.endpoint_model import ServedModel
from mlinfra.components.endpoint_runtimes import CONTRACT, RUNTIMES, Runtime, RuntimeName
from mlinfra.components.endpoint_signals import Thresholds
from mlinfra.components.endpoint_values import (
    ApiKeys,
    GatewayAddress,
    HelperImages,
    HttpPath,
    IngressAddress,
    WarmUp,
    WorkingHours,
)
from mlinfra.components.network_policies import let_call, let_scrape
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.rollout import add_workload, as_variant, besides
from mlinfra.components.rollout_values import Rolling, Rollout, Shadow, Variants
from mlinfra.components.signals import Chart, Record, Signal, Watched
from mlinfra.components.slo import Slo
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Autoscale, Image, NamespaceName
from mlinfra.components.workload import Request, add_service, check_placement
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join
from mlinfra.tiers import Tier


class Endpoint(Watched, Workload):
    """An HTTP service that answers with a model's predictions.

    With an image of one's own the container listens on `port`, answers `health_path` with 200 when it can serve, and
    gets `PORT`, `MODEL_URI`, `MODEL_VERSION` and `<NAME>_URI` for each bucket that it reads or writes. Alerts want
    Prometheus metrics at `metrics_path`: the counter `http_requests_total` with the label `status`, and the histogram
    `http_request_duration_seconds`, as `mlinfra.serving` gives them.

    With a `runtime` there need be no image:

        Endpoint("api", cluster=cluster, runtime="triton", model=StoredModel(store=models, name="ranker", version="3"))

    It runs without root, on a read-only file system with a writable `/tmp`. While its image, or the first version of
    its model, is not there yet, address, identity and permissions are made and wait for it; the `up` that brings it
    starts the first replica.
    """

    cluster: Place
    """Where it runs: a cluster, or a team in one."""

    pool: NodePool | None = None
    """On which machines it runs; None: any without a taint."""

    runtime: RuntimeName = "custom"
    """What serves the model: `custom`, an image of one's own; or without one `mlflow` (`mlflow models serve`), `triton`
    (NVIDIA Triton: ONNX, PyTorch, TensorRT and more), `tensorflow-serving` or `vllm` (language models, on GPUs). The
    model is copied to `/models/<name>` first, so that it is as its runtime wants it: a folder with `MLmodel`; one with
    `config.pbtxt` and `1/`; a SavedModel; a model as Hugging Face has it. Predictions are asked of the runtime's own
    path, where `<name>` is the endpoint's: `/invocations`, `/v2/models/<name>/infer`, `/v1/models/<name>:predict`,
    `/v1/completions`."""

    image: Image | None = None
    """The image, by digest. None: with `custom`, not built yet; with a runtime, the project's own, whose digest has to
    be given in protected tiers. A model that needs more packages than MLflow's own image has wants an image of its own
    with `mlflow` in it."""

    arguments: Many[str] = ()
    """Further arguments of the program, such as `["--max-model-len", "8192"]` for vLLM."""

    model: ServedModel | None = None
    """The model, which the container finds in `MODEL_URI`: a `StoredModel` or `BucketModel`, which its pods may then
    read and nothing else of the bucket; a `RegisteredModel` of MLflow; or a place that they may read for other reasons,
    such as `s3://bucket/path`."""

    model_gib: int = Field(default=20, ge=1, le=2000)
    """Most GiB of the model that a runtime has copied: room on the machine's disk."""

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

    log_requests: Bucket | None = None
    """The bucket that the program logs requests to, by `mlinfra.serving`, which finds the place in `REQUEST_LOG_URI`.
    Its pods may write what is under `<log_prefix>/<name>/`, and not read it."""

    log_prefix: Prefix = "requests"
    """The folder for logs of requests in that bucket."""

    scale: Autoscale | None = None
    """How many replicas, and what moves their number; by default as the tier says, by CPU."""

    hours: WorkingHours | None = None
    """When it runs, in tiers that are not protected; by default always. Outside them it has no replica."""

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

    warm_up: WarmUp | None = None
    """A request that a replica has to answer before it gets any other, such as
    `WarmUp(path="/predict", body={"inputs": [[1, 2]]})`. vLLM gets one by itself."""

    address: IngressAddress | GatewayAddress | None = None
    """Its address in the world, over TLS; by default it has none. Then somebody has to ask who calls: `auth`."""

    auth: ApiKeys | Literal["elsewhere"] | None = None
    """Who may call: `ApiKeys(keys=[…])`, which a proxy in each replica asks for. `elsewhere`: the ingress controller or
    the gateway asks, as its `annotations` say, such as for a sign-in by OpenID Connect."""

    helpers: HelperImages = HelperImages()
    """Images of what works beside the model."""

    startup_seconds: int = Field(default=300, ge=10, le=3600)
    """Longest that a replica takes until it can serve, loading of the model included."""

    drain_seconds: int = Field(default=30, ge=5, le=3600)
    """Longest that a request takes: a replica that goes is given this long to finish."""

    latency_seconds: float = Field(default=0.5, gt=0)
    """The 95th percentile of response times above which a warning goes out."""

    error_percent: float = Field(default=5.0, gt=0, le=100)
    """Share of answers with a 5xx status above which an alert goes out."""

    thresholds: Thresholds = Thresholds()
    """What else its numbers have to stay within, such as `Thresholds(accuracy=0.9, model_days=30)`."""

    slo: Slo | None = None
    """What its users may count on, such as `Slo(availability=99.9)`: alerts by how fast the budget of errors goes."""

    rollout: Rollout = Rolling()
    """How a new version takes over: `Rolling()`, pod by pod; `BlueGreen()`, all at once; `Canary(steps=[…])`, with a
    growing share of the traffic and gates."""

    variants: Variants = ()
    """Versions that serve side by side, such as `[Variant(name="champion", weight=90), Variant(name="challenger",
    weight=10, model=p.new_model)]`; weights come to 100. They want a route by Gateway API, which shares the traffic."""

    shadow: Shadow | None = None
    """A version that gets a copy of every request, and whose answers nobody sees; it wants a route by Gateway API."""

    failover: "Annotated[Endpoint | None, BeforeValidator(fallback.is_component)]" = None
    """Another endpoint of the cluster that gets the requests while no replica of this one answers, such as a simpler
    model: `Endpoint("ranker", failover=popular, …)`. It has to take the same requests. Callers then go through a proxy
    of two small pods, at `url` and by an Ingress, which gives the requests back once a replica answers again."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables. Not for secrets: they are stored as plain text."""

    run_as_user: int = Field(default=1000, ge=1, le=65535)
    """User and group that the container runs as; never root."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        endpoint_checks.check_fields(self)
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def url(self) -> Value:
        """The address within the cluster: `http://name.namespace.svc:port`."""
        name = self.output(fallback.front(self), "metadata", "name")
        return join("http://", name, ".", self.cluster.namespace, ".svc:", self.port)

    @property
    def public_url(self) -> str | None:
        """The address in the world, `https://host`; None where there is none."""
        return f"https://{self.address.host}" if self.address else None

    @property
    def read_stores(self) -> tuple[DataStore, ...]:
        """What its pods may read: `reads`, and the model where that is in a store."""
        models = (self.model, *(item.model for item in besides(self)))
        return (*self.reads, *(store for model in models if (store := endpoint_model.store_of(model))))

    @property
    def request_log(self) -> RequestLog | None:
        """Where its requests are logged, as a store of its own that a job may read; None where they are not."""
        return request_log(self)

    @property
    def waits_for(self) -> str | None:
        """What has to be there before it can run, in words; None: it runs."""
        versions = [as_variant(self, item) for item in besides(self)]
        for served in versions if self.variants else [self, *versions]:
            if served.runtime == "custom" and served.image is None:
                return "its first image"
            if served.runtime != "custom" and served.model is None:
                return "its model"
            if what := endpoint_model.missing(served.model):
                return what
        return None

    @property
    def served_by(self) -> Runtime:
        """What is known of the program that serves."""
        if self.runtime == "custom":
            path = self.health_path
            return Runtime(live=path, ready=path, metrics=self.metrics_path, meters=CONTRACT)
        return RUNTIMES[self.runtime].of(self.identity, self.port, self.gpus)

    @property
    def pod_port(self) -> int:
        """The port at which its pods are called: the proxy's where callers need a key. Policies know no other."""
        return endpoint_auth.PORT if endpoint_auth.keys_of(self) else self.port

    @property
    def scraped_at(self) -> tuple[int, str] | None:
        """The port of its pods, and the path, at which Prometheus finds metrics; None where there are none."""
        runtime = self.served_by
        if not runtime.metrics:
            return None
        shared = endpoint_auth.METRICS_PORT if endpoint_auth.keys_of(self) else self.port
        return runtime.metrics_port or shared, runtime.metrics

    @property
    def request(self) -> Request:
        """What one replica asks for."""
        return Request(self.cpu, self.memory, self.gpus)

    def scale_in(self, tier: Tier) -> Autoscale:
        """How many replicas it has in a tier."""
        return self.scale or Autoscale(min=tier.defaults.min_replicas, max=tier.defaults.max_replicas)

    def signals(self) -> tuple[Signal, ...]:
        """Whether it answers, how well, with how much room, and what `thresholds` and `slo` say."""
        return endpoint_signals.signals(self)

    def records(self) -> tuple[Record, ...]:
        """Traffic, share of errors, percentiles of latency, and what `slo` wants."""
        return endpoint_signals.records(self)

    def charts(self, cluster: str) -> Iterable[Chart]:
        """How much of a machine its pods use, and their network."""
        return endpoint_signals.charts(self, cluster)

    def exports(self) -> tuple[str, ...]:
        """The metrics of a served model, or those of its runtime."""
        return endpoint_signals.exports(self)

    def limits(self) -> str:
        """What its runtime does not measure."""
        return endpoint_signals.limits(self)

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """Identity and addresses; where there is something to serve, its pods, how many there are, and who may call."""
        if not needs_kubernetes(scope):
            return
        endpoint_checks.check(self, scope)
        endpoint_checks.tell(self, scope)
        check_placement(scope, self.cluster, self.pool, self.request)
        namespace = self.cluster.namespace
        writes = (*self.writes, *([self.request_log] if self.request_log else []))
        account = connect(scope, namespace, self.read_stores, writes, anonymizes=self.anonymizes)
        endpoint_model.open_way(scope, namespace, self.model)
        # There may be no pods behind it, at night and before the first version.
        add_service(scope, namespace, self.port, awaited=self.waits_for is None and self.hours is None)
        endpoint_address.add(self, scope)
        fallback.add(self, scope)
        if self.waits_for is None:
            release.describe(self, scope)
            self._deployment(scope, account)
            self._let_in(scope)

    def _let_in(self, scope: Scope) -> None:
        namespace = self.cluster.namespace
        callers = {place.name: place.namespace for place in (self.cluster, *self.callers)}
        world = [self.address.controller_namespace] if self.address else []
        let_call(scope, namespace, self.pod_port, callers, list(dict.fromkeys([*self.called_from, *world])))
        if self.scraped_at and self.scraped_at[0] != self.pod_port:
            let_scrape(scope, namespace, self.scraped_at[0])

    def _deployment(self, scope: Scope, account: Ref) -> None:
        files = endpoint_pod.add_files(self, scope)
        scaled = add_workload(self, scope, lambda served: endpoint_pod.template(served, scope, account, files))
        endpoint_scale.add(self, scope, scaled)
