"""Each kind of component in each tier: a small blueprint around it, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from mlinfra.authoring import Blueprint, Component, Params, blueprint, recording
from mlinfra.checks import run_checks
from mlinfra.components.alert_values import ExistingSecret, MailServer
from mlinfra.components.batch_inference import BatchInference
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_options import CorsRule, Notification, ObjectLock, Replica, Transition
from mlinfra.components.database import Database
from mlinfra.components.dataset import Dataset
from mlinfra.components.drift_monitor import DriftMonitor
from mlinfra.components.drift_values import Fairness, Retrain
from mlinfra.components.eks_values import Eks
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_model import BucketModel, RegisteredModel
from mlinfra.components.endpoint_values import ApiKeys, GatewayAddress, HelperImages, IngressAddress, WarmUp
from mlinfra.components.grafana_values import Grafana, Oidc
from mlinfra.components.image_repository import ImageRepository
from mlinfra.components.job_queue import JobQueue
from mlinfra.components.job_values import Ranks, Ray, Sweep
from mlinfra.components.key import Key
from mlinfra.components.load_test import LoadTest
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.network import Network
from mlinfra.components.network_policies import Egress
from mlinfra.components.network_values import FlowLogs
from mlinfra.components.node_pool import NodePool
from mlinfra.components.queue import Queue
from mlinfra.components.raw import Raw
from mlinfra.components.registry import KINDS
from mlinfra.components.rollout_values import BlueGreen, Canary, Gate, Shadow, Step, Variant
from mlinfra.components.secret_sources import FromEnvironment
from mlinfra.components.slo import LatencyGoal, Slo
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.training_vm import TrainingVm
from mlinfra.components.training_vm_values import Volume
from mlinfra.components.values import Autoscale, Quota, Route, ScaleMetric, Taint, TeamRoute
from mlinfra.components.workspace import Workspace
from mlinfra.environment import Environment, Owner
from mlinfra.expansion import expand
from mlinfra.graph import Graph, join
from mlinfra.tiers import Tier

HERE = Path(__file__).parent
IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4


def bucket() -> tuple[Component, ...]:
    queue = Queue("work", key=Key("keys"))
    data = Bucket(
        "data",
        classification="pii",
        transitions=[Transition(days=60, to="STANDARD_IA"), Transition(days=120, to="GLACIER_IR")],
        expire_days=400,
        lock=ObjectLock(mode="governance", days=5),
        replica=Replica(region="eu-central-1"),
        cors=[CorsRule(origins=["https://labels.example.com"], methods=["GET"])],
        notifications=[Notification(to=queue, prefix="in/")],
        eventbridge=True,
        tags={"project": "recs"},
    )
    cluster = TrainingCluster("train")
    small = Bucket("small", place="cluster", cluster=cluster, image=IMAGE, storage_gib=5)
    return data, Endpoint("api", cluster=cluster, image=IMAGE, reads=[small])


def dataset() -> Component:
    bucket = Bucket("data", classification="confidential")
    clicks = Dataset("clicks", bucket=bucket, description="What people clicked on", expire_days=400)
    views = Dataset("views", bucket=bucket, prefix="raw/views")
    cluster = TrainingCluster("train")
    return Endpoint("api", cluster=cluster, image=IMAGE, reads=[clicks], writes=[views])


def model_store() -> Component:
    return ModelStore("models", bucket=Bucket("artifacts"), description="Rankers")


def database() -> Component:
    cluster = TrainingCluster("train")
    features = Database("features", classification="confidential", parameters={"work_mem": "65536"}, key=Key("keys"))
    small = Database("small", place="cluster", cluster=cluster, image=IMAGE, storage_class="fast")
    return Endpoint("api", cluster=cluster, image=IMAGE, reads=[features, small], writes=[features])


def image_repository() -> Component:
    return ImageRepository("images", key=Key("keys"), pull_accounts=["111122223333"], tags={"project": "recs"})


def key() -> Component:
    return Key("keys", description="The team's data", via=["s3", "sqs"], tags={"project": "recs"})


def managed_secret() -> Component:
    cluster = TrainingCluster("train")
    token = ManagedSecret("hub-token", value_from=FromEnvironment("HUB_TOKEN"), in_cluster=[cluster], key=Key("keys"))
    return Endpoint("api", cluster=cluster, image=IMAGE, reads=[token])


def network() -> Component:
    return Network(
        "net", cidr="10.20.0.0/16", interface_endpoints=["ecr.api", "sts"], flow_logs=FlowLogs(traffic="rejected")
    )


def queue() -> Component:
    return Queue("work", retention_days=7, receives=3, tags={"project": "recs"})


def node_pool() -> Component:
    return NodePool(
        "gpu",
        instance_type="p4d.24xlarge",
        max=2,
        spot=True,
        labels={"team": "a"},
        taints=[Taint(key="team", value="a")],
    )


def training_cluster() -> tuple[Component, ...]:
    cpu = NodePool("cpu", instance_type="m6i.xlarge", max=3)
    plain = TrainingCluster("train", pools=[cpu], quota=Quota(pods=50))
    eks = Eks(
        version="1.34",
        network=Network("network", zone_names=["us-east-1a", "us-east-1b"]),
        public_cidrs=["203.0.113.0/24"],
        private_cidrs=["10.0.0.0/16"],
        admins=["arn:aws:iam::111122223333:role/ml-platform"],
        viewers=["arn:aws:iam::111122223333:role/auditors"],
        groups={"arn:aws:iam::111122223333:role/search": ["search-devs"]},
        addon_versions={"vpc-cni": "v1.20.4-eksbuild.1"},
        container_insights=True,
        tags={"project": "recs"},
    )
    system = NodePool("system", instance_type="m7g.large", min=2, max=4)
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=2, spot=True, disk_gib=500, zones=["us-east-1b"])
    return plain, TrainingCluster("own", eks=eks, pools=[system, gpu])


def team() -> tuple[Component, ...]:
    cpu = NodePool("cpu", instance_type="m6i.xlarge", max=3)
    cluster = TrainingCluster("train", pools=[cpu], admins=["platform"])
    search = Team(
        "search",
        cluster=cluster,
        admins=["ml-leads"],
        developers=["search-devs", "cn=search,ou=groups,dc=example,dc=com"],
        viewers=["auditors"],
        quota=Quota(cpu=6),
        egress=[Egress(cidr="10.20.0.0/16", ports=[5432])],
    )
    ads = Team("ads", cluster=cluster, developers=["ads-devs"], repository=ImageRepository("images"))
    store = Bucket("small", place="cluster", cluster=search, image=IMAGE)
    called = {"callers": [ads], "called_from": ["ingress-nginx"]}
    return Endpoint("api", cluster=search, image=IMAGE, reads=[store], **called), ads


def training_job() -> tuple[Component, ...]:
    pool = NodePool("gpu", instance_type="g5.xlarge", max=4, spot=True)
    cluster = TrainingCluster("train", pools=[pool])
    data = Bucket("data")
    common = {"cluster": cluster, "pool": pool, "image": IMAGE, "command": ["train"]}
    fit = TrainingJob(
        "fit",
        **common,
        gpus=1,
        config={"lr": 0.1, "layers": [64, 64]},
        reads=[data],
        writes=[data],
        checkpoints=Bucket("scratch"),
        fatal_exit_codes=[3],
    )
    torch = TrainingJob("torch", **common, gpus=1, ranks=Ranks(count=4))
    flow = Ranks(count=4, framework="tensorflow", parameter_servers=1, one_per_machine=False)
    sweep = Sweep(parameters={"lr": [0.1, 0.01], "model.layers": [2, 4]}, parallelism=2, max_failures=1)
    return (
        fit,
        torch,
        TrainingJob("flow", **common, ranks=flow),
        TrainingJob("grid", **common, sweep=sweep, writes=[data]),
        TrainingJob("tune", **common, gpus=1, ray=Ray(workers=2, version="2.49.0"), config={"trials": 20}),
    )


def job_queue() -> Component:
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=2)
    cpu = NodePool("cpu", instance_type="m6i.xlarge", max=4)
    cluster = TrainingCluster("train", pools=[gpu, cpu], kueue=True)
    search = Team("search", cluster=cluster, developers=["search-devs"])
    queue = JobQueue("research", cluster=cluster, teams=[search], pools=[gpu, cpu])
    return TrainingJob("fit", cluster=search, pool=gpu, gpus=4, ranks=Ranks(count=2), queue=queue, image=IMAGE)


def training_vm() -> Component:
    data = Bucket("data")
    return TrainingVm(
        "box",
        instance_type="g5.xlarge",
        reads=[data],
        writes=[data],
        volume=Volume(gib=300, key=Key("keys")),
        tags={"project": "recs"},
    )


def workspace() -> Component:
    pool = NodePool("gpu", instance_type="g5.xlarge")
    cluster = TrainingCluster("train", pools=[pool], developers=["search-devs"])
    data = Bucket("data")
    return Workspace(
        "lab", cluster=cluster, pool=pool, gpus=1, image=IMAGE, reads=[data], writes=[data], idle_minutes=90
    )


def endpoint() -> tuple[Component, ...]:
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=4)
    cluster = TrainingCluster("train", pools=[gpu], gateway_api=True, metrics_adapter=True)
    models = Bucket("models")
    api = Endpoint("api", cluster=cluster, image=IMAGE, model="models:/recs/3", reads=[models], env={"LOG": "info"})
    stored = BucketModel(bucket=models, path="ranker/41")
    world = {"host": "api.example.com", "controller_namespace": "ingress"}
    ingress = IngressAddress(**world, ingress_class="nginx", issuer="letsencrypt")
    helpers = HelperImages(model=IMAGE, proxy=IMAGE)
    common = {"cluster": cluster, "image": IMAGE, "helpers": helpers}
    keys = ApiKeys(keys=[ManagedSecret("shop", in_cluster=[cluster])])
    follows = Autoscale(min=1, max=4, metric=ScaleMetric(name="http_requests", target=20))
    registered = RegisteredModel(server="http://mlflow.ml.svc:5000", name="ranker", version="3")
    first = WarmUp(path="/predict", body={"inputs": [1]})
    gateway = GatewayAddress(**world, gateway_class="envoy", secret="api-cert")
    return (
        api,
        Endpoint("own", **common, log_requests=Bucket("logs"), warm_up=first, address=gateway, auth="elsewhere"),
        Endpoint("flow", **common, runtime="mlflow", model=registered, scale=follows),
        Endpoint("triton", **common, runtime="triton", model=stored, auth=keys, address=ingress),
        Endpoint("tf", **common, runtime="tensorflow-serving", model=stored, warm_up=WarmUp(body={"instances": [1]})),
        Endpoint("llm", **common, runtime="vllm", model=stored, pool=gpu, gpus=4, cpu=16, memory=64),
        *rollouts(),
    )


def rollouts() -> tuple[Component, ...]:
    """Endpoints whose versions take over, or share the traffic, in every way there is."""
    cluster = TrainingCluster("rolled", argo_rollouts=True, argo_gateway_plugin=True, gateway_api=True)
    plain = TrainingCluster("plain")
    address = GatewayAddress(host="api.example.com", controller_namespace="envoy", gateway="shared")
    world = {"address": address, "auth": "elsewhere"}
    common = {"cluster": cluster, "image": IMAGE, "scale": Autoscale(min=10, max=20)}
    gates = {"gate": Gate(error_percent=1, accuracy=0.9), "prometheus": "http://prometheus.monitoring.svc:9090"}
    steps = [Step(weight=10, seconds=600), Step(weight=50, gate=Gate(load_test="burst"), approve=True)]
    canary = Endpoint("canary", **common, rollout=Canary(steps=steps, **gates))
    by_route = Canary(steps=[Step(weight=5)], traffic="gateway", **gates)
    store = ModelStore("ranked", bucket=Bucket("kept"))
    old, new = (StoredModel(store=store, name="a", version=version) for version in ("1", "2"))
    pair = [Variant(name="champion", weight=90, model=old), Variant(name="challenger", weight=10, model=new)]
    return (
        canary,
        LoadTest("burst", target=canary, rate=10, bodies=[1]),
        Endpoint("routed", **common, **world, rollout=by_route),
        Endpoint("switched", **common, rollout=BlueGreen(**gates, approve=True, keep_seconds=900)),
        Endpoint("colors", cluster=plain, image=IMAGE, rollout=BlueGreen()),
        Endpoint("pair", **common, **world, variants=pair, shadow=Shadow(model=new)),
    )


def batch_inference() -> tuple[Component, ...]:
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=4)
    cluster = TrainingCluster("train", pools=[pool])
    common = {"cluster": cluster, "pool": pool, "image": IMAGE, "inputs": Bucket("clicks"), "outputs": Bucket("scores")}
    stored = StoredModel(store=ModelStore("models", bucket=Bucket("artifacts")), name="ranker", version="3")
    night = {"schedule": "30 2 * * *", "time_zone": "Europe/Berlin", "shards": 3, "parallelism": 2}
    score = BatchInference("score", **common, **night, model=stored, config={"batch_size": 512})
    asked = BatchInference("asked", **common, model="s3://models-of-others/ranker/3", fatal_exit_codes=[3])
    return score, asked, BatchInference("later", **{**common, "image": None}, schedule="@daily")


def load_test() -> Component:
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=4)
    cluster = TrainingCluster("train", pools=[pool])
    api = Endpoint("api", cluster=cluster, image=IMAGE)
    key = ManagedSecret("api-key", value_from=FromEnvironment("API_KEY"), in_cluster=[cluster])
    sent = {"path": "/predict", "bodies": [{"inputs": [[1, 2, 3]]}], "headers": {"X-Test": "1"}, "api_key": key}
    return LoadTest("burst", target=api, pool=pool, rate=50, seconds=120, latency_seconds=0.2, **sent)


def drift_monitor() -> Component:
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=2)
    cluster = TrainingCluster("train", pools=[pool])
    models = ModelStore("models", bucket=Bucket("artifacts"))
    model = StoredModel(store=models, name="ranker", version="3")
    logs = Bucket("logs", classification="confidential", expire_days=90)
    api = Endpoint("api", cluster=cluster, image=IMAGE, model=model, log_requests=logs)
    fit = TrainingJob("fit", cluster=cluster, pool=pool, image=IMAGE, writes=[models])
    fairness = Fairness(groups=["country", "age_band"], favourable_labels=["approved"])
    drift = DriftMonitor("drift", endpoint=api, image=IMAGE, fairness=fairness, retrain=Retrain(job=fit, days=7))
    route = Route(critical="pagerduty:recsys", warning="slack:#recsys")  # type: ignore[arg-type]  # read as texts
    return Monitoring("watch", cluster=cluster, watches=[api, drift], route=route, alertmanager="alerts.ops.svc:9093")


def monitoring() -> tuple[Component, ...]:
    cluster = TrainingCluster("train")
    api = Endpoint("api", cluster=cluster, image=IMAGE, scale=Autoscale(min=1, max=3))
    route = Route(critical="webhook:https://example.com/hook", warning="email:team@example.com")
    watch = Monitoring(
        "watch", cluster=cluster, watches=[api], route=route, alertmanager="alertmanager.example.com:9093"
    )
    gpu = NodePool("gpu", instance_type="g5.xlarge")
    own = TrainingCluster("own", pools=[gpu])
    slo = Slo(availability=99.9, latency=LatencyGoal(seconds=0.5))
    ranker = Endpoint("ranker", cluster=own, pool=gpu, gpus=1, image=IMAGE, slo=slo, team="ads")
    ads = TeamRoute(critical="pagerduty:ads", warning="slack:#ads")
    alone = Monitoring(
        "alone",
        cluster=own,
        watches=[ranker, own],
        route=Route(critical="pagerduty:ml", warning="slack:#ml", teams={"ads": ads}),
        secrets={kind: ExistingSecret(name="alerting", key=kind) for kind in ("pagerduty", "slack")},
        pushgateway=True,
        grafana=None,
    )
    place = TrainingCluster("ops", prometheus_operator=True)
    pager = ManagedSecret("pager", value_from=FromEnvironment("PAGERDUTY_KEY"), in_cluster=[place])
    told = Route(critical="pagerduty:ml", warning="email:team@example.com")
    where = {f"{part}_url": f"https://id.example.com/{part}" for part in ("auth", "token", "userinfo")}
    oidc = Oidc(client_id="grafana", client_secret=pager, admins=["ml-leads"], **where)
    operated = Monitoring(
        "operated",
        cluster=place,
        watches=[Queue("work"), Database("features"), Bucket("data")],
        route=told,
        secrets={"pagerduty": pager},
        mail=MailServer(host="smtp.example.com", sender="alerts@example.com", user="alerts", password=pager),
        grafana=Grafana(oidc=oidc, address="https://grafana.example.com", called_from=["ingress-nginx"]),
    )
    return watch, alone, operated


def raw() -> Component:
    source = Bucket("data")
    settings = {
        "name": "events",
        "visibilityTimeoutSeconds": 60,
        "policy": join('{"source": "', source.arn, '"}'),
        "tags": {"from": source.bucket_name},
    }
    queue = Raw("queue", type="aws:sqs/queue:Queue", inputs=settings)
    secret = {"name": "token", "type": "SecureString", "value": SecretStr("never shown")}
    return Raw("token", type="aws:ssm/parameter:Parameter", inputs={**secret, "description": queue.output("url")})


SAMPLES: dict[type[Component], Callable[[], Component | tuple[Component, ...]]] = {
    Bucket: bucket,
    Dataset: dataset,
    ModelStore: model_store,
    Database: database,
    ImageRepository: image_repository,
    Key: key,
    Queue: queue,
    ManagedSecret: managed_secret,
    Network: network,
    NodePool: node_pool,
    TrainingCluster: training_cluster,
    Team: team,
    JobQueue: job_queue,
    TrainingJob: training_job,
    TrainingVm: training_vm,
    Workspace: workspace,
    Endpoint: endpoint,
    BatchInference: batch_inference,
    LoadTest: load_test,
    DriftMonitor: drift_monitor,
    Monitoring: monitoring,
    Raw: raw,
}
CASES = [(kind, tier) for kind in KINDS for tier in Tier]
IDS = [f"{kind.__name__}.{tier}" for kind, tier in CASES]


def compiled(kind: type[Component], tier: Tier) -> Graph:
    @blueprint("sample", version="1.0.0")
    def sample(env: Environment, p: Params) -> Blueprint:
        made = SAMPLES[kind]()
        return Blueprint(*(made if isinstance(made, tuple) else (made,)))

    environment = Environment(
        name=str(tier),
        tier=tier,
        owner=Owner("recsys", "ml-042"),
        account="local",
        region="us-east-1",
        cluster="local",
    )
    with recording() as notes:
        result = sample(environment, Params())
    assert notes.problems == []
    graph, problems = expand(sample, result, environment)
    assert problems.found == []
    return graph


@pytest.mark.parametrize(("kind", "tier"), CASES, ids=IDS)
def test_graph(matches: Callable[[Path, str], None], kind: type[Component], tier: Tier) -> None:
    matches(HERE / "kinds" / f"{kind.__name__}.{tier}.json", compiled(kind, tier).dumps(sources=False))


@pytest.mark.parametrize(("kind", "tier"), CASES, ids=IDS)
def test_every_token_input_and_name_holds(kind: type[Component], tier: Tier) -> None:
    assert run_checks(compiled(kind, tier)) == []


def test_every_kind_has_a_sample_and_every_golden_file_a_case() -> None:
    assert set(SAMPLES) == set(KINDS)
    assert {path.stem for path in (HERE / "kinds").glob("*.json")} == set(IDS)


def test_no_secret_is_in_a_golden_file() -> None:
    for path in HERE.rglob("*.json"):
        assert "never shown" not in path.read_text(encoding="utf-8"), path
