"""What the commands for runs show, and how they end."""

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
from mlinfra.report import Event
from mlinfra.runs import JobRun, LogLine, Phase
from mlinfra.workflow.request import Request
from mlinfra.workflow.run_job import Begun
from mlinfra.workflow.runs_access import Job

JOB = Job("fit", "fit", "ns", "fit", "fit/template")
RUN = JobRun("fit-0123456789", "fit", "ns", Phase.RUNNING, digest="0123456789", running=1, made=True)
Follow = Callable[[Callable[[Event], None], JobRun], JobRun]


class Stage:
    """A stack with one job."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def computes(self, job: Job) -> bool:
        return not job.ray


class Cluster:
    """What the commands find, and what they asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.job = RUN, JOB
        self.asked: list[Any] = []
        self.follow: Follow = lambda emit, run: replace(run, phase=Phase.SUCCEEDED, seconds=3.0, started="x")

        @contextmanager
        def opened_stage(request: Request) -> Iterator[Stage]:
            yield Stage(request)

        def begin(stage: Stage, job: str, settings: Any, **more: Any) -> Begun:
            self.asked.append((job, list(settings), more))
            return Begun(self.job, self.run)

        def follow(stage: Stage, job: Job, run: JobRun, *, tail: int = 0) -> JobRun:
            self.asked.append(("follow", run.name, tail))
            return self.follow(stage.request.emit, run)

        def noted(what: str, answer: Any) -> Callable[..., Any]:
            def call(stage: Stage, job: Job, run: JobRun) -> Any:
                self.asked.append((what, run.name))
                return answer

            return call

        for name, item in (
            ("runs_access.opened_stage", opened_stage),
            ("run_job.begin", begin),
            ("runs_follow.follow", follow),
            ("runs_look.find", lambda stage, text: (self.job, self.run)),
            ("runs.cancel", noted("cancel", True)),
            ("runs.delete", noted("delete", None)),
        ):
            monkeypatch.setattr(f"mlinfra.workflow.{name}", item)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cluster:
    for folder in ("stacks", "blueprints"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    return Cluster(monkeypatch)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--stack", "dev"])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.ended])
@pytest.mark.parametrize("before", [False, True])
def test_a_run_that_succeeded_ends_with_0_and_any_other_with_1(phase: Phase, before: bool, cluster: Cluster) -> None:
    if before:
        cluster.run = replace(RUN, phase=phase, made=False)
    else:
        cluster.follow = lambda emit, run: replace(run, phase=phase)
    ran = call("run", "fit", "--set", "lr=1", "--set", "name=a b", "--name", "small", "--again")
    assert ran.exit_code == (0 if phase is Phase.SUCCEEDED else 1)
    assert f"fit-0123456789 {phase}" in ran.stdout
    assert cluster.asked[0] == ("fit", ["lr=1", "name=a b"], {"title": "small", "again": True})
    again = "mlinfra run fit --stack dev --set lr=1 --set 'name=a b' --again"
    assert (again in ran.stdout) is before


def test_state_and_log_are_told_as_they_come(cluster: Cluster) -> None:
    def follow(emit: Callable[[Event], None], run: JobRun) -> JobRun:
        emit(run)
        emit(LogLine(run.name, "p", "0", "epoch 1"))
        return replace(run, phase=Phase.SUCCEEDED)

    cluster.follow = follow
    told = lines(call("run", "fit", "--json", "--tail", "5"))
    assert [(line["type"], line.get("state") or line.get("text")) for line in told] == [
        ("run", "running"),
        ("log", "epoch 1"),
        ("run", "succeeded"),
    ]
    assert cluster.asked[1] == ("follow", RUN.name, 5)


def test_ctrl_c_says_how_to_go_on(cluster: Cluster) -> None:
    def follow(emit: Callable[[Event], None], run: JobRun) -> JobRun:
        raise KeyboardInterrupt

    cluster.follow = follow
    for arguments in (["run", "fit"], ["runs", "follow", "fit"]):
        ran = call(*arguments)
        assert ran.exit_code == 1
        assert "fit-0123456789 is not followed any more. It goes on." in ran.stdout
        for verb in ("follow", "cancel"):
            assert f"mlinfra runs {verb} fit-0123456789 --stack dev" in ran.stdout


@pytest.mark.parametrize("ray", [False, True])
def test_what_is_detached_or_goes_no_further_is_not_followed(ray: bool, cluster: Cluster) -> None:
    cluster.job = replace(JOB, ray=ray)
    ran = call("run", "fit", *([] if ray else ["--detach"]))
    assert ran.exit_code == 0
    assert len(cluster.asked) == 1
    assert "mlinfra runs follow fit-0123456789 --stack dev" in ran.stdout


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_what_stops_a_run_wants_a_yes(verb: str, cluster: Cluster) -> None:
    refused = call("runs", verb, "fit", "--json")
    assert refused.exit_code == 1
    assert lines(refused)[0]["code"] == "confirmation"
    assert cluster.asked == []
    done = call("runs", verb, "fit", "--json", "--yes")
    assert done.exit_code == 0
    assert lines(done)[-1]["run"] == RUN.name
    assert cluster.asked == [(verb, RUN.name)]
