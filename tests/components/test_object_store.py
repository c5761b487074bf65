"""The store of a cluster as a real process: what its policies allow, and what they do not.

The program is VersityGW's, `versitygw`: on PATH, or where `MLINFRA_TEST_VERSITYGW` says. With Go it is built by
`go install github.com/versity/versitygw/cmd/versitygw@v1.8.0`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from mlinfra.components.bucket import Bucket
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.functions import resolve
from mlinfra.graph import Graph

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
PROGRAM = os.environ.get("MLINFRA_TEST_VERSITYGW") or shutil.which("versitygw")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM, reason="there is no versitygw on PATH or in MLINFRA_TEST_VERSITYGW"),
]


def declare() -> list[Any]:
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=2)
    cluster = TrainingCluster("team", pools=[pool])
    data, models = (Bucket(name, place="cluster", cluster=cluster, image=IMAGE) for name in ("data", "models"))
    clicks, views = Dataset("clicks", bucket=data), Dataset("views", bucket=data)
    fit = TrainingJob("fit", cluster=cluster, pool=pool, reads=[clicks], writes=[models], erases=[data])
    load = TrainingJob("load", cluster=cluster, pool=pool, writes=[clicks, views])
    return [fit, load, Endpoint("api", cluster=cluster, reads=[models])]


def outputs(graph: Graph) -> dict[str, Any]:
    """What the engine would know: names as they are given, and a value for each secret."""
    found = {node.name: {"metadata": {"name": node.inputs["metadata"]["name"]}} for node in graph if _named(node)}
    secrets = {node.name: {"output": {"value": f"secret-of-{node.name}"}} for node in graph if "Stash" in node.type}
    return {**found, **secrets}


def _named(node: Any) -> bool:
    return "name" in node.inputs.get("metadata", {})


@dataclass
class Store:
    """A running store; the names of the two buckets are those of their claims."""

    url: str
    known: dict[str, Any]

    def client(self, who: str, secret: str = "") -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=who,
            aws_secret_access_key=secret or f"secret-of-{who}/object-store-key",
            config=Config(retries={"max_attempts": 1}),
        )


@pytest.fixture(scope="module")
def store(expanded: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The server, with the arguments and the environment of the StatefulSet, in folders where the volumes would be."""
    folder = tmp_path_factory.mktemp("store")
    result = expanded(declare)
    assert result.diagnostics == ()
    known = outputs(result.graph)
    pod = resolve(result.inputs("team/object-store")["spec"], known)["template"]["spec"]
    (links,), (server,) = pod["initContainers"], pod["containers"]
    for mount in server["volumeMounts"]:
        (folder / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
    secret = resolve(result.inputs("team/object-store-accounts")["stringData"], known)
    _write(folder / "etc/object-store/accounts", {"users.json": secret["users.json"]})
    _write(folder / "etc/object-store/policies", resolve(result.inputs("team/object-store-policies")["data"], known))

    def moved(text: str) -> str:
        return text.replace("/srv/", f"{folder}/srv/").replace("/etc/object-store", f"{folder}/etc/object-store")

    subprocess.run([moved(part) for part in links["command"]], check=True)
    port = _free_port()
    arguments = [f"127.0.0.1:{port}" if part == ":7070" else moved(part) for part in server["args"]]
    values = {
        item["name"]: item.get("value") or secret[item["valueFrom"]["secretKeyRef"]["key"]] for item in server["env"]
    }
    assert PROGRAM
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([PROGRAM, *arguments], env=values, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, f"http://127.0.0.1:{port}{server['readinessProbe']['httpGet']['path']}", folder / "log")
        yield Store(f"http://127.0.0.1:{port}", known)
    finally:
        process.terminate()
        process.wait(20)


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            if urllib3.request("GET", url, retries=False, timeout=5).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def refused(call: Any, **arguments: Any) -> None:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


DATA, MODELS = "sample-test-data", "sample-test-models"


def test_a_reader_reads_and_cannot_write(store: Store) -> None:
    api, fit = store.client("api"), store.client("fit")
    fit.put_object(Bucket=MODELS, Key="ranker/3/model.bin", Body=b"weights", ContentType="application/x-model")
    read = api.get_object(Bucket=MODELS, Key="ranker/3/model.bin")
    assert (read["Body"].read(), read["ContentType"]) == (b"weights", "application/x-model")
    assert [item["Key"] for item in api.list_objects_v2(Bucket=MODELS)["Contents"]] == ["ranker/3/model.bin"]
    refused(api.put_object, Bucket=MODELS, Key="ranker/3/model.bin", Body=b"other")
    refused(api.delete_object, Bucket=MODELS, Key="ranker/3/model.bin")
    refused(api.list_objects_v2, Bucket=DATA)
    refused(api.delete_bucket, Bucket=MODELS)
    refused(api.put_bucket_policy, Bucket=MODELS, Policy='{"Version": "2012-10-17", "Statement": []}')


def test_a_writer_writes_and_cannot_read(store: Store) -> None:
    fit = store.client("fit")
    fit.put_object(Bucket=MODELS, Key="ranker/4/model.bin", Body=b"weights")
    refused(fit.get_object, Bucket=MODELS, Key="ranker/4/model.bin")
    refused(fit.list_objects_v2, Bucket=MODELS)
    upload = fit.create_multipart_upload(Bucket=MODELS, Key="large")["UploadId"]
    part = fit.upload_part(Bucket=MODELS, Key="large", UploadId=upload, PartNumber=1, Body=b"x" * 100)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    fit.complete_multipart_upload(Bucket=MODELS, Key="large", UploadId=upload, MultipartUpload=parts)
    assert store.client("api").get_object(Bucket=MODELS, Key="large")["ContentLength"] == 100


def test_permissions_end_at_a_prefix(store: Store) -> None:
    load, fit = store.client("load"), store.client("fit")
    for folder in ("clicks", "views"):
        load.put_object(Bucket=DATA, Key=f"datasets/{folder}/a", Body=b"1")
    refused(load.put_object, Bucket=DATA, Key="elsewhere", Body=b"1")
    assert fit.get_object(Bucket=DATA, Key="datasets/clicks/a")["Body"].read() == b"1"
    refused(fit.get_object, Bucket=DATA, Key="datasets/views/a")
    refused(load.delete_object, Bucket=DATA, Key="datasets/clicks/a")
    fit.delete_object(Bucket=DATA, Key="datasets/clicks/a")


@pytest.mark.parametrize(("who", "secret"), [("api", "wrong"), ("nobody", ""), ("mlinfra.root", "wrong")])
def test_who_has_no_credentials_has_no_access(store: Store, who: str, secret: str) -> None:
    refused(store.client(who, secret).list_objects_v2, Bucket=MODELS)


def test_nothing_is_open_to_everybody(store: Store) -> None:
    assert urllib3.request("GET", f"{store.url}/{MODELS}/ranker/3/model.bin").status == 403
    assert urllib3.request("GET", f"{store.url}/{MODELS}").status == 403
