"""The world that the chaos tests break: a project with one stack of both kinds of resources, seen from outside.

The stack has two generations, `params: {generation: 1}` and `2`: from one to the other most resources are updated, some
are replaced (another name, another key spec), one comes and one goes. `expected` says what there must be of each;
`World.seen` counts it at moto by boto3, and in the cluster by kubectl, all of it: what is there twice is seen too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from mlinfra.project import Project
from mlinfra.state.service import states_of
from tests.e2e.conftest import Lab

BLUEPRINT = """
from typing import Any

from mlinfra import Blueprint, Environment, Params, Raw, Secret, blueprint


class Values(Params):
    generation: int = 1


ASSUME = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",'
    ' "Principal": {"Service": "ec2.amazonaws.com"}}]}'
)
ALLOW = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
)


def aws(name: str, token: str, /, **inputs: Any) -> Raw:
    return Raw(name, type=f"aws:{token}", inputs=inputs)


def core(name: str, token: str, called: str, /, **inputs: Any) -> Raw:
    metadata = {"name": called, "namespace": "default", "labels": {"chaos": "yes"}}
    return Raw(name, type=f"kubernetes:core/v1:{token}", inputs={"metadata": metadata, **inputs})


@blueprint("chaos", version="1.0.0")
def chaos(env: Environment, p: Values) -> Blueprint:
    now = str(p.generation)
    made = [
        aws(f"bucket-{i}", "s3/bucket:Bucket", bucket=f"chaos-{i}", tags={"generation": now}) for i in range(3)
    ]
    made.append(aws("passing", "s3/bucket:Bucket", bucket=f"chaos-passing-{now}"))
    made.append(aws(f"only-{now}", "s3/bucket:Bucket", bucket=f"chaos-only-{now}"))
    made.append(
        aws(
            "versioning",
            "s3/bucketVersioning:BucketVersioning",
            bucket=made[0].output("bucket"),
            versioningConfiguration={"status": "Enabled" if now == "1" else "Suspended"},
        )
    )
    role = aws("role", "iam/role:Role", name="chaos", assumeRolePolicy=ASSUME, description=f"of {now}")
    policy = aws("policy", "iam/rolePolicy:RolePolicy", role=role.output("name"), name=f"chaos-{now}", policy=ALLOW)
    key = aws("key", "kms/key:Key", description=f"chaos {now}", tags={"generation": now})
    signer = aws(
        "signer",
        "kms/key:Key",
        description="signer",
        keyUsage="SIGN_VERIFY",
        customerMasterKeySpec="ECC_NIST_P256" if now == "1" else "ECC_NIST_P384",
    )
    alias = aws("alias", "kms/alias:Alias", name="alias/chaos", targetKeyId=key.output("keyId"))
    topic = aws("topic", "sns/topic:Topic", name=f"chaos-{now}", displayName="chaos")
    alarm = aws(
        "alarm",
        "cloudwatch/metricAlarm:MetricAlarm",
        name="chaos",
        comparisonOperator="GreaterThanThreshold",
        evaluationPeriods=1,
        metricName="CPUUtilization",
        namespace="AWS/EC2",
        period=60,
        statistic="Average",
        threshold=float(now),
        alarmActions=[topic.output("arn")],
    )
    parameter = aws(
        "parameter", "ssm/parameter:Parameter", name="/chaos", type="SecureString", value=Secret(f"word-{now}")
    )
    secret = aws(
        "secret", "secretsmanager/secret:Secret", name="chaos", description=f"of {now}", recoveryWindowInDays=0
    )
    version = aws(
        "version",
        "secretsmanager/secretVersion:SecretVersion",
        secretId=secret.output("id"),
        secretString=Secret(f"word-{now}"),
    )
    logs = aws("logs", "cloudwatch/logGroup:LogGroup", name="/chaos", retentionInDays=7 if now == "1" else 14)
    cluster = [core(f"map-{i}", "ConfigMap", f"chaos-{i}", data={"generation": now}) for i in range(4)]
    cluster += [
        core("map-passing", "ConfigMap", f"chaos-passing-{now}", data={"generation": now}),
        core("words", "Secret", "chaos", stringData={"word": Secret(f"word-{now}")}),
        core("account", "ServiceAccount", "chaos"),
        core("service", "Service", "chaos", spec={"ports": [{"port": 80 + p.generation}]}),
    ]
    rest = [role, policy, key, signer, alias, topic, alarm, parameter, secret, version, logs]
    return Blueprint(*made, *rest, *cluster)
"""

Seen = dict[str, list[str]]


def expected(generation: int) -> Seen:
    """What there is of a generation, all of it; 0 is nothing."""
    if not generation:
        return {kind: [] for kind in expected(1)}
    now = str(generation)
    buckets = sorted([*(f"chaos-{i} generation={now}" for i in range(3)), f"chaos-passing-{now}", f"chaos-only-{now}"])
    spec = "ECC_NIST_P256" if generation == 1 else "ECC_NIST_P384"
    maps = sorted([*(f"chaos-{i} {now}" for i in range(4)), f"chaos-passing-{now} {now}"])
    return {
        "buckets": buckets,
        "versioning": ["Enabled" if generation == 1 else "Suspended"],
        "roles": [f"chaos of {now}: chaos-{now}"],
        "keys": sorted([f"chaos {now} SYMMETRIC_DEFAULT", f"signer {spec}"]),
        "aliases": [f"alias/chaos -> chaos {now}"],
        "topics": [f"chaos-{now}"],
        "alarms": [f"chaos > {now}.0 -> chaos-{now}"],
        "parameters": [f"/chaos = word-{now}"],
        "secrets": [f"chaos of {now} = word-{now}"],
        "logs": ["/chaos 7" if generation == 1 else "/chaos 14"],
        "ConfigMap": maps,
        "Secret": ["chaos"],
        "ServiceAccount": ["chaos"],
        "Service": [f"chaos {80 + generation}"],
    }


@dataclass
class World:
    """A stack that may be broken, and what can be said of it."""

    lab: Lab
    stack: str
    generation: int = 0
    spoiled: bool = False
    _access: dict[str, str] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lab.blueprint("chaos", BLUEPRINT)
        self.want(1)
        self.lab.run("local", "up", "--stack", self.stack)
        self._access = self.lab.access(self.stack)

    def want(self, generation: int) -> None:
        """Write the stack file for a generation."""
        state = {"backend": "service"}
        given_up = ["passing", f"only-{3 - generation}", "signer"]
        self.lab.stack(
            self.stack, blueprint="chaos", params={"generation": generation}, state=state, allow_loss=given_up
        )

    def bring_to(self, generation: int) -> None:
        """Make the stack be of a generation, 0 for destroyed, in peace."""
        if self.generation != generation:
            if generation:
                self.want(generation)
                self.lab.run("up", "--stack", self.stack, "--yes")
            else:
                self.lab.run("destroy", "--stack", self.stack, "--yes")
            self.generation = generation
        self.want(generation or 1)

    # ------------------------------------------------------------------------------------------ what is there

    def seen(self) -> Seen:
        """Everything of the stack's account and of its cluster."""
        buckets = [item["Name"] for item in self._client("s3").list_buckets()["Buckets"]]
        return {
            "buckets": sorted(f"{name}{self._bucket_tags(name)}" for name in buckets),
            "versioning": [status for name in sorted(buckets) if (status := self._versioning(name))],
            "roles": [self._role(item) for item in self._all("iam", "list_roles", "Roles")],
            "keys": sorted(f"{item['Description']} {item['KeySpec']}" for item in self._keys().values()),
            "aliases": self._aliases(),
            "topics": sorted(_last(item["TopicArn"]) for item in self._all("sns", "list_topics", "Topics")),
            "alarms": [_alarm(item) for item in self._all("cloudwatch", "describe_alarms", "MetricAlarms")],
            "parameters": [self._parameter(item) for item in self._all("ssm", "describe_parameters", "Parameters")],
            "secrets": [self._secret(item) for item in self._all("secretsmanager", "list_secrets", "SecretList")],
            "logs": [_log_group(item) for item in self._all("logs", "describe_log_groups", "logGroups")],
            **self._in_cluster(),
        }

    def recorded(self) -> list[dict[str, Any]]:
        """What the state service's database says, asked without a run of the engine: names and pending operations."""
        with states_of(Project(self.lab.root)) as states:
            assert states.verify() == []
            state = states.read("chaos", self.stack)
        assert not state.get("pending_operations")
        return [item for item in state.get("resources") or [] if item.get("custom") and "providers" not in item["type"]]

    def _client(self, service: str) -> Any:
        access = self._access
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=access["AWS_ENDPOINT_URL"],
                region_name=access["AWS_REGION"],
                aws_access_key_id=access["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=access["AWS_SECRET_ACCESS_KEY"],
                config=Config(proxies={}, retries={"max_attempts": 2}),
            )
        return self._clients[service]

    def _all(self, service: str, operation: str, items: str) -> list[Any]:
        return [item for page in self._client(service).get_paginator(operation).paginate() for item in page[items]]

    def _bucket_tags(self, bucket: str) -> str:
        client = self._client("s3")
        try:
            tags = client.get_bucket_tagging(Bucket=bucket)["TagSet"]
        except client.exceptions.ClientError:
            return ""
        return "".join(f" {tag['Key']}={tag['Value']}" for tag in tags if not tag["Key"].startswith("mlinfra"))

    def _versioning(self, bucket: str) -> str | None:
        return self._client("s3").get_bucket_versioning(Bucket=bucket).get("Status")

    def _role(self, role: Any) -> str:
        names = self._client("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        return f"{role['RoleName']} {role.get('Description')}: {', '.join(names)}"

    def _keys(self) -> dict[str, Any]:
        """The keys that are not about to be deleted."""
        client = self._client("kms")
        found = [client.describe_key(KeyId=item["KeyId"]) for item in self._all("kms", "list_keys", "Keys")]
        keys = (item["KeyMetadata"] for item in found)
        return {item["KeyId"]: item for item in keys if item["KeyState"] != "PendingDeletion"}

    def _aliases(self) -> list[str]:
        keys = self._keys()
        found = [item for item in self._all("kms", "list_aliases", "Aliases") if "aws/" not in item["AliasName"]]
        return [f"{item['AliasName']} -> {keys[item['TargetKeyId']]['Description']}" for item in found]

    def _parameter(self, item: Any) -> str:
        got = self._client("ssm").get_parameter(Name=item["Name"], WithDecryption=True)
        return f"{item['Name']} = {got['Parameter']['Value']}"

    def _secret(self, item: Any) -> str:
        got = self._client("secretsmanager").get_secret_value(SecretId=item["ARN"])
        return f"{item['Name']} {item.get('Description')} = {got['SecretString']}"

    def _in_cluster(self) -> Seen:
        kinds = ("ConfigMap", "Secret", "ServiceAccount", "Service")
        found: Seen = {kind: [] for kind in kinds}
        items = self._kubectl("get", ",".join(kinds).lower(), "--namespace", "default", "--selector", "chaos=yes")
        for item in items["items"]:
            name = item["metadata"]["name"]
            match item["kind"]:
                case "ConfigMap":
                    name += f" {item['data']['generation']}"
                case "Service":
                    name += f" {item['spec']['ports'][0]['port']}"
            found[item["kind"]].append(name)
        return {kind: sorted(names) for kind, names in found.items()}

    def _kubectl(self, *arguments: str) -> Any:
        ran = subprocess.run(
            ["kubectl", *arguments, "-o", "json"], env=self._access, capture_output=True, check=True, text=True
        )
        return json.loads(ran.stdout)


def end_engines(root: Path) -> None:
    """End the engines that killed processes left in a project."""
    for pid in _working_in(root):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _working_in(root: Path) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "comm").read_text().strip() == "pulumi" and (folder / "cwd").readlink().is_relative_to(root):
                yield int(folder.name)


def _alarm(item: Any) -> str:
    return f"{item['AlarmName']} > {item['Threshold']} -> {', '.join(map(_last, item['AlarmActions']))}"


def _log_group(item: Any) -> str:
    return f"{item['logGroupName']} {item.get('retentionInDays')}"


def _last(arn: str) -> str:
    return arn.rpartition(":")[2]
