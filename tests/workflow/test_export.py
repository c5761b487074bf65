"""`export`: stacks of this repository and small ones, without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mlinfra.cli.main import app
from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project
from mlinfra.state.deployments import Untyped
from mlinfra.state.service import states_of
from mlinfra.wire.values import SECRET, SIGNATURE
from mlinfra.workflow.export import export
from mlinfra.workflow.request import Request

ROOT = Path(__file__).parents[2]
STACK = "blueprint: b\nenvironment: {name: dev, tier: dev}\nowner: {team: t, cost_center: c}\n"
BLUEPRINT = """
from mlinfra import Blueprint, Endpoint, Environment, Generated, Image, ManagedSecret, Params, Queue, TrainingCluster
from mlinfra import blueprint

IMAGE = Image("registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4)


@blueprint("b", version="1.0.0")
def b(env: Environment, p: Params) -> Blueprint:
    cluster = TrainingCluster("train")
    queue = Queue("work")
    word = ManagedSecret("word", value_from=Generated(length=32), in_cluster=[cluster])
    return Blueprint(Endpoint("api", cluster=cluster, image=IMAGE, reads=[queue, word]))
"""
URL = "https://sqs.us-east-1.amazonaws.com/111122223333/b-dev-work"


@pytest.fixture
def request_of(project: Any) -> Request:
    return Request(project(stacks={"dev": STACK}, blueprints={"b": BLUEPRINT}), "dev")


def variables(exported: Any) -> dict[str, Any]:
    [deployment] = [
        item["object"]
        for item in exported.records()
        if (item["component"], item["object"]["kind"]) == ("api", "Deployment")
    ]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


@pytest.mark.parametrize("name", ["prod", "platform-prod", "features-prod", "starter-prod"])
def test_the_library_in_prod(name: str) -> None:
    found = export(Request(Project(ROOT), name))
    assert list(found.texts) == sorted(found.texts)
    objects = [body for text in found.texts.values() for body in yaml.safe_load_all(text)]
    assert [item["object"] for item in found.records()] == objects
    assert bool(objects) == (name != "starter-prod")
    assert "Secret" not in {body["kind"] for body in objects}
    namespaces = [body["metadata"]["name"] for body in objects if body["kind"] == "Namespace"]
    for body in objects:
        assert body["metadata"].get("namespace") in (None, "kube-system", *namespaces)
    awaited = [note.summary for note in found.notes if note.code == "export-awaited"]
    assert sum("KNOWN_AFTER_UP" in text for text in found.texts.values()) <= len(awaited)
    assert bool(awaited) == (name == "features-prod")


def test_a_secret_is_named_and_never_shown(request_of: Request) -> None:
    found = export(request_of)
    assert [item.title for item in found.left_out] == ["Secret b-dev-train/word"]
    [note] = [note for note in found.notes if note.code == "export-left-out"]
    assert note.summary == "Secret b-dev-train/word is left out: secrets are in no file; `mlinfra up` makes it"
    assert note.location is not None
    assert note.location.line == 12
    assert "# Left out: Secret b-dev-train/word" in "".join(found.texts.values())
    assert {"secretKeyRef": {"name": "word", "key": "value"}} in variables(found).values()


def test_what_is_not_known_is_listed(request_of: Request) -> None:
    found = export(request_of)
    assert variables(found)["WORK_URL"] == "KNOWN_AFTER_UP(work/queue.url)"
    notes = {note.summary: note for note in found.notes if note.code == "export-awaited"}
    assert set(notes) == {f"{name} is known after an update only" for name in ("work/queue.url", "word/secret.arn")}
    note = notes["work/queue.url is known after an update only"]
    assert "Deployment b-dev-train/api" in note.detail
    assert "# To be filled in: work/queue.url." in found.stream


def test_a_stack_that_was_never_up_has_nothing_to_resolve_with(request_of: Request) -> None:
    with pytest.raises(MlinfraError, match="has no outputs yet"):
        export(request_of, resolved=True)


def test_the_state_fills_in_what_it_has(request_of: Request) -> None:
    closed = {SIGNATURE: SECRET, "ciphertext": "AAAA"}
    urn = "urn:pulumi:dev::b::mlinfra:component:Queue$aws:sqs/queue:Queue::work/queue"
    queue = {"urn": urn, "type": "aws:sqs/queue:Queue", "custom": True, "id": URL}
    old = {**queue, "id": "old", "delete": True, "outputs": {"url": "old"}}
    outputs = {"url": URL, "policy": closed}
    word = {"urn": urn.replace("work/queue", "word/secret"), "type": "aws:secretsmanager/secret:Secret", "custom": True}
    word |= {"id": "word", "outputs": {"arn": "arn:aws:secretsmanager:x"}}
    deployment = {"manifest": {}, "resources": [{**queue, "outputs": outputs}, old, word]}
    with states_of(request_of.project) as states:
        states.replace("b", "dev", Untyped(deployment=deployment), "put")
    found = export(request_of, resolved=True)
    assert variables(found)["WORK_URL"] == URL
    assert "KNOWN_AFTER_UP" not in found.stream
    assert "old" not in found.stream.split()


def test_the_command_writes_a_stream_files_or_lines(request_of: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(request_of.project.root)
    runner = CliRunner()
    stream = runner.invoke(app, ["export", "--stack", "dev"])
    assert stream.exit_code == 0, stream.output
    wanted = [item["object"] for item in export(request_of).records()]
    assert [body for body in yaml.safe_load_all(stream.stdout) if body] == wanted
    assert "Secret b-dev-train/word is left out" in stream.stderr
    lines = runner.invoke(app, ["export", "--stack", "dev", "--json"])
    records = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [record["object"] for record in records if record["type"] == "manifest"] == wanted
    assert {record["code"] for record in records if record["type"] == "diagnostic"} == {
        "export-left-out",
        "export-awaited",
    }
    ran = runner.invoke(app, ["export", "--stack", "dev", "--format", "kubernetes", "--out", "made"])
    assert ran.exit_code == 0, ran.output
    assert "kubectl apply --recursive -f made" in ran.stdout
    found = sorted(path.name for path in (request_of.project.root / "made").iterdir())
    assert found == [file.name for file in export(request_of).files]
    other = runner.invoke(app, ["export", "--stack", "dev", "--format", "helm"])
    assert other.exit_code != 0
