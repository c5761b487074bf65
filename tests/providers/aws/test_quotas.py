"""Reading quotas: real requests of botocore's, to a server that answers as Service Quotas does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend

from mlinfra.providers.aws.quotas import Quotas, read_quotas

ACCOUNT = "111122223333"
OWN = {"L-1": 64.0}
DEFAULTS = {"L-1": 5.0, "L-2": 8.0}
IDENTITY = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult>"
    f"<Account>{ACCOUNT}</Account><Arn>arn:aws:iam::{ACCOUNT}:user/u</Arn><UserId>u</UserId>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


class Answers(BaseHTTPRequestHandler):
    """STS and Service Quotas, as their API references say."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        target = self.headers.get("X-Amz-Target", "")
        if not target:
            self.answer(200, IDENTITY, "text/xml")
            return
        operation, code = target.rpartition(".")[2], json.loads(body)["QuotaCode"]
        if code == "L-denied":
            self.error("AccessDeniedException", 400)
            return
        values = OWN if operation == "GetServiceQuota" else DEFAULTS
        if code not in values:
            self.error("NoSuchResourceException", 400)
            return
        self.answer(200, json.dumps({"Quota": {"QuotaCode": code, "Value": values[code]}}))

    def error(self, name: str, status: int) -> None:
        self.answer(status, json.dumps({"__type": name, "Message": "no"}))

    def answer(self, status: int, text: str, kind: str = "application/x-amz-json-1.1") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[pytest.MonkeyPatch]:
    """Credentials, and an endpoint on this machine in the place of AWS's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    server.shutdown()
    server.server_close()


def test_a_quota_of_the_account_goes_before_the_default(aws: pytest.MonkeyPatch) -> None:
    assert read_quotas(ACCOUNT, "eu-west-1", "ec2", ["L-1", "L-2"]) == Quotas({"L-1": 64.0, "L-2": 8.0})


def test_what_was_answered_before_a_refusal_is_kept(aws: pytest.MonkeyPatch) -> None:
    found = read_quotas(ACCOUNT, "eu-west-1", "ec2", ["L-1", "L-denied", "L-2"])
    assert found == Quotas({"L-1": 64.0}, "AWS answered GetServiceQuota with AccessDeniedException")


def test_a_quota_that_nobody_knows(aws: pytest.MonkeyPatch) -> None:
    found = read_quotas(ACCOUNT, "eu-west-1", "ec2", ["L-3"])
    assert found.reason == "AWS answered GetAWSDefaultServiceQuota with NoSuchResourceException"


def test_another_account_is_not_asked(aws: pytest.MonkeyPatch) -> None:
    found = read_quotas("999999999999", "eu-west-1", "ec2", ["L-1"])
    assert found == Quotas({}, f"the credentials are for account {ACCOUNT}, and the stack is for 999999999999")


def test_without_credentials_nobody_is_asked(aws: pytest.MonkeyPatch) -> None:
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    assert read_quotas(ACCOUNT, "eu-west-1", "ec2", ["L-1"]) == Quotas({}, "there are no AWS credentials")


def test_a_network_that_does_not_answer(aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    found = read_quotas(ACCOUNT, "eu-west-1", "ec2", ["L-1"])
    assert found.reason.startswith("AWS was not asked: ")


def test_the_local_aws_has_no_quotas_of_machines() -> None:
    """Once it has, `capacity` can compare them on the local target, too."""
    backend = ServiceQuotasBackend("us-east-1", ACCOUNT)
    with pytest.raises(NoSuchResource):
        backend.get_service_quota("ec2", "L-1216C47A")
