"""Physical names at their longest stay within what AWS and Kubernetes take."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlinfra.checks import check_names
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_options import Notification, Replica
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.node_pool import NodePool
from mlinfra.components.queue import Queue
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Route

IMAGE = "registry.example.com/image@sha256:" + "ab" * 32
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a whole graph is slow to shrink, and the message says enough
NAMED = (
    *("aws:iam/role:Role", "aws:ecr/repository:Repository", "aws:sns/topic:Topic", "aws:sqs/queue:Queue"),
    "aws:kms/alias:Alias",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def names(longest: int, *, extra: str = "-") -> st.SearchStrategy[str]:
    """Names of a form, the longest often."""
    middle = st.text(alphabet=LETTERS + "0123456789" + extra, min_size=0, max_size=longest - 2)
    long = st.text(alphabet=LETTERS + "0123456789" + extra, min_size=longest - 2, max_size=longest - 2)
    return st.tuples(st.sampled_from(LETTERS), middle | long, st.sampled_from(LETTERS)).map("".join)


def everything(parts: list[str]) -> Monitoring:
    data, pool_name, train, fit, api, watch, work = parts
    pool = NodePool(pool_name, instance_type="g5.xlarge")
    cluster = TrainingCluster(train, pools=[pool])
    queue = Queue(work)
    store = Bucket(
        data,
        classification="pii",
        expire_days=90,
        replica=Replica(region="eu-central-1"),
        notifications=[Notification(to=queue)],
    )
    job = TrainingJob(fit, cluster=cluster, pool=pool, gpus=1, image=IMAGE, reads=[store])
    endpoint = Endpoint(api, cluster=cluster, image=IMAGE, writes=[store])
    route = Route(critical="email:a@example.com", warning="webhook:https://example.com")  # type: ignore[arg-type]
    return Monitoring(watch, cluster=cluster, watches=[job, endpoint], route=route, alertmanager="a:1")


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    parts=st.lists(names(30), min_size=7, max_size=7, unique=True),
    blueprint=names(80, extra="-_"),
    environment=names(32),
    target=st.sampled_from(["local", "eks"]),
)
def test_names_stay_within_limits(
    expanded: Any, parts: list[str], blueprint: str, environment: str, target: str
) -> None:
    result = expanded(lambda: everything(parts), target, name=blueprint, environment=environment)
    assert result.codes == []
    told = check_names(result.graph)
    assert told == [], "\n".join(f"{item.resource}: {item.summary} {item.detail}" for item in told)


@given(environments=st.lists(names(32), min_size=2, max_size=2, unique=True))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_environments_never_share_a_name_of_the_account(expanded: Any, environments: list[str]) -> None:
    def physical(environment: str) -> set[str]:
        graph = expanded(lambda: everything(list("abcdefg")), environment=environment).graph
        keys = {"aws:s3/bucket:Bucket": "bucket"}
        return {node.inputs[keys.get(node.type, "name")] for node in graph if node.type in (*keys, *NAMED)}

    first, second = environments
    assert not physical(first) & physical(second)
