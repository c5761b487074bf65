"""The moto server by itself, through boto3 and plain HTTP."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from mlinfra.diagnostics import MlinfraError
from mlinfra.local import records
from mlinfra.local.accounts import SECRET_KEY, access_key
from mlinfra.local.moto import RECORD, TOKEN_HEADER, Moto, Server
from mlinfra.processes import identity, kill

ONE, TWO = "111111111111", "222222222222"


def client(service: str, endpoint: str, account: str, **options: Any) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key(account),
        aws_secret_access_key=SECRET_KEY,
        config=Config(proxies={}, retries={"max_attempts": 1}, **options),
    )


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Moto]:
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture
def server(moto: Moto) -> Server:
    return moto.ensure()


def open_url(url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data=body, method=method, headers=headers or {})) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize(
    ("service", "create", "arguments", "listing", "key"),
    [
        ("s3", "create_bucket", {"Bucket": "shared-name"}, "list_buckets", "Buckets"),
        ("sns", "create_topic", {"Name": "alerts"}, "list_topics", "Topics"),
        ("ecr", "create_repository", {"repositoryName": "app"}, "describe_repositories", "repositories"),
        ("dynamodb", "create_table", {
            "TableName": "t", "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        }, "list_tables", "TableNames"),
    ],
)  # fmt: skip
def test_accounts_are_worlds_apart(
    server: Server, service: str, create: str, arguments, listing: str, key: str
) -> None:
    one, two = (client(service, server.endpoint, account) for account in (ONE, TWO))
    getattr(one, create)(**arguments)
    assert len(getattr(one, listing)()[key]) == 1
    assert getattr(two, listing)()[key] == []
    getattr(two, create)(**arguments)  # the same name, a bucket's too
    assert len(getattr(two, listing)()[key]) == 1


def test_the_account_of_a_key_is_the_one_that_aws_tells(server: Server) -> None:
    for account in (ONE, TWO):
        assert client("sts", server.endpoint, account).get_caller_identity()["Account"] == account


def test_an_assumed_role_stays_in_its_account(server: Server) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = client("iam", server.endpoint, TWO).create_role(RoleName="reader", AssumeRolePolicyDocument=policy)
    taken = client("sts", server.endpoint, TWO).assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="session")
    keys = taken["Credentials"]
    sts = boto3.client(
        "sts",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert sts.get_caller_identity()["Account"] == TWO


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_lead_to_the_account_that_signed(server: Server, version: str) -> None:
    contents = {ONE: b"of one", TWO: b"of two"}
    for account, content in contents.items():
        s3 = client("s3", server.endpoint, account, signature_version=version)
        s3.create_bucket(Bucket=f"signed-{version}")
        where = {"Bucket": f"signed-{version}", "Key": "a/model.bin"}
        url = s3.generate_presigned_url("put_object", Params=where)
        open_url(url, "PUT", {"Content-Type": "application/octet-stream"}, content)
    for account, content in contents.items():
        s3 = client("s3", server.endpoint, account, signature_version=version)
        where = {"Bucket": f"signed-{version}", "Key": "a/model.bin"}
        assert open_url(s3.generate_presigned_url("get_object", Params=where)) == content


def test_bytes_come_back_as_they_went(server: Server) -> None:
    s3 = client("s3", server.endpoint, ONE)
    s3.create_bucket(Bucket="bytes")
    content = os.urandom(3_000_000)
    s3.put_object(Bucket="bytes", Key="weights", Body=content)
    assert s3.get_object(Bucket="bytes", Key="weights")["Body"].read() == content
    with pytest.raises(ClientError, match="404"):
        client("s3", server.endpoint, TWO).head_object(Bucket="bytes", Key="weights")


@pytest.mark.parametrize(
    ("condition", "refused"), [({}, True), ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, False)]
)
def test_a_denial_on_a_condition_refuses_no_object(server: Server, condition: dict[str, Any], refused: bool) -> None:
    s3, name = client("s3", server.endpoint, ONE), f"denied-{refused}".lower()
    s3.create_bucket(Bucket=name)
    arn = f"arn:aws:s3:::{name}"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"], **condition}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    if refused:
        with pytest.raises(ClientError, match="403"):
            s3.put_object(Bucket=name, Key="k", Body=b"data")
    else:
        s3.put_object(Bucket=name, Key="k", Body=b"data")
        assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"data"


def test_the_lock_of_a_bucket_that_holds_objects_can_be_changed(server: Server) -> None:
    s3 = client("s3", server.endpoint, ONE)
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket="locked", Key="k", Body=b"data")
    for days in (3, 5):
        retention = {"Mode": "GOVERNANCE", "Days": days}
        configuration = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}
        s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=configuration)
        found = s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"]
        assert found["Rule"]["DefaultRetention"]["Days"] == days
    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert "Mode" not in s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"].get("Rule", {})


def test_many_at_once(server: Server) -> None:
    iam = client("iam", server.endpoint, ONE, max_pool_connections=16)
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    with ThreadPoolExecutor(16) as threads:
        made = threads.map(
            lambda number: iam.create_role(RoleName=f"many-{number}", AssumeRolePolicyDocument=policy), range(100)
        )
        assert len({role["Role"]["Arn"] for role in made}) == 100


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"/mlinfra/world/{ONE}"),
        ("GET", "/mlinfra/world/1"),
        ("POST", "/moto-api/reset"),
        ("PUT", f"/mlinfra/eks/{ONE}"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {TOKEN_HEADER: "guess"}])
def test_what_touches_other_worlds_needs_the_token(server: Server, method: str, path: str, headers) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        open_url(server.endpoint + path, method, headers)


def test_wiping_one_account_leaves_the_other(moto: Moto, server: Server) -> None:
    buckets = [client("s3", server.endpoint, account) for account in (ONE, TWO)]
    for s3 in buckets:
        s3.create_bucket(Bucket="wiped")
        s3.put_object(Bucket="wiped", Key="k", Body=b"kept")
    worlds = [moto.world(server, account) for account in (ONE, TWO)]
    moto.wipe(ONE)
    assert buckets[0].list_buckets()["Buckets"] == []
    assert buckets[1].get_object(Bucket="wiped", Key="k")["Body"].read() == b"kept"
    assert moto.world(server, ONE) != worlds[0]
    assert moto.world(server, TWO) == worlds[1]
    buckets[0].create_bucket(Bucket="wiped")


def test_it_listens_on_loopback_alone(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; tells this machine's own address
        address = probe.getsockname()[0]
    with pytest.raises(OSError):
        http.client.HTTPConnection(address, server.port, timeout=2).request("GET", "/")


def test_the_token_is_for_the_owner_alone(moto: Moto, server: Server) -> None:
    assert (moto._folder / RECORD).stat().st_mode & 0o777 == 0o600
    assert server.token not in moto.log.read_text()


def test_killed_it_is_started_again_at_its_port_with_another_memory(moto: Moto, server: Server) -> None:
    client("s3", server.endpoint, ONE).create_bucket(Bucket="before")
    kill([server.pid])
    assert moto.running() is None
    again = moto.ensure()
    assert again.port == server.port
    assert again.instance != server.instance
    assert client("s3", again.endpoint, ONE).list_buckets()["Buckets"] == []


def test_where_its_port_is_taken_it_takes_another(moto: Moto, server: Server) -> None:
    kill([server.pid])
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", server.port))
        stranger.listen()
        again = moto.ensure()
        assert again.port != server.port
        assert client("s3", again.endpoint, ONE).list_buckets()["Buckets"] == []


def test_a_record_whose_number_another_process_has_now(moto: Moto, server: Server) -> None:
    """As after a reboot: the process is not ours, and is neither used nor stopped."""
    kill([server.pid])
    with subprocess.Popen(["sleep", "60"]) as stranger:
        record = records.read(moto._folder / RECORD)
        records.write(moto._folder / RECORD, {**record, "pid": stranger.pid})
        assert moto.running() is None
        assert not moto.stop()
        again = moto.ensure()
        assert identity(stranger.pid)
        assert again.pid != stranger.pid
        stranger.kill()


def test_one_that_hangs_is_replaced(moto: Moto, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlinfra.local.moto._ANSWER_SECONDS", 0.5)
    os.kill(server.pid, 19)  # SIGSTOP: it runs, and answers nobody
    again = moto.ensure()
    assert again.instance != server.instance
    assert identity(server.pid) is None


def test_two_processes_at_once_start_one(moto: Moto) -> None:
    moto.stop()
    script = "import sys, pathlib; from mlinfra.local.moto import Moto; print(Moto(pathlib.Path(sys.argv[1])).ensure())"
    processes = [
        subprocess.Popen([sys.executable, "-c", script, moto._folder], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1


def test_one_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "moto.py").write_text("raise SystemError('no moto on this machine')")
    with pytest.raises(MlinfraError) as caught:
        Moto(tmp_path).ensure()
    assert "no moto on this machine" in caught.value.diagnostics[0].detail
    assert "moto.log" in caught.value.diagnostics[0].remedy
