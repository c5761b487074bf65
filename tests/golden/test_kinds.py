"""Each kind of component in each tier: a small blueprint around it, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from mlinfra.authoring import Blueprint, Component, Params, blueprint, recording
from mlinfra.checks import run_checks
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_options import CorsRule, Notification, ObjectLock, Replica, Transition
from mlinfra.components.database import Database
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.image_repository import ImageRepository
from mlinfra.components.key import Key
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.model_store import ModelStore
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.network import Network
from mlinfra.components.network_values import FlowLogs
from mlinfra.components.node_pool import NodePool
from mlinfra.components.queue import Queue
from mlinfra.components.raw import Raw
from mlinfra.components.registry import KINDS
from mlinfra.components.secret_sources import FromEnvironment
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Autoscale, Quota, Route, Taint
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


def training_cluster() -> Component:
    return TrainingCluster("train", pools=[NodePool("cpu", instance_type="m6i.xlarge", max=3)], quota=Quota(pods=50))


def training_job() -> Component:
    pool = NodePool("gpu", instance_type="g5.xlarge")
    cluster = TrainingCluster("train", pools=[pool])
    data = Bucket("data")
    return TrainingJob(
        "fit", cluster=cluster, pool=pool, gpus=1, image=IMAGE, command=["train"], reads=[data], writes=[data]
    )


def endpoint() -> Component:
    cluster = TrainingCluster("train")
    return Endpoint(
        "api", cluster=cluster, image=IMAGE, model="models:/recs/3", reads=[Bucket("models")], env={"LOG": "info"}
    )


def monitoring() -> Component:
    cluster = TrainingCluster("train")
    api = Endpoint("api", cluster=cluster, image=IMAGE, scale=Autoscale(min=1, max=3))
    route = Route(critical="webhook:https://example.com/hook", warning="email:team@example.com")
    return Monitoring(
        "watch", cluster=cluster, watches=[api], route=route, alertmanager="alertmanager.example.com:9093"
    )


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
    TrainingJob: training_job,
    Endpoint: endpoint,
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
