"""Runs of training jobs, as a person and as a program read them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from mlinfra.runs import JobPod, JobRun, LogLine, Phase
from mlinfra.views import run_words
from mlinfra.views.json_view import FORMAT, JsonView
from mlinfra.views.person import PersonView

RUN = JobRun(
    "fit-0123456789",
    "fit",
    "rec-dev-train",
    Phase.SUCCEEDED,
    digest="0123456789",
    title="small [one]",
    settings={"lr": 0.1, "model.layers": [1, 2], "kind": "mlp"},
    succeeded=1,
    exit_code=0,
    created="2026-11-21T10:00:00Z",
    started="2026-11-21T10:00:01Z",
    ended="2026-11-21T10:02:01Z",
    seconds=120.0,
    started_by="ada@lab",
    made=True,
    pods=(JobPod("fit-0123456789-x", Phase.SUCCEEDED, node="gpu-0", exit_code=0),),
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"phase": Phase.QUEUED, "reason": "in queue research: not enough quota"},
            "queued in queue research: not enough quota",
        ),
        (
            {"phase": Phase.WAITING, "reason": "0/3 nodes are available"},
            "waiting for a machine: 0/3 nodes are available",
        ),
        ({"phase": Phase.WAITING}, "waiting for a machine"),
        ({"phase": Phase.STARTING}, "starting: pulling its image"),
        ({"phase": Phase.STARTING, "reason": "ImagePullBackOff"}, "starting: ImagePullBackOff"),
        ({"phase": Phase.RUNNING, "running": 1}, "running"),
        ({"phase": Phase.RUNNING, "running": 2, "wanted": 4, "parallel": 4}, "running 2/4 ranks"),
        (
            {"phase": Phase.RUNNING, "running": 2, "wanted": 4, "parallel": 4, "reason": "rank 3 waits: no room"},
            "running 2/4 ranks: rank 3 waits: no room",
        ),
        (
            {"phase": Phase.RUNNING, "running": 4, "wanted": 20, "parallel": 4, "succeeded": 7},
            "running 4 pods, 7/20 done",
        ),
        (
            {"phase": Phase.RUNNING, "running": 1, "wanted": 20, "parallel": 4, "succeeded": 19},
            "running 1 pod, 19/20 done",
        ),
        ({"phase": Phase.RUNNING, "kind": "RayJob", "running": 3, "wanted": 3}, "running 3/3 pods of its Ray cluster"),
        ({"phase": Phase.RETRYING, "failed": 1, "reason": "exit code 1"}, "retrying, 1 pod has failed: exit code 1"),
        ({"phase": Phase.RETRYING, "failed": 2}, "retrying, 2 pods have failed"),
        ({"phase": Phase.SUCCEEDED}, "succeeded"),
        (
            {"phase": Phase.FAILED, "exit_code": 3, "reason": "every try failed"},
            "failed with exit code 3: every try failed",
        ),
        ({"phase": Phase.FAILED, "exit_code": None, "reason": "gone"}, "failed: gone"),
        ({"phase": Phase.DEADLINE, "reason": "it had 60 s"}, "deadline exceeded: it had 60 s"),
        ({"phase": Phase.CANCELLED, "reason": "by ada@lab"}, "cancelled by ada@lab"),
    ],
)
def test_how_far_a_run_is(changes: dict[str, Any], words: str) -> None:
    assert run_words.state(replace(RUN, **changes)) == words


def test_a_row() -> None:
    assert run_words.row(RUN) == {
        "run": "fit-0123456789",
        "name": "small [one]",
        "job": "fit",
        "state": "succeeded",
        "started": "2026-11-21 10:00:01",
        "took": "2 min 0 s",
        "by": "ada@lab",
        "settings": "lr=0.1 model.layers=[1, 2] kind=mlp",
    }
    assert run_words.row(replace(RUN, started=""))["took"] == ""


class Person:
    """A person's view, and what it wrote to each stream."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.view = PersonView(Console(file=self.out, width=200), Console(file=self.err, width=200))


def test_a_person_follows_a_run() -> None:
    person = Person()
    person.view.event(replace(RUN, phase=Phase.RUNNING, running=1, wanted=2, parallel=2))
    person.view.event(LogLine(RUN.name, "fit-0", "0", "loss [0.1]"))
    person.view.event(LogLine(RUN.name, "fit-1", "1", "loss 0.2"))
    person.view.event(LogLine(RUN.name, "fit", "", "alone"))
    person.view.run(RUN, ["mlinfra run fit --again"])
    assert person.err.getvalue().splitlines() == ["fit-0123456789 running 1/2 ranks"]
    assert person.out.getvalue().splitlines() == [
        "0 | loss [0.1]",
        "1 | loss 0.2",
        "alone",
        "fit-0123456789 succeeded, in 2 min 0 s.",
        "",
        "Next",
        "  mlinfra run fit --again",
    ]


def test_a_person_looks_at_runs() -> None:
    person = Person()
    person.view.runs([RUN])
    header, row = person.out.getvalue().splitlines()
    assert header.split() == list(run_words.COLUMNS)
    assert "small [one]" in row
    person.view.run(RUN, whole=True)
    lines = person.out.getvalue().splitlines()[2:]
    assert ["made", "2026-11-21", "10:00:00", "by", "ada@lab"] in [line.split() for line in lines]
    assert any(line.startswith("fit-0123456789-x") and "gpu-0" in line for line in lines)
    empty = Person()
    empty.view.runs([])
    assert empty.out.getvalue() == "No runs.\n"


def test_a_program_gets_one_line_each() -> None:
    stream = io.StringIO()
    view = JsonView(stream)
    view.event(RUN)
    view.event(LogLine(RUN.name, "fit-0", "0", "loss", "2026", 0))
    view.run(RUN, ["not for programs"])
    view.runs([RUN, RUN])
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(record["format"], record["type"]) for record in records] == [
        (FORMAT, kind) for kind in ("run", "log", "run", "run", "run")
    ]
    told = records[2]
    assert (told["name"], told["state"], told["finished"], told["made"]) == (RUN.name, "succeeded", True, True)
    assert told["settings"] == {"lr": 0.1, "model.layers": [1, 2], "kind": "mlp"}
    assert told["pods"] == [{"name": "fit-0123456789-x", "state": "succeeded", "node": "gpu-0", "exit_code": 0}]
    assert "pods" not in records[3]
