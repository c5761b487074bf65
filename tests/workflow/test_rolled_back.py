"""What was rolled back, for commands that only look: the stack as `up` would make it, from a real state.

How it is chosen and noted: `test_rollback.py`; with the engine: `tests/e2e/test_rollback.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from mlinfra.cli.main import app
from mlinfra.diagnostics import MlinfraError
from mlinfra.engine.session import MOVED
from mlinfra.graph import Graph
from mlinfra.project import Project
from mlinfra.report import Event, Note
from mlinfra.stack import load_stack
from mlinfra.state.deployments import Untyped
from mlinfra.state.service import states_of
from mlinfra.workflow import rolled_back
from mlinfra.workflow.capacity import capacity
from mlinfra.workflow.compile import compile_request
from mlinfra.workflow.data import data_report
from mlinfra.workflow.export import export
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import FACT, Pin, RolledBack, compile_kept, kept
from mlinfra.workflow.rollouts import opened
from mlinfra.workflow.runs_access import opened_stage
from tests.conftest import MakeProject

BAD, GOOD, NEW = (f"registry.example.com/serve@sha256:{letter * 64}" for letter in "bac")
BLUEPRINT = """
from mlinfra import (
    BatchInference, Blueprint, Bucket, Endpoint, Environment, ExistingNetwork, Field, Image, NodePool, Params,
    TrainingCluster, blueprint,
)


class Values(Params):
    image: Image | None = None
    cpu: float = 0.1
    folder: str = Field("one", max_length=9)


@blueprint("shop", version="1.0.0")
def shop(env: Environment, p: Values) -> Blueprint:
    pool = NodePool("cpu", instance_type="m6i.large", max=2)
    cluster = TrainingCluster("train", pools=[pool])
    small = {"cluster": cluster, "image": p.image, "memory": 0.1}
    data, scores = Bucket("data"), Bucket("scores")
    api = Endpoint("api", env={"FOLDER": p.folder}, cpu=p.cpu, **small)
    score = BatchInference("score", pool=pool, inputs=data, outputs=scores, cpu=0.1, **small)
    return Blueprint(api, score)
"""
STACK = "blueprint: shop\nenvironment: {{name: dev, tier: dev}}\nowner: {{team: t, cost_center: c}}\nparams: {}\n"
Shop: TypeAlias = Callable[..., tuple[Request, list[Event]]]


@pytest.fixture
def shop(project: MakeProject) -> Shop:
    """A stack whose two components were rolled back from `BAD` to `GOOD`; what its file says now, and what it tells."""

    def make(says: str = BAD, more: str = "", cpu: float = 0.1) -> tuple[Request, list[Event]]:
        text = STACK.format(json.dumps({"image": says, "cpu": cpu})) + more
        made = project(stacks={"dev": text}, blueprints={"shop": BLUEPRINT})
        put(made, "dev")
        told: list[Event] = []
        return Request(made, "dev", emit=told.append), told

    return make


def put(project: Project, name: str) -> None:
    pin = Pin(("image",), GOOD, (BAD,))
    held = [RolledBack(component, 1, (pin,), ({"image": BAD},)) for component in ("api", "score")]
    resources = [
        {
            "urn": f"urn:pulumi:{name}::shop::mlinfra:component:Endpoint::{item.component}",
            "type": "mlinfra:component:Endpoint",
            "custom": False,
            "inputs": {FACT: item.as_fact()},
        }
        for item in held
    ]
    with states_of(project) as states:
        states.replace("shop", name, Untyped(deployment={"manifest": {}, "resources": resources}), "put")


def codes(told: Iterable[Event]) -> list[str]:
    return [item.diagnostic.code for item in told if isinstance(item, Note)]


def images(graph: Graph) -> set[str]:
    """Every image of the two components' pods."""
    text = json.dumps([node.inputs for node in graph if node.component in ("api", "score")], default=str)
    return {image for image in (BAD, GOOD, NEW) if image in text and f'"image": "{image}"' in text}


def test_what_only_looks_sees_what_up_would_make(shop: Shop) -> None:
    request, told = shop()
    seen = compile_kept(request)
    assert codes(told) == ["rolled-back"] * 2

    class State:
        def whole(self) -> list[dict[str, Any]]:
            with states_of(request.project) as states:
                return list(states.read("shop", "dev")["resources"])

    made = kept(request, compile_request(request), State())  # type: ignore[arg-type]  # all that `up` asks it
    assert seen.graph == made.graph
    assert seen.params == made.params == {"image": GOOD, "cpu": 0.1, "folder": "one"}
    assert images(seen.graph) == {GOOD}
    assert images(compile_request(request).graph) == {BAD}


def export_images(request: Request) -> set[str]:
    return images(export(request).graph)


def run_images(request: Request) -> set[str]:
    with opened_stage(request) as stage:
        return images(stage.compiled.graph)


def rollout_images(request: Request) -> set[str]:
    with opened(request) as stage:
        return images(stage.compiled.graph)


@pytest.mark.parametrize("look", [export_images, run_images, rollout_images])
def test_each_command_takes_it(shop: Shop, look: Callable[[Request], set[str]]) -> None:
    request, told = shop()
    assert look(request) == {GOOD}
    assert codes(told) == ["rolled-back"] * 2


@pytest.mark.parametrize("look", [export_images, run_images, rollout_images])
def test_another_value_in_the_stack_file_ends_it(shop: Shop, look: Callable[[Request], set[str]]) -> None:
    request, told = shop(NEW)
    assert look(request) == {NEW}
    assert codes(told) == []


@pytest.mark.parametrize("look", [capacity, data_report])
def test_reports_say_what_they_are_about(shop: Shop, look: Callable[[Request], Any]) -> None:
    request, told = shop()
    look(request)
    assert codes(told) == ["rolled-back"] * 2


def test_a_run_that_is_sent_elsewhere_has_nothing_rolled_back(shop: Shop) -> None:
    request, told = shop()
    assert export_images(Request(request.project, "dev", rehearse=True, emit=told.append)) == {BAD}
    assert told == []


def test_how_it_is_compiled_is_handed_on(shop: Shop) -> None:
    """What asks for more than its machines have is an error of the compiler, but not where a report tells of it."""
    request, _ = shop(cpu=50.0)
    with pytest.raises(MlinfraError):
        compile_kept(request)
    assert images(compile_kept(request, capacity=False).graph) == {GOOD}


def test_the_graph_as_a_command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    request, _ = shop()
    monkeypatch.chdir(request.project.root)
    ran = CliRunner().invoke(app, ["graph", "--stack", "dev", "--json"])
    assert ran.exit_code == 0, ran.output
    assert GOOD in ran.stdout
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["code"] for line in lines if line["type"] == "diagnostic"] == ["rolled-back"] * 2
    valid = CliRunner().invoke(app, ["validate", "--stack", "dev", "--json"])
    assert "rolled-back" not in valid.stdout  # it holds the stack file as it is


def test_a_state_that_was_moved_away_is_warned_of(shop: Shop) -> None:
    request, told = shop()
    with states_of(request.project) as states:
        states.tag("shop", "dev", MOVED, "s3://elsewhere")
    assert images(compile_kept(request).graph) == {BAD}
    assert codes(told) == ["rolled-back-unknown"]


@pytest.mark.parametrize("look_far", [True, False])
def test_a_state_that_is_far_away(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, look_far: bool) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    request, told = shop(more=f"state: {{backend: 'file://{tmp_path}'}}\n")
    assert images(compile_kept(request, look_far=look_far).graph) == {BAD}
    assert codes(told) == (["rolled-back-unknown"] if look_far else [])
    if look_far:
        [note] = told
        assert isinstance(note, Note)
        assert note.diagnostic.detail == "the passphrase of the state is not set"
        assert note.diagnostic.location == load_stack(request.project, "dev").place("state", "backend")


def test_without_a_release_no_state_is_read(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(rolled_back, "state_of", read)
    text = BLUEPRINT.replace("    return Blueprint(api, score)", "    return Blueprint(data)")
    text = text.replace("    api = Endpoint", "    _ = Endpoint").replace(
        "    score = BatchInference", "    _ = BatchInference"
    )
    made = project(stacks={"dev": STACK.format("{}")}, blueprints={"shop": text})
    assert compile_kept(Request(made, "dev")).graph.nodes
