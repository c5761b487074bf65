"""Drift by hand: what is changed, in a real moto and a cluster that is played, and whether its repair is seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlinfra.local.accounts import SECRET_KEY, access_key
from mlinfra.local.moto import Moto
from mlinfra.local.target import LocalAccess
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.workflow.rehearse_drift import HAND, in_aws, in_cluster

ACCOUNT = "444444444444"


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAccess]:
    folder = tmp_path_factory.mktemp("moto")
    moto = Moto(folder)
    endpoint = moto.ensure().endpoint
    yield LocalAccess(
        endpoint, ACCOUNT, "eu-west-1", access_key(ACCOUNT), SECRET_KEY, folder / "kubeconfig", "", "", ""
    )
    moto.stop()


def client(access: LocalAccess, service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=access.aws_endpoint,
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )


def resource(kind: str, node: str, identity: str, /, **inputs: Any) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:s::p::{kind}::{node}", "type": kind, "id": identity, "inputs": inputs}


def test_the_settings_of_a_bucket(access: LocalAccess) -> None:
    s3 = client(access, "s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket="bucket", Tagging={"TagSet": [{"Key": "team", "Value": "x"}]})
    block = {
        "BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True,
    }  # fmt: skip
    s3.put_public_access_block(Bucket="bucket", PublicAccessBlockConfiguration=block)
    bucket = resource("aws:s3/bucket:Bucket", "data/bucket", "bucket", tags={"team": "x"})
    versioning = resource("aws:s3/bucketVersioning:BucketVersioning", "data/versioning", "bucket")
    closed = resource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "data/block", "bucket")
    other = resource("kubernetes:core/v1:Namespace", "space", "ns")

    drift = in_aws(access, [other, bucket, versioning, closed])
    assert drift is not None
    assert drift.node == "data/block"  # what matters most of them
    found = s3.get_public_access_block(Bucket="bucket")["PublicAccessBlockConfiguration"]
    assert found == {**block, "BlockPublicAcls": False}
    assert not drift.repaired()
    s3.put_public_access_block(Bucket="bucket", PublicAccessBlockConfiguration=block)
    assert drift.repaired()

    drift = in_aws(access, [bucket, versioning])
    assert drift is not None
    assert drift.node == "data/versioning"
    assert s3.get_bucket_versioning(Bucket="bucket")["Status"] == "Suspended"

    drift = in_aws(access, [bucket])
    assert drift is not None
    assert s3.get_bucket_tagging(Bucket="bucket")["TagSet"] == [{"Key": "team", "Value": HAND}]
    assert not drift.repaired()


def test_without_a_bucket_the_tags_of_what_there_is(access: LocalAccess) -> None:
    sqs = client(access, "sqs")
    url = sqs.create_queue(QueueName="q", tags={"team": "x", "a": "b"})["QueueUrl"]
    queue = resource("aws:sqs/queue:Queue", "jobs/queue", url, name="q", tags={"team": "x", "a": "b"})
    gone = resource("aws:sqs/queue:Queue", "old/queue", f"{url}-gone", name="q-gone", tags={"team": "x"})
    drift = in_aws(access, [gone, queue])
    assert drift is not None
    assert drift.node == "jobs/queue"
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "x", "a": HAND}
    assert not drift.repaired()


def test_nothing_that_can_be_changed(access: LocalAccess) -> None:
    assert in_aws(access, [resource("kubernetes:core/v1:Namespace", "space", "ns")]) is None
    assert in_cluster(Played(), [resource("aws:s3/bucket:Bucket", "data/bucket", "b")]) is None  # type: ignore[arg-type]


class Played:
    """A cluster of a few objects, one of which cannot be changed."""

    def __init__(self) -> None:
        labels = {"mlinfra.dev/owner": "team", "x": "y"}
        self.objects: dict[str, dict[str, Any]] = {
            "Namespace ns": {"metadata": {"labels": dict(labels)}},
            "ConfigMap ns/fixed": {"metadata": {"labels": dict(labels)}, "data": {"a": "b"}},
            "ConfigMap ns/config": {"metadata": {"labels": dict(labels)}, "data": {"b": "2", "a": "1"}},
            "ResourceQuota ns/quota": {"metadata": {"labels": dict(labels)}, "spec": {"hard": {"pods": "8"}}},
        }

    def state(self, *names: str) -> list[dict[str, Any]]:
        found = []
        for name in names:
            kind, _, identity = name.partition(" ")
            found.append(resource(f"kubernetes:core/v1:{kind}", f"n/{identity}", identity, **self.objects[name]))
        return found

    def get(self, version: str, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
        return self.objects[f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"]

    def path(self, version: str, kind: str, namespace: str | None, name: str) -> str:
        return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"

    def merge(self, path: str, patch: Any) -> None:
        name, _, query = path.partition("?")
        assert query == "fieldManager=by-hand"
        if name.endswith("fixed"):
            raise ApiError("PATCH", path, 422, {"message": "data: Forbidden: field is immutable"})
        self.objects[name] = merged(self.objects[name], patch)


def merged(old: Any, new: Any) -> Any:
    return {**old, **{key: merged(old.get(key), item) for key, item in new.items()}} if isinstance(new, dict) else new


@pytest.mark.parametrize(
    ("names", "changed", "field"),
    [
        (("Namespace ns", "ConfigMap ns/fixed", "ConfigMap ns/config"), "ConfigMap ns/config", "a"),
        (("Namespace ns", "ConfigMap ns/fixed", "ResourceQuota ns/quota"), "ResourceQuota ns/quota", "pods"),
        (("Namespace ns",), "Namespace ns", "mlinfra.dev/owner"),
    ],
)
def test_a_field_in_the_cluster(names: tuple[str, ...], changed: str, field: str) -> None:
    cluster = Played()
    before = {name: dict(item) for name, item in cluster.objects.items()}
    drift = in_cluster(cluster, cluster.state(*names))  # type: ignore[arg-type]
    assert drift is not None
    assert drift.node == f"n/{changed.partition(' ')[2]}"
    assert field in drift.what
    assert {name for name in before if before[name] != cluster.objects[name]} == {changed}
    assert not drift.repaired()
    cluster.objects[changed] = before[changed]
    assert drift.repaired()
