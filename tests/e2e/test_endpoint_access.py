"""An endpoint's own credentials against moto with its authorization on: its models it reads, and nothing else.

Every request is signed with what AssumeRole gave for the role that `up` made, and moto holds it against the policy that
the role really has. The jobs' role is the counterpart: it may do what the endpoint may not, so that it is the policies
that decide and not moto that refuses everything.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KEY, BODY = "ranker/41/model.bin", b"weights"
# moto cannot check the signature of a body that is sent in chunks.
PLAIN = Config(
    proxies={},
    retries={"max_attempts": 1},
    request_checksum_calculation="when_required",
    s3={"payload_signing_enabled": True, "addressing_style": "path"},
)


@dataclass
class Worlds:
    """The buckets, and clients with the credentials of each component's role."""

    models: str
    data: str
    of: dict[str, boto3.Session]
    endpoint: str

    def client(self, component: str, service: str = "s3") -> Any:
        return self.of[component].client(service, endpoint_url=self.endpoint, config=PLAIN)


@pytest.fixture(scope="module")
def worlds(lab: Lab) -> Iterator[Worlds]:
    lab.run("up", "--stack", "prod", "--yes")
    seen = lab.access("prod")
    s3, sts, iam = lab.clients("prod", "s3", "sts", "iam")
    buckets = {name: bucket for bucket in _names(s3) for name in ("models", "data") if f"-{name}-" in bucket}
    for bucket in buckets.values():
        s3.put_object(Bucket=bucket, Key=KEY, Body=BODY)
    sessions = {}
    for component in ("api", "fit"):
        [role] = [item["Arn"] for item in iam.list_roles()["Roles"] if item["RoleName"].endswith(f"-{component}")]
        given = sts.assume_role(RoleArn=role, RoleSessionName=component)["Credentials"]
        sessions[component] = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=seen["AWS_REGION"]
        )
    _authorize(lab, "0")
    yield Worlds(buckets["models"], buckets["data"], sessions, seen["AWS_ENDPOINT_URL"])
    _authorize(lab, "inf")


def _names(s3: Any) -> list[str]:
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def _authorize(lab: Lab, after: str) -> None:
    """Have moto check signatures and policies after so many requests (moto, "IAM-like access control")."""
    record = json.loads((lab.root / ".mlinfra" / "local" / "moto" / "server.json").read_text())
    request = urllib.request.Request(
        f"http://127.0.0.1:{record['port']}/moto-api/reset-auth",
        data=after.encode(),
        headers={"X-Mlinfra-Token": record["token"], "Content-Type": "text/plain"},
        method="POST",
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert answer.status == 200


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_an_endpoint_reads_its_model(worlds: Worlds) -> None:
    s3 = worlds.client("api")
    assert s3.get_object(Bucket=worlds.models, Key=KEY)["Body"].read() == BODY
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=worlds.models)["Contents"]] == [KEY]


def test_it_cannot_change_its_model(worlds: Worlds) -> None:
    s3 = worlds.client("api")
    assert refused(s3.put_object, Bucket=worlds.models, Key=KEY, Body=b"mine") == "AccessDenied"
    assert refused(s3.put_object, Bucket=worlds.models, Key="another", Body=b"mine") == "AccessDenied"
    assert refused(s3.delete_object, Bucket=worlds.models, Key=KEY) == "AccessDenied"
    assert s3.get_object(Bucket=worlds.models, Key=KEY)["Body"].read() == BODY


def test_it_cannot_read_the_data_that_the_model_was_trained_on(worlds: Worlds) -> None:
    s3 = worlds.client("api")
    assert refused(s3.get_object, Bucket=worlds.data, Key=KEY) == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket=worlds.data) == "AccessDenied"
    assert refused(s3.put_object, Bucket=worlds.data, Key=KEY, Body=b"mine") == "AccessDenied"


def test_it_can_give_itself_nothing(worlds: Worlds) -> None:
    iam = worlds.client("api", "iam")
    [_, role] = worlds.client("api", "sts").get_caller_identity()["Arn"].split("/")[:2]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    assert refused(iam.put_role_policy, RoleName=role, PolicyName="all", PolicyDocument=policy) == "AccessDenied"
    other = worlds.client("fit", "sts").get_caller_identity()["Arn"].split("/")[1]
    account = worlds.client("fit", "sts").get_caller_identity()["Account"]
    arn = f"arn:aws:iam::{account}:role/{other}"
    assert refused(worlds.client("api", "sts").assume_role, RoleArn=arn, RoleSessionName="mine") == "AccessDenied"


def test_a_job_may_do_what_the_endpoint_may_not(worlds: Worlds) -> None:
    s3 = worlds.client("fit")
    assert s3.get_object(Bucket=worlds.data, Key=KEY)["Body"].read() == BODY
    s3.put_object(Bucket=worlds.models, Key="ranker/42/model.bin", Body=BODY)
    assert refused(s3.get_object, Bucket=worlds.models, Key=KEY) == "AccessDenied"
    assert worlds.client("api").get_object(Bucket=worlds.models, Key="ranker/42/model.bin")["Body"].read() == BODY


def test_credentials_that_nobody_gave_out_are_refused(worlds: Worlds) -> None:
    known = worlds.of["api"].get_credentials().get_frozen_credentials()
    forged = boto3.Session(known.access_key, "x" * 40, known.token, region_name="us-east-1")
    s3 = forged.client("s3", endpoint_url=worlds.endpoint, config=PLAIN)
    assert refused(s3.get_object, Bucket=worlds.models, Key=KEY) == "SignatureDoesNotMatch"
