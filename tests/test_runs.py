"""Runs as plain data."""

from __future__ import annotations

import json

import pytest

from mlinfra.runs import JobPod, JobRun, LogLine, Phase

ENDED = {Phase.SUCCEEDED, Phase.FAILED, Phase.DEADLINE, Phase.CANCELLED}


@pytest.mark.parametrize("phase", Phase)
def test_some_phases_are_the_end(phase: Phase) -> None:
    assert phase.ended is (phase in ENDED)


def test_a_run_is_json() -> None:
    pod = JobPod("fit-1-0-x", Phase.FAILED, rank=0, part="0", exit_code=0)
    run = JobRun("fit-1", "fit", "ns", Phase.FAILED, settings={"lr": 0}, exit_code=3, seconds=1.23456, pods=(pod,))
    record = json.loads(json.dumps(run.as_json()))
    assert (record["state"], record["finished"], record["made"]) == ("failed", True, False)
    assert (record["exit_code"], record["failed"], record["seconds"]) == (3, 0, 1.235)
    assert record["settings"] == {"lr": 0}
    assert not {"phase", "pods", "title", "reason"} & record.keys()
    assert pod.as_json() == {"name": "fit-1-0-x", "state": "failed", "rank": 0, "part": "0", "exit_code": 0}


def test_a_line_is_json() -> None:
    assert LogLine("fit-1", "fit-1-0-x", "0", "", "2026", 0).as_json() == {
        "run": "fit-1",
        "pod": "fit-1-0-x",
        "part": "0",
        "text": "",
        "time": "2026",
        "rank": 0,
    }


def test_what_is_worth_telling() -> None:
    run = JobRun("fit-1", "fit", "ns", Phase.RUNNING, running=1)
    assert run.looks() == JobRun("fit-1", "fit", "ns", Phase.RUNNING, running=1, seconds=5.0).looks()
    assert run.looks() != JobRun("fit-1", "fit", "ns", Phase.RUNNING, running=2).looks()
