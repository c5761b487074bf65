"""What a stack gave out, as its state has it; secrets opened where they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.graph import Secret
from mlinfra.project import Project
from mlinfra.state.deployments import Untyped
from mlinfra.state.service import states_of
from mlinfra.wire.values import SECRET, SIGNATURE
from mlinfra.workflow import given as module
from mlinfra.workflow.given import Given, given_by, is_up, opened
from mlinfra.workflow.request import Request

STACK = "blueprint: b\nenvironment: {name: dev, tier: dev}\nowner: {team: t, cost_center: c}\n"
ROOT = {"urn": "urn:pulumi:dev::b::pulumi:pulumi:Stack::b-dev", "type": "pulumi:pulumi:Stack"}
PROVIDER = {"urn": "urn:pulumi:dev::b::pulumi:providers:aws::p", "type": "pulumi:providers:aws", "custom": True}
TOPIC = {"urn": "urn:pulumi:dev::b::aws:sns/topic:Topic::t", "type": "aws:sns/topic:Topic", "custom": True}
CLOSED = {SIGNATURE: SECRET, "ciphertext": "AAAA"}


def state(project: Project, *resources: dict[str, Any], kind: str = "service") -> Request:
    deployment = {"manifest": {}, "resources": list(resources), "secrets_providers": {"type": kind, "state": {}}}
    with states_of(project) as states:
        states.replace("b", "dev", Untyped(deployment=deployment), "put")
    return Request(project, "dev")


def test_outputs_and_who_made_them(project: Any) -> None:
    made = {"blueprint": "b", "version": "1.2.3", "resources": {"a": ["t", "x"], "b": []}}
    outputs = {"a": {"b": [1, None]}, "mlinfra:origin": made}
    request = state(project({"dev": STACK}), {**ROOT, "outputs": outputs}, TOPIC)
    given = given_by(request, request.stack())
    assert given == Given({"a": {"b": [1, None]}}, "b", "1.2.3", {"a": ["x"]}, "service")
    assert given.made_by == "b@1.2.3"
    assert Given({}).made_by == ""


@pytest.mark.parametrize(
    ("resources", "up", "nothing"),
    [
        ((), False, True),
        ((ROOT,), False, False),
        ((ROOT, PROVIDER), False, False),
        ((ROOT, PROVIDER, TOPIC), True, False),
    ],
)
def test_what_is_up(project: Any, resources: tuple[dict[str, Any], ...], up: bool, nothing: bool) -> None:
    request = state(project({"dev": STACK}), *resources)
    assert is_up(request, request.stack()) is up
    assert (given_by(request, request.stack()) is None) is nothing


def test_a_secret_of_another_stack_does_not_open(project: Any) -> None:
    request = state(project({"dev": STACK}), {**ROOT, "outputs": {"a": CLOSED}})
    stack = request.stack()
    given = given_by(request, stack)
    assert given is not None
    with pytest.raises(MlinfraError, match="a secret of the state cannot be read"):
        opened(request, stack, given, "a")


@pytest.mark.parametrize("kind", ["passphrase", "cloud"])
def test_what_the_service_has_not_encrypted_is_asked_of_the_engine(
    project: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"a": {"token": CLOSED, "list": [CLOSED, 1], "name": "n"}, "b": 2}
    request = state(project({"dev": STACK}), {**ROOT, "outputs": found}, kind=kind)
    shown = {"a": {"token": "t", "list": [{"x": "y"}, 1], "name": "n"}, "b": 2}
    asked = []

    def outputs(request: Request, *, show_secrets: bool) -> dict[str, Any]:
        asked.append(show_secrets)
        return shown

    monkeypatch.setattr(module, "outputs", outputs)
    stack = request.stack()
    given = given_by(request, stack)
    assert given is not None
    assert opened(request, stack, given, "b") == 2
    assert asked == []
    assert opened(request, stack, given, "a") == {"token": Secret("t"), "list": [Secret({"x": "y"}), 1], "name": "n"}
    assert asked == [True]


def test_files(project: Any) -> None:
    own = project({"dev": STACK + "state: {backend: files}\n"})
    path: Path = own.folder("state", ".pulumi", "stacks", "b") / "dev.json"
    latest = {"resources": [{**ROOT, "outputs": {"a": 1}}, TOPIC]}
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
    request = Request(own, "dev")
    given = given_by(request, request.stack())
    assert given is not None
    assert given.outputs == {"a": 1}
    assert is_up(request, request.stack())
