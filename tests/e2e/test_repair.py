"""Runs that are killed at a chosen call: the next one leaves nothing lost, nothing double and nothing to do.

A relay stands between the provider and moto. It passes calls on, and at the chosen one kills mlinfra once moto has done
what it was asked for and before anybody is told: the moment after which only AWS knows.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e.conftest import Lab, Ran
from tests.e2e.processes import PROVIDERS, started

pytestmark = pytest.mark.e2e

CUT = """
from mlinfra import Blueprint, Environment, Params, Raw, blueprint


class Words(Params):
    bucket: str = "cut"
    description: str = "first"
    second: bool = False


@blueprint("cut", version="1.0.0")
def cut(env: Environment, p: Words) -> Blueprint:
    made = [
        Raw("key", type="aws:kms/key:Key", inputs={"description": p.description, "deletionWindowInDays": 7}),
        Raw("bucket", type="aws:s3/bucket:Bucket", inputs={"bucket": p.bucket}),
        Raw("topic", type="aws:sns/topic:Topic", inputs={"name": "cut"}),
    ]
    if p.second:
        made.append(Raw("second", type="aws:kms/key:Key", inputs={"description": "second"}))
    return Blueprint(*made)
"""


class Relay(ThreadingHTTPServer):
    """Calls go through to moto; at the one whose text has `trap` in it, `victim` is killed when moto has answered."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.trap = ""
        self.victim: subprocess.Popen[str] | None = None
        self.kill = subprocess.Popen.kill
        self.armed = threading.Event()

    def sprung(self, call: str) -> bool:
        """Whether this is the call; then the victim is dead."""
        if not self.trap or self.trap not in call:
            return False
        self.trap = ""
        assert self.armed.wait(60)
        assert self.victim
        self.kill(self.victim)
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def handle_one_request(self) -> None:
        """Any method, any path."""
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if self.raw_requestline and self.parse_request():
                self.relay()
            else:
                self.close_connection = True
        except ConnectionError:
            self.close_connection = True

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        content = answer.read()
        call = f"{self.command} {self.path} {self.headers.get('X-Amz-Target')} {body.decode(errors='replace')}"
        if self.server.sprung(call):
            self.rfile.read()  # no answer, until nobody waits for one: a call that breaks off is made again
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        kept = {"transfer-encoding", "content-length", "connection", "server", "date"}
        for name, value in answer.getheaders():
            if name.lower() not in kept:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        behind.close()


@pytest.fixture(scope="module")
def relay(lab: Lab) -> Iterator[Relay]:
    """The module's project has it in moto's place."""
    lab.blueprint("cut", CUT)
    lab.stack("first", blueprint="cut")
    lab.run("local", "up", "--stack", "first")
    record = lab.root / ".mlinfra" / "local" / "moto" / "server.json"
    server = json.loads(record.read_text())
    with Relay(server["port"]) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        record.write_text(json.dumps({**server, "port": running.server_port}))
        yield running
        running.shutdown()


def killed_at(lab: Lab, relay: Relay, trap: str, *arguments: str) -> Ran:
    """Run a command and kill it once moto has answered a call."""
    relay.armed.clear()
    relay.trap = trap
    relay.victim = lab.start(*arguments)
    relay.armed.set()
    ran = lab.end(relay.victim)
    assert ran.code == -signal.SIGKILL, f"it was not killed at {trap}\n{ran.out}\n{ran.err}"
    return ran


def keys(kms: Any) -> list[str]:
    """The descriptions of all keys that are not being deleted."""
    found = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    return sorted(key["Description"] for key in found if key["KeyState"] != "PendingDeletion")


def buckets(s3: Any) -> list[str]:
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def nothing_to_do(lab: Lab, stack: str) -> None:
    assert set(lab.report("up", "--stack", stack, "--yes")["counts"]) == {"same"}


def kill_providers(process: subprocess.Popen[str]) -> None:
    """Kill the process that serves the providers, and not the command."""
    for pid in started(process, PROVIDERS):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["service", "files"])
def test_providers_that_are_killed_take_nothing_with_them(lab: Lab, relay: Relay, backend: str) -> None:
    """As if mlinfra had been killed, but it lives, tells what has happened, and leaves word for the next run."""
    stack = f"left-{backend}"

    def declare(description: str) -> None:
        params = {"bucket": stack, "description": description}
        lab.stack(stack, blueprint="cut", params=params, state={"backend": backend})

    def lost_at(trap: str, *arguments: str) -> None:
        relay.armed.clear()
        relay.trap, relay.kill = trap, kill_providers
        relay.victim = lab.start(*arguments, "--json")
        relay.armed.set()
        ran = lab.end(relay.victim)
        relay.kill = subprocess.Popen.kill
        assert ran.code == 1
        [told] = [line for line in ran.lines("diagnostic") if line["code"] == "providers-ended"]
        assert "was ended by signal 9" in told["detail"]

    up = ("up", "--stack", stack, "--yes")
    declare("first")
    lost_at("TrentService.CreateKey", *up)
    kms, s3 = lab.clients(stack, "kms", "s3")
    lab.report(*up)
    assert keys(kms) == ["first"]
    nothing_to_do(lab, stack)

    declare("never")
    lost_at("TrentService.UpdateKeyDescription", *up)
    assert keys(kms) == ["never"]
    declare("first")
    assert lab.report(*up)["counts"]["update"] == 1
    assert keys(kms) == ["first"]

    lost_at(f"DELETE /{stack}", "destroy", "--stack", stack, "--yes")
    assert buckets(s3) == []
    lab.report(*up)
    assert buckets(s3) == [stack]
    nothing_to_do(lab, stack)
    lab.report("destroy", "--stack", stack, "--yes")
    assert keys(kms) == []


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["service", "files"])
def test_whatever_was_cut_off_is_whole_after_the_next_run(lab: Lab, relay: Relay, backend: str) -> None:
    stack = f"cut-{backend}"

    def declare(**params: Any) -> None:
        lab.stack(stack, blueprint="cut", params={"bucket": stack, **params}, state={"backend": backend})

    up = ("up", "--stack", stack, "--yes")
    declare()

    # A create: the key is there, and only its mark tells whose it is. A preview in between forgets nothing.
    killed_at(lab, relay, "TrentService.CreateKey", *up)
    kms, s3 = lab.clients(stack, "kms", "s3")
    planned = lab.run("preview", "--stack", stack)
    assert "cut off" in planned.err
    lab.report(*up)
    assert keys(kms) == ["first"]
    nothing_to_do(lab, stack)

    # An update: moto has the new description, the state the old one, which is also what is asked for now.
    declare(description="never")
    killed_at(lab, relay, "TrentService.UpdateKeyDescription", *up)
    assert keys(kms) == ["never"]
    declare()
    assert lab.report(*up)["counts"]["update"] == 1
    assert keys(kms) == ["first"]

    # A deletion: the bucket is gone, and the state has it.
    killed_at(lab, relay, f"DELETE /{stack}", "destroy", "--stack", stack, "--yes")
    assert buckets(s3) == []
    lab.report(*up)
    assert buckets(s3) == [stack]
    assert keys(kms) == ["first"]
    nothing_to_do(lab, stack)

    # A create, and then nothing is wanted any more: what is in no state is taken away, too.
    declare(second=True)
    killed_at(lab, relay, "TrentService.CreateKey", *up)
    assert keys(kms) == ["first", "second"]
    lab.report("destroy", "--stack", stack, "--yes")
    assert keys(kms) == []
    assert buckets(s3) == []
