from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from mlinfra.graph import Pool
from mlinfra.local.moto import Moto
from mlinfra.local.target import LocalAccess, LocalTarget, stop_all
from mlinfra.processes import identity
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.report import Event, Note, State, Task


def buckets(access: LocalAccess) -> list[str]:
    s3 = boto3.client(
        "s3",
        endpoint_url=access.aws_endpoint,
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        config=Config(proxies={}),
    )
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def test_up_again_changes_nothing_and_says_nothing(
    project: Project, access: LocalAccess, pools: tuple[Pool, ...]
) -> None:
    events: list[Event] = []
    assert LocalTarget(project, "staging", events.append).up(pools) == access
    assert events == []


def test_the_environment_leads_programs_to_the_target(access: LocalAccess) -> None:
    program = (
        "import boto3, json; s3 = boto3.client('s3'); s3.create_bucket(Bucket='by-environment');"
        "print(json.dumps([b['Name'] for b in s3.list_buckets()['Buckets']]))"
    )
    environment = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", **access.environment()}
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "by-environment" in json.loads(answer.stdout)
    assert "by-environment" in buckets(access)
    assert Cluster.from_kubeconfig(environment["KUBECONFIG"]).get("v1", "Node", "gpu-0")


def test_kubectl_keeps_its_cache_with_the_cluster(home: Path, access: LocalAccess) -> None:
    environment = {**os.environ, **access.environment()}
    command = ["kubectl", "get", "node", "gpu-0", "--output=name"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "node/gpu-0\n"
    assert any(Path(environment["KUBECACHEDIR"]).rglob("*"))
    assert not (home / ".kube").exists()


def test_two_stacks_are_worlds_apart(project: Project, target: LocalTarget, access: LocalAccess) -> None:
    """An account and a cluster each, one moto for both; and resetting one leaves the other."""
    other = LocalTarget(project, "prod", region="eu-west-1")
    theirs = other.up()
    assert theirs.aws_endpoint == access.aws_endpoint
    assert theirs.account != access.account
    assert theirs.kubernetes_server != access.kubernetes_server
    assert theirs.region == "eu-west-1"
    names = [node["metadata"]["name"] for node in Cluster.from_kubeconfig(theirs.kubeconfig).list("v1", "Node")]
    assert names == ["default-0"]
    subprocess.run(
        [sys.executable, "-c", "import boto3; boto3.client('sns').create_topic(Name='ours')"],
        env={**os.environ, **access.environment()}, check=True,
    )  # fmt: skip
    processes = [pid for pid in other.status().processes.values() if pid]
    other.reset()
    assert other.status().cluster == "absent"
    assert [identity(pid) for pid in processes] == [None] * 5
    assert target.status().cluster == "running"
    assert target.status().moto_instance == access.moto_instance
    assert other.status().moto_instance != theirs.moto_instance


EKS = """
import base64, boto3, json, ssl, sys, urllib.request
ec2, iam, eks = boto3.client("ec2"), boto3.client("iam"), boto3.client("eks")
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone="us-east-1" + zone)["Subnet"]
           for n, zone in enumerate("ab")]
trust = {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
role = iam.create_role(RoleName="eks", AssumeRolePolicyDocument=document)["Role"]["Arn"]
network = {"subnetIds": [each["SubnetId"] for each in subnets]}
eks.create_cluster(name="train", roleArn=role, resourcesVpcConfig=network, tags={"mlinfra:blueprint": "platform"})
cluster = eks.describe_cluster(name="train")["cluster"]
authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=authority))
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusting)
print(cluster["endpoint"], opener.open(cluster["endpoint"] + "/readyz").read().decode())
"""


def test_the_endpoint_of_an_eks_cluster_is_the_stacks_own_cluster(
    project: Project, target: LocalTarget, access: LocalAccess
) -> None:
    """Of the stack that made it, where others share the account; after moto has lost its memory, too."""
    same = LocalTarget(project, "staging", blueprint="platform")
    other = LocalTarget(project, "other", account="staging", blueprint="recommender")
    try:
        for _ in range(2):
            same.up()
            theirs = other.up()
            assert theirs.account == access.account
            answer = subprocess.run(
                [sys.executable, "-c", EKS],
                env={**os.environ, **theirs.environment()}, capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert answer.stdout.split() == [access.kubernetes_server, "ok"]
            Moto(project.folder("local", "moto")).stop()
    finally:
        other.reset()


UP = """
import sys
from pathlib import Path
from mlinfra.local.target import LocalTarget
from mlinfra.project import Project
print(LocalTarget(Project(Path(sys.argv[1])), "staging").up())
"""


def test_two_processes_at_once_start_one(project: Project, target: LocalTarget, access: LocalAccess) -> None:
    target.down()
    processes = [
        subprocess.Popen([sys.executable, "-c", UP, project.root], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert outputs[0] == outputs[1] != ""
    assert access.cluster_instance in outputs[0]


def test_status_is_plain_data(target: LocalTarget, access: LocalAccess) -> None:
    status = target.status()
    assert (status.cluster, status.moto_running, status.nodes) == ("running", True, 3)
    assert status.aws_endpoint == access.aws_endpoint
    assert all(Path(log).exists() for log in status.logs)
    assert json.loads(json.dumps(status.as_json()))["processes"].keys() == status.processes.keys()


def test_a_stack_that_was_never_up(project: Project) -> None:
    target = LocalTarget(project, "never")
    status = target.status()
    assert (status.cluster, status.kubernetes_server, status.nodes) == ("absent", "", 0)
    target.remove_nodes()
    target.down()
    target.reset()


def test_stopping_all_stops_all_and_says_what_is_lost(
    project: Project, target: LocalTarget, access: LocalAccess
) -> None:
    before = target.status()
    events: list[Event] = []
    stop_all(project, events.append)
    assert [identity(pid) for pid in before.processes.values() if pid] == [None] * 5
    [note] = [event for event in events if isinstance(event, Note)]
    assert "lost" in note.diagnostic.summary
    status = target.status()
    assert (status.cluster, status.moto_running) == ("stopped", False)
    again = LocalTarget(project, "staging", events.append).up()
    assert again.aws_endpoint == access.aws_endpoint
    assert again.cluster_instance == access.cluster_instance
    assert again.moto_instance != access.moto_instance
    ended = {event.name for event in events if isinstance(event, Task) and event.state is State.DONE}
    assert ended == {"local AWS", "local Kubernetes"}


def test_the_users_home_stays_empty(home: Path, access: LocalAccess) -> None:
    assert [str(path.relative_to(home)) for path in home.rglob("*")] == []


def test_all_it_writes_is_for_its_owner(project: Project, access: LocalAccess) -> None:
    assert project.home.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in project.root.iterdir()] == [".mlinfra"]


@pytest.mark.parametrize("set_already", ["", "internal.example"])
def test_a_proxy_is_passed_by(access: LocalAccess, monkeypatch: pytest.MonkeyPatch, set_already: str) -> None:
    monkeypatch.setenv("NO_PROXY", set_already)
    monkeypatch.delenv("no_proxy", raising=False)
    assert access.environment()["NO_PROXY"].split(",") == [*filter(None, [set_already]), "127.0.0.1", "localhost"]
