"""The embedded providers' process: served, told, lost, and gone with whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.engine.attached import attached
from mlinfra.processes import identity
from mlinfra.providers.aws.configuration import local_inputs
from mlinfra.wire.protocol import provider_pb2, provider_pb2_grpc
from mlinfra.wire.server import channel
from mlinfra.wire.values import encode

TOPIC = "urn:pulumi:dev::b::aws:sns/topic:Topic::alerts"


def gone(pid: int, mark: str | None) -> bool:
    deadline = time.monotonic() + 20
    while identity(pid) == mark:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_it_serves_what_was_asked_for_and_ends_with_the_block(tmp_path: Path) -> None:
    with attached() as providers:
        providers.load(["aws", "kubernetes"])
        mark = identity(providers.pid)
        ports = providers.serve(tmp_path / "begun.log")
        providers.look_for({})
        for package in ("aws", "kubernetes"):
            with channel(f"127.0.0.1:{ports[package]}") as engine:
                info = provider_pb2_grpc.ResourceProviderStub(engine).GetPluginInfo(provider_pb2.ConfigureRequest())
                assert info.version
        assert sorted(ports) == ["aws", "kubernetes"]
        assert providers.trouble() is None
    assert identity(providers.pid) != mark


def test_creates_are_logged_where_the_run_says(tmp_path: Path) -> None:
    keys = {"accessKey": "LOCAL000000000001", "secretKey": "local"}
    nobody = {**local_inputs("http://127.0.0.1:9", "eu-west-1"), **keys}
    begun = tmp_path / "begun.log"
    with attached() as providers:
        providers.load(["aws"])
        ports = providers.serve(begun)
        providers.look_for({})
        with channel(f"127.0.0.1:{ports['aws']}") as engine:
            stub = provider_pb2_grpc.ResourceProviderStub(engine)
            stub.Configure(provider_pb2.ConfigureRequest(args=encode(nobody), acceptSecrets=True))
            with pytest.raises(grpc.RpcError, match=r"127\.0\.0\.1:9"):
                stub.Create(provider_pb2.CreateRequest(urn=TOPIC, properties=encode({"name": "alerts"})))
    assert json.loads(begun.read_text().splitlines()[0]) == [TOPIC, None]


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    with attached() as providers:
        providers.load(["azure"])
        with pytest.raises(MlinfraError) as raised:
            providers.serve(tmp_path / "begun.log")
    [diagnostic] = raised.value.diagnostics
    assert diagnostic.code == "providers-ended"
    assert "exited with code 1" in diagnostic.detail
    assert "KeyError: 'azure'" in diagnostic.detail


def test_one_that_is_killed_is_told_of(tmp_path: Path) -> None:
    with attached() as providers:
        providers.load(["kubernetes"])
        providers.serve(tmp_path / "begun.log")
        os.kill(providers.pid, signal.SIGKILL)
        os.waitid(os.P_PID, providers.pid, os.WEXITED | os.WNOWAIT)
        trouble = providers.trouble()
        assert trouble is not None
        assert "was ended by signal 9" in trouble.detail
        with pytest.raises(MlinfraError, match="embedded providers"):
            providers.look_for({})


def test_without_any_package_it_ends() -> None:
    with attached() as providers:
        providers.load([])
        ended = os.waitid(os.P_PID, providers.pid, os.WEXITED | os.WNOWAIT)
        assert ended
        assert ended.si_status == 0


def test_it_is_in_no_group_that_a_terminal_interrupts() -> None:
    with attached() as providers:
        assert os.getsid(providers.pid) == providers.pid


WAITS = """
import sys, time
from pathlib import Path
from mlinfra.engine.attached import attached
with attached() as providers:
    if "served" in sys.argv:
        providers.load(["kubernetes"])
        providers.serve(Path(sys.argv[1]))
    print(providers.pid, flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize("how", ["loading", "served"])
def test_it_goes_when_whoever_started_it_is_killed(how: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WAITS, str(tmp_path / "begun.log"), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        mark = identity(pid)
        assert mark
        owner.kill()
    assert gone(pid, mark)


def test_nothing_in_the_folder_is_taken_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grpc.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    with attached() as providers:
        providers.load(["kubernetes"])
        assert list(providers.serve(tmp_path / "begun.log")) == ["kubernetes"]
