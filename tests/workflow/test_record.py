"""The history of a stack: one line a run, only ever appended, without values that may be secret."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlinfra.report import Operation, PropertyChange, Report, State, Step
from mlinfra.workflow.record import record
from mlinfra.workflow.request import Request


def test_each_run_is_a_line(project: Any) -> None:
    step = Step(
        "data/bucket",
        "aws:s3/bucket:Bucket",
        "data",
        Operation.UPDATE,
        State.DONE,
        (PropertyChange("tags", "update", "old value", "new value"),),
    )
    report = Report(
        verb="up",
        stack="dev",
        blueprint="rec@1.0.0",
        environment="dev",
        target="local",
        succeeded=True,
        steps=(step,),
        counts={Operation.UPDATE: 1, Operation.SAME: 2},
        outputs={"url": "https://output"},
        seconds=1.23456,
    )
    request = Request(project(), "dev")
    record(request, report)
    record(request, replace(report, verb="destroy", succeeded=False, interrupted=True))
    record(replace(request, rehearse=True), report)
    text = (request.project.home / "history" / "dev.jsonl").read_text()
    first, second = [json.loads(line) for line in text.splitlines()]
    assert (first["verb"], first["succeeded"], first["interrupted"]) == ("up", True, False)
    assert (second["verb"], second["succeeded"], second["interrupted"]) == ("destroy", False, True)
    assert first["counts"] == {"update": 1, "same": 2}
    assert first["steps"] == [["update", "data/bucket", "aws:s3/bucket:Bucket"]]
    assert (first["blueprint"], first["environment"], first["target"], first["seconds"]) == (
        "rec@1.0.0",
        "dev",
        "local",
        1.235,
    )
    assert first["user"]
    assert first["host"]
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert not any(value in text for value in ("old value", "new value", "https://output"))
    assert (request.project.home / "history" / "dev-rehearsal.jsonl").read_text().count("\n") == 1
