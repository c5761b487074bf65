"""A stack is taken from whoever has it, in the service and in files; never from where its engine would go on."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.state.service import states_of
from mlinfra.workflow.cancel import cancel
from mlinfra.workflow.request import Request
from tests.workflow.test_lock import HOLDER
from tests.workflow.test_places import STACK


def agreed(who: str) -> bool:
    assert who
    return True


def test_nobody_has_a_stack_that_was_never_run(project: Any) -> None:
    request = Request(project({"dev": STACK.format(backend="service")}), "dev")
    assert cancel(request, agreed) == ""
    assert not (request.project.home / "state").exists()


def test_a_hold_in_the_service_is_taken(project: Any) -> None:
    request = Request(project({"dev": STACK.format(backend="service")}), "dev")
    with states_of(request.project) as states, states.hold("small", "dev", "up"):
        assert cancel(request, lambda who: False) is None
        assert states.holder("small", "dev").startswith("up of ")
        assert (cancel(request, agreed) or "").startswith("up of ")
        assert states.holder("small", "dev") == ""
        assert cancel(request, agreed) == ""


def test_a_process_on_files_is_interrupted(project: Any) -> None:
    request = Request(project({"dev": STACK.format(backend="files")}), "dev")
    command = [sys.executable, "-c", HOLDER, str(request.project.root)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert cancel(request, lambda who: False) is None
    assert f"process {process.pid} on {socket.gethostname()}" in (cancel(request, agreed) or "")
    _, told = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in told


def test_a_lock_of_another_machine_is_left(project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    request = Request(project({"dev": STACK.format(backend="files")}), "dev")
    monkeypatch.setattr("mlinfra.workflow.places.ensure", lambda names, emit: {"pulumi": tmp_path / "pulumi"})
    assert cancel(request, agreed) == ""
    lock = request.project.folder("state", ".pulumi", "locks", "organization", "small", "dev") / "1.json"
    lock.write_text(json.dumps({"pid": 7, "username": "alice", "hostname": "build-7", "timestamp": "today"}))
    with pytest.raises(MlinfraError) as raised:
        cancel(request, agreed)
    [told] = raised.value.diagnostics
    assert (told.code, "alice, process 7 on build-7" in told.summary) == ("cancel-refused", True)
    assert lock.exists()
