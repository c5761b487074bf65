"""Machines for people through the real engine: the starter's VM on AWS, and a workspace that stops and starts."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from mlinfra.components import workspace_stopper
from tests.components.test_workspace_stopper import TOKEN, served
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

IMAGE = "registry.example.com/team/jupyter@sha256:" + "0123456789abcdef" * 4
WORKSPACE = f"""
from mlinfra import Blueprint, Bucket, Environment, NodePool, Params, TrainingCluster, Workspace, blueprint


class Values(Params):
    env: dict[str, str] = {{}}


@blueprint("notebooks", version="1.0.0")
def notebooks(env: Environment, p: Values) -> Blueprint:
    pool = NodePool("cpu", instance_type="m6i.xlarge", min=1, max=2)
    cluster = TrainingCluster("team", pools=[pool], developers=["search-devs"])
    data = Bucket("data")
    lab = Workspace("lab", cluster=cluster, pool=pool, image="{IMAGE}", reads=[data], idle_minutes=30, env=p.env)
    return Blueprint(lab, outputs={{"start": lab.start_command, "token": lab.token_value}})
"""
NAMESPACE = "notebooks-dev-team"


def test_the_starter(lab: Lab) -> None:
    plan = lab.report("preview", "--stack", "starter-dev")
    assert set(plan["counts"]) == {"create"}
    made = lab.report("up", "--stack", "starter-dev", "--yes")
    machine = made["outputs"]["machine"]
    assert made["outputs"]["connect"] == f"aws ssm start-session --target {machine}"
    _is_as_the_starter_says(lab, machine, made["outputs"]["data"])
    assert set(lab.report("up", "--stack", "starter-dev", "--yes", "--refresh")["counts"]) == {"same"}

    (ec2,) = lab.clients("starter-dev", "ec2")
    ec2.stop_instances(InstanceIds=[machine])  # as it does itself when nobody uses it
    assert set(lab.report("up", "--stack", "starter-dev", "--yes", "--refresh")["counts"]) == {"same"}
    assert _machine(ec2, machine)["State"]["Name"] == "stopped"

    lab.run("destroy", "--stack", "starter-dev", "--yes")
    assert _machine(ec2, machine)["State"]["Name"] == "terminated"
    assert ec2.describe_volumes()["Volumes"] == []
    own = [{"Name": "tag:mlinfra:blueprint", "Values": ["starter"]}]
    assert ec2.describe_security_groups(Filters=own)["SecurityGroups"] == []
    assert ec2.describe_vpcs(Filters=own)["Vpcs"] == []
    s3, iam = lab.clients("starter-dev", "s3", "iam")
    assert s3.list_buckets()["Buckets"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    assert iam.list_roles()["Roles"] == []


def test_a_machine_is_not_replaced_unasked(lab: Lab) -> None:
    lab.run("up", "--stack", "starter-dev", "--yes")
    stack = yaml.safe_load((lab.root / "stacks" / "starter-dev.yaml").read_text())
    stack["params"] = {"machine": "m6i.2xlarge", "disk_gib": 200, "idle_minutes": 45}
    (lab.root / "stacks" / "starter-dev.yaml").write_text(yaml.safe_dump(stack))
    counts = lab.report("up", "--stack", "starter-dev", "--yes")["counts"]
    assert counts.get("update") == 1
    assert set(counts) == {"same", "update"}
    blueprint = lab.root / "blueprints" / "starter.py"
    text = blueprint.read_text()
    blueprint.write_text(text.replace("reads=[data],", 'image="ami-0123456789abcdef0", reads=[data],'))
    refused = lab.run("up", "--stack", "starter-dev", "--yes", code=1)
    assert "this run would replace box/machine, which holds data" in refused.out + refused.err
    blueprint.write_text(text)
    lab.run("destroy", "--stack", "starter-dev", "--yes")


def _machine(ec2: Any, machine: str) -> Any:
    return ec2.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]


def _is_as_the_starter_says(lab: Lab, machine: str, uri: str) -> None:
    ec2, iam = lab.clients("starter-dev", "ec2", "iam")
    live = _machine(ec2, machine)
    assert (live["State"]["Name"], live["InstanceType"]) == ("running", "m6i.xlarge")
    assert "PublicIpAddress" not in live
    assert live["MetadataOptions"]["HttpTokens"] == "required"
    (subnet,) = ec2.describe_subnets(SubnetIds=[live["SubnetId"]])["Subnets"]
    assert not subnet["MapPublicIpOnLaunch"]
    (interface,) = live["NetworkInterfaces"]
    (group,) = ec2.describe_security_groups(GroupIds=[item["GroupId"] for item in interface["Groups"]])[
        "SecurityGroups"
    ]
    assert group["IpPermissions"] == []
    (mapping,) = live["BlockDeviceMappings"]
    (volume,) = ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Encrypted"], volume["VolumeType"], volume["Size"]) == (True, "gp3", 100)
    assert {tag["Key"]: tag["Value"] for tag in volume["Tags"]}["mlinfra:owner"] == "research"
    shutdown = ec2.describe_instance_attribute(InstanceId=machine, Attribute="instanceInitiatedShutdownBehavior")
    assert shutdown["InstanceInitiatedShutdownBehavior"]["Value"] == "stop"
    encoded = ec2.describe_instance_attribute(InstanceId=machine, Attribute="userData")["UserData"]["Value"]
    script = base64.b64decode(encoded).decode()
    assert script.startswith("#cloud-boothook")
    assert f"export DATA_URI='{uri}'" in script
    assert "mlinfra-idle 30\n" in script
    (profile,) = iam.list_instance_profiles()["InstanceProfiles"]
    assert live["IamInstanceProfile"]["Arn"] == profile["Arn"]
    (role,) = profile["Roles"]
    access = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="access")["PolicyDocument"]
    allowed = [item for item in access["Statement"] if item["Effect"] == "Allow"]
    assert all(uri.removeprefix("s3://") in str(item["Resource"]) or "kms" in str(item) for item in allowed)


# ------------------------------------------------------------------------------------------------ a workspace


def test_a_workspace_stops_and_starts(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.blueprint("notebooks", WORKSPACE)
    lab.stack("dev", blueprint="notebooks")
    made = lab.report("up", "--stack", "dev", "--yes")
    assert _replicas(lab) == 1
    secret = lab.kubectl("dev", "get", "secret", "lab", "--namespace", NAMESPACE)["data"]["token"]
    token = base64.b64decode(secret).decode()
    assert len(token) == 48
    assert token not in json.dumps(made)
    local = lab.root / ".mlinfra" / "local"  # the cluster's own database has its Secrets
    assert not [
        path for path in lab.written() if not path.is_relative_to(local) and token.encode() in path.read_bytes()
    ]
    assert set(lab.report("up", "--stack", "dev", "--yes", "--refresh")["counts"]) == {"same"}

    _as_its_pod(lab, tmp_path, monkeypatch)
    with served() as jupyter:
        monkeypatch.setenv("JUPYTER_URL", jupyter.url)
        jupyter.used = timedelta(minutes=29)
        assert workspace_stopper.look(30, "lab") is False
        assert _replicas(lab) == 1
        jupyter.used = timedelta(minutes=31)
        assert workspace_stopper.look(30, "lab") is True
    assert _replicas(lab) == 0
    assert set(lab.report("up", "--stack", "dev", "--yes", "--refresh")["counts"]) == {"same"}, "it is people's"
    lab.stack("dev", blueprint="notebooks", params={"env": {"LOG": "info"}})
    assert lab.report("up", "--stack", "dev", "--yes")["counts"].get("update") == 1
    assert _replicas(lab) == 0, "another setting does not start it"

    assert made["outputs"]["start"].startswith(f"kubectl --namespace {NAMESPACE} scale statefulset/lab")
    start = [*made["outputs"]["start"].split(), "--as", "somebody", "--as-group", "search-devs"]
    subprocess.run(start, env=lab.access("dev"), check=True, capture_output=True)
    assert _replicas(lab) == 1
    _may_do_what_it_needs_and_no_more(lab)
    lab.run("destroy", "--stack", "dev", "--yes")


def _replicas(lab: Lab) -> int:
    found = lab.kubectl("dev", "get", "statefulset", "lab", "--namespace", NAMESPACE)
    return int(found["spec"]["replicas"])


def _as_its_pod(lab: Lab, access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the program what its container has: a token of the service account, the authority, where the API is."""
    config = yaml.safe_load(Path(lab.access("dev")["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
    command = ["kubectl", "create", "token", "lab", "--namespace", NAMESPACE]
    issued = subprocess.run(command, env=lab.access("dev"), capture_output=True, text=True, check=True)
    (access / "token").write_text(issued.stdout)
    (access / "namespace").write_text(NAMESPACE)
    authority = config.get("certificate-authority-data")
    content = base64.b64decode(authority) if authority else Path(config["certificate-authority"]).read_bytes()
    (access / "ca.crt").write_bytes(content)
    server = urlsplit(config["server"])
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(server.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.setenv("API_ACCESS", str(access))
    monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)


WHO = {
    "pod": [f"--as=system:serviceaccount:{NAMESPACE}:lab"],
    "developer": ["--as=somebody", "--as-group=search-devs"],
    "stranger": ["--as=somebody", "--as-group=other-devs"],
}
MAY = [
    ("pod", "patch statefulsets/lab --subresource=scale", True),
    ("pod", "patch statefulsets/other --subresource=scale", False),
    ("pod", "patch statefulsets/lab", False),
    ("pod", "get secrets/lab", False),
    ("pod", "list pods", False),
    ("developer", "patch statefulsets/lab --subresource=scale", True),
    ("developer", "patch statefulsets/other --subresource=scale", False),
    ("developer", "get secrets/lab", True),
    ("developer", "get secrets/other", False),
    ("developer", "list secrets", False),
    ("stranger", "patch statefulsets/lab --subresource=scale", False),
    ("stranger", "get secrets/lab", False),
]


def _may_do_what_it_needs_and_no_more(lab: Lab) -> None:
    for who, what, may in MAY:
        command = ["kubectl", "auth", "can-i", *what.split(), "--namespace", NAMESPACE, *WHO[who]]
        ran = subprocess.run(command, env=lab.access("dev"), capture_output=True, text=True, check=False)
        assert ran.stdout.strip() == ("yes" if may else "no"), (who, what, ran.stderr)
