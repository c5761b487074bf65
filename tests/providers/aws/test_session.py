"""Clients: isolated from this machine's settings, and unable to leave it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from mlinfra.providers.aws.configuration import configure, local_inputs
from mlinfra.providers.aws.errors import AwsError, AwsUncertainError
from mlinfra.providers.aws.session import Session


def session(endpoint: str) -> Session:
    return Session(configure(local_inputs(endpoint, "us-east-1")))


def test_nothing_of_the_environment_is_read(world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "config").write_text("[this is no ini file")
    for name, value in {
        "AWS_PROFILE": "production",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "config"),
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://192.0.2.7",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/none",
        "HTTP_PROXY": "http://192.0.2.7:3128",
        "HTTPS_PROXY": "http://192.0.2.7:3128",
        "http_proxy": "http://192.0.2.7:3128",
    }.items():
        monkeypatch.setenv(name, value)
    api = Session(configure(world.inputs)).api("sts", "us-east-1")
    assert api.call("get_caller_identity")["Account"] == world.account
    assert os.environ["AWS_PROFILE"] == "production"


def test_a_request_to_another_host_is_not_sent(world: Any) -> None:
    api = session(world.endpoint).api("s3", "us-east-1")

    def mislead(request: Any, **_: Any) -> None:
        request.url = "http://192.0.2.7/bucket"

    api._client.meta.events.register("before-sign", mislead)
    with pytest.raises(AwsError) as caught:
        api.call("list_buckets")
    assert caught.value.code == "LeftThisMachineError"


def test_a_client_is_made_once_by_all_threads(world: Any) -> None:
    shared, found = session(world.endpoint), []
    threads = [threading.Thread(target=lambda: found.append(shared.api("iam", "us-east-1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert shared.api("iam", "eu-west-1") is not found[0]


def test_what_is_remembered_is_asked_once(world: Any) -> None:
    asked: list[int] = []
    shared = session(world.endpoint)
    for _ in range(3):
        assert shared.remember("it", lambda: asked.append(1) or "answer") == "answer"
    assert asked == [1]


@pytest.fixture
def breaking() -> Iterator[str]:
    """A server that takes requests and closes the connection without an answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_call_that_breaks_off_may_have_taken_effect(breaking: str) -> None:
    with pytest.raises(AwsUncertainError) as caught:
        session(breaking).api("s3", "us-east-1").call("list_buckets")
    assert f"the AWS endpoint {breaking} broke off the call" in str(caught.value)


def test_values_that_aws_does_not_take_are_named_and_not_shown(world: Any) -> None:
    with pytest.raises(AwsError) as caught:
        session(world.endpoint).api("ssm", "us-east-1").call("put_parameter", Name=5, Value=["hunter2"], Nonsense=1)
    assert caught.value.code == "ParamValidation"
    assert "Name" in str(caught.value)
    assert "Value" in str(caught.value)
    assert "hunter2" not in str(caught.value)
