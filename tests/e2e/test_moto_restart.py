"""The moto daemon is killed and started again: the next `up` makes the stack whole, with nothing twice, undestroyed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import compile_stack
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WHOLE = '''
from mlinfra import (
    Blueprint,
    Bucket,
    Dataset,
    Endpoint,
    Environment,
    FlowLogs,
    Generated,
    ImageRepository,
    Key,
    ManagedSecret,
    ModelStore,
    Monitoring,
    Network,
    NodePool,
    Notification,
    Params,
    Queue,
    Raw,
    Replica,
    Route,
    TrainingCluster,
    TrainingJob,
    blueprint,
)

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4


@blueprint("whole", version="1.0.0")
def whole(env: Environment, p: Params) -> Blueprint:
    """Every kind that makes something on AWS, with the options that make more of it."""
    key = Key("keys")
    queue = Queue("work", key=key)
    data = Bucket(
        "data",
        classification="pii",
        expire_days=400,
        notifications=[Notification(to=queue)],
        replica=Replica(region="eu-central-1"),
    )
    clicks = Dataset("clicks", bucket=data)
    models = ModelStore("models", bucket=Bucket("artifacts", key=key))
    images = ImageRepository("images", key=key)
    word = ManagedSecret("word", value_from=Generated(length=32), key=key)
    net = Network("net", interface_endpoints=["ecr.api"], flow_logs=FlowLogs())
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=3)
    cluster = TrainingCluster("train", pools=[pool])
    fit = TrainingJob("fit", cluster=cluster, pool=pool, image=IMAGE, reads=[models], writes=[models])
    api = Endpoint("api", cluster=cluster, image=IMAGE, reads=[models, word])
    route = Route(critical="webhook:https://example.com/hook", warning="email:team@example.com")
    watch = Monitoring("watch", cluster=cluster, watches=[api, fit], route=route, alertmanager="a.example.com:9093")
    second = Raw("second", type="aws:kms/key:Key", inputs={"description": "a key of which only the mark tells"})
    parameter = Raw("note", type="aws:ssm/parameter:Parameter", inputs={"name": "/n", "type": "String", "value": "1"})
    return Blueprint(watch, queue, clicks, images, net, second, parameter)
'''

LISTED: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    # what: service, call, key of the list, arguments
    "buckets": ("s3", "list_buckets", "Buckets", {}),
    "aliases": ("kms", "list_aliases", "Aliases", {}),
    "topics": ("sns", "list_topics", "Topics", {}),
    "subscriptions": ("sns", "list_subscriptions", "Subscriptions", {}),
    "queues": ("sqs", "list_queues", "QueueUrls", {}),
    "repositories": ("ecr", "describe_repositories", "repositories", {}),
    "secrets": ("secretsmanager", "list_secrets", "SecretList", {}),
    "roles": ("iam", "list_roles", "Roles", {}),
    "policies": ("iam", "list_policies", "Policies", {"Scope": "Local"}),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", {}),
    "parameters": ("ssm", "describe_parameters", "Parameters", {}),
    "log groups": ("logs", "describe_log_groups", "logGroups", {}),
    "networks": ("ec2", "describe_vpcs", "Vpcs", {}),
    "subnets": ("ec2", "describe_subnets", "Subnets", {}),
    "gateways": ("ec2", "describe_internet_gateways", "InternetGateways", {}),
    "addresses": ("ec2", "describe_addresses", "Addresses", {}),
    "route tables": ("ec2", "describe_route_tables", "RouteTables", {}),
    "security groups": ("ec2", "describe_security_groups", "SecurityGroups", {}),
    "endpoints": ("ec2", "describe_vpc_endpoints", "VpcEndpoints", {}),
    "flow logs": ("ec2", "describe_flow_logs", "FlowLogs", {}),
}


def there(lab: Lab, stack: str) -> Counter[str]:
    """How many there are of everything that can be listed, keys and NAT gateways only while they are in use."""
    services = sorted({service for service, *_ in LISTED.values()})
    clients = dict(zip(services, lab.clients(stack, *services), strict=True))
    found = Counter(
        {
            what: len(getattr(clients[service], call)(**arguments).get(key) or [])
            for what, (service, call, key, arguments) in LISTED.items()
        }
    )
    keys = [clients["kms"].describe_key(KeyId=item["KeyId"]) for item in clients["kms"].list_keys()["Keys"]]
    found["keys"] = sum(item["KeyMetadata"]["KeyState"] == "Enabled" for item in keys)
    gateways = clients["ec2"].describe_nat_gateways()["NatGateways"]
    found["NAT gateways"] = sum(item["State"] == "available" for item in gateways)
    return found


def kill_moto(lab: Lab) -> None:
    record = json.loads((lab.root / ".mlinfra" / "local" / "moto" / "server.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)


def whole_again(lab: Lab, stack: str, before: Counter[str]) -> None:
    """Everything is there, once; nothing is left to do, and nothing is other than the state says."""
    assert there(lab, stack) == before
    assert set(lab.report("up", "--stack", stack, "--yes")["counts"]) == {"same"}
    assert lab.report("refresh", "--stack", stack)["steps"] == []
    s3 = lab.client(stack, "s3")
    for bucket in s3.list_buckets()["Buckets"]:
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket["Name"])["TagSet"]}
        assert tags["mlinfra:environment"] == stack


@pytest.fixture(scope="module")
def whole(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("whole", WHOLE)
    lab.stack("whole", blueprint="whole")
    lab.report("up", "--stack", "whole", "--yes")
    yield lab
    lab.run("destroy", "--stack", "whole", "--yes")


@pytest.fixture(scope="module")
def before(whole: Lab) -> Counter[str]:
    return there(whole, "whole")


def test_the_stack_has_every_type_that_components_make_on_aws(whole: Lab) -> None:
    project = Project(whole.root)
    made = {node.type for node in compile_stack(project, load_stack(project, "whole")).graph}
    services = {token.partition("/")[0].removeprefix("aws:") for token in made if token.startswith("aws:")}
    assert services >= {"s3", "kms", "sns", "sqs", "iam", "ecr", "ec2", "secretsmanager", "cloudwatch", "ssm"}


def killed(lab: Lab) -> None:
    """Between two runs."""
    kill_moto(lab)


def started_again(lab: Lab) -> None:
    """By somebody else's run on the project, after which it runs, and is empty."""
    kill_moto(lab)
    lab.stack("neighbour", blueprint="whole")
    lab.run("local", "up", "--stack", "neighbour")
    assert there(lab, "neighbour")["buckets"] == 0


def stopped(lab: Lab) -> None:
    """In good order, by `local down`."""
    lab.run("local", "down")


def in_the_middle_of_an_update(lab: Lab) -> None:
    """Once when it had lost everything already, and was being filled again."""
    kill_moto(lab)
    process = lab.start("up", "--stack", "whole", "--yes", "--json")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        line = process.stdout.readline() if process.stdout else ""
        if '"state": "done"' in line and '"resource_type": "aws:' in line:
            break
    kill_moto(lab)
    ran = lab.end(process)
    assert ran.code == 1, "a run whose AWS is gone fails"
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "happens",
    [killed, started_again, stopped, in_the_middle_of_an_update],
)
def test_the_stack_is_whole_after_the_next_up(whole: Lab, before: Counter[str], happens: Callable[[Lab], None]) -> None:
    lab = whole
    happens(lab)
    ran = lab.run("up", "--stack", "whole", "--yes")
    assert "has lost what it held" in ran.err
    whole_again(lab, "whole", before)


def test_a_preview_forgets_nothing(whole: Lab, before: Counter[str]) -> None:
    lab = whole
    kill_moto(lab)
    for _ in range(2):
        planned = lab.report("preview", "--stack", "whole")["counts"]
        assert planned["create"] > 0
        assert there(lab, "whole")["buckets"] == 0
    lab.report("up", "--stack", "whole", "--yes")
    whole_again(lab, "whole", before)
