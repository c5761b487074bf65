"""What the commands for rollouts show, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mlinfra.cli.main import app
from mlinfra.rollouts import GateLook, Progress, RolloutState
from mlinfra.workflow.request import Request
from mlinfra.workflow.rollouts import Served

STATE = RolloutState(
    "api",
    "ns",
    "api",
    "Rollout",
    "canary",
    Progress.PROGRESSING,
    step=1,
    steps=4,
    weight=25,
    wanted=4,
    updated=1,
    available=4,
    new="b",
    stable="a",
    images={"serve": "x@sha256:1"},
    gates=(GateLook("errors", "running", 2, "[0.2]", good=1),),
)


class Cluster:
    """What the commands find, and what they asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states = [STATE]
        self.asked: list[Any] = []

        class Stage:
            def steered(self, endpoint: str | None, verb: str) -> Served:
                return Served(endpoint or "api", "api/rollout", "kubernetes:argoproj.io/v1alpha1:Rollout", "ns", "api")

        @contextmanager
        def opened(request: Request) -> Iterator[Stage]:
            yield Stage()

        def steer(what: str) -> Callable[..., RolloutState]:
            def call(stage: Stage, served: Served, **more: Any) -> RolloutState:
                self.asked.append((what, served.endpoint, more))
                return self.states[0]

            return call

        def follow(stage: Stage, endpoint: str | None, tell: Callable[[RolloutState], None]) -> list[RolloutState]:
            for state in self.states:
                tell(state)
            return self.states[-1:]

        for name, item in (
            ("opened", opened),
            ("states", lambda stage, endpoint: self.states),
            ("follow", follow),
            ("promote", steer("promote")),
            ("abort", steer("abort")),
        ):
            monkeypatch.setattr(f"mlinfra.workflow.rollouts.{name}", item)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cluster:
    for folder in ("stacks", "blueprints"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    return Cluster(monkeypatch)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rollout", *arguments, "--stack", "dev"])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_is_shown_whole_and_several_as_a_table(cluster: Cluster) -> None:
    ran = call("status")
    assert ran.exit_code == 0
    for text in ("progressing in step 2 of 4, the new version has 25 %", "errors", "[0.2]", "x@sha256:1"):
        assert text in ran.stdout
    assert "mlinfra rollout promote api --stack dev" in ran.stdout
    cluster.states = [
        STATE,
        replace(STATE, endpoint="other", kind="Deployment", strategy="rolling", steps=0, step=None),
    ]
    ran = call("status")
    assert "Argo Rollouts" in ran.stdout
    assert "Kubernetes" in ran.stdout
    assert "[0.2]" not in ran.stdout


def test_as_json(cluster: Cluster) -> None:
    (line,) = lines(call("status", "--json"))
    assert (line["type"], line["endpoint"], line["progress"], line["ended"]) == ("rollout", "api", "progressing", False)
    assert line["gates"] == [
        {
            "name": "errors",
            "phase": "running",
            "step": 2,
            "value": "[0.2]",
            "good": 1,
            "bad": 0,
            "unclear": 0,
            "errors": 0,
        }
    ]


@pytest.mark.parametrize("progress", Progress)
def test_one_that_went_back_or_cannot_go_on_ends_with_1(cluster: Cluster, progress: Progress) -> None:
    cluster.states = [replace(STATE, progress=progress)]
    bad = progress in (Progress.ABORTED, Progress.DEGRADED)
    assert call("status").exit_code == (1 if bad else 0)
    assert call("status", "--json").exit_code == (1 if bad else 0)


def test_it_is_followed_to_its_end(cluster: Cluster) -> None:
    cluster.states = [STATE, replace(STATE, step=3, weight=50), replace(STATE, progress=Progress.DONE, weight=100)]
    told = lines(call("status", "api", "--follow", "--json"))
    assert [line["weight"] for line in told] == [25, 50, 100, 100]
    assert call("status", "--follow").exit_code == 0


def test_ctrl_c_ends_the_following_alone(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlinfra.workflow.rollouts.follow", follow)
    ran = call("status", "--follow")
    assert ran.exit_code == 1
    assert "They go on." in ran.stdout


def test_steering_wants_a_yes(cluster: Cluster) -> None:
    for verb in ("promote", "abort"):
        ran = call(verb, "api")
        assert ran.exit_code == 1
        assert "wants a yes" in ran.stderr
    assert cluster.asked == []
    assert call("promote", "api", "--full", "--yes").exit_code == 0
    assert call("abort", "--yes").exit_code == 0
    assert cluster.asked == [("promote", "api", {"full": True}), ("abort", "api", {})]
