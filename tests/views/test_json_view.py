"""One JSON object a line, each with the format's version and its type."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from mlinfra.diagnostics import Diagnostic
from mlinfra.graph import Graph, Node, Secret
from mlinfra.report import Fact, Note, Operation, Printed, Report, Stage, State, Step, Task
from mlinfra.views.json_view import FORMAT, JsonView


class Lines:
    """A view and the lines that it has written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.view = JsonView(self.stream)

    def read(self) -> list[dict[str, Any]]:
        lines = self.stream.getvalue().splitlines()
        records = [json.loads(line) for line in lines]
        assert all(record["format"] == FORMAT for record in records)
        return [{key: value for key, value in record.items() if key != "format"} for record in records]


@pytest.fixture
def lines() -> Lines:
    return Lines()


def test_events(lines: Lines, problem: Diagnostic) -> None:
    step = Step("data/bucket", "aws:s3/bucket:Bucket", "data", Operation.CREATE, State.STARTED)
    for event in (Task("build pulumi", State.RUNNING, "compiling", 0.5, 2.0), step, Note(problem)):
        lines.view.event(event)
    task, begun, told = lines.read()
    assert task == {
        "type": "task",
        "name": "build pulumi",
        "state": "running",
        "detail": "compiling",
        "fraction": 0.5,
        "seconds": 2.0,
    }
    assert begun == {
        "type": "step",
        "node": "data/bucket",
        "resource_type": "aws:s3/bucket:Bucket",
        "component": "data",
        "operation": "create",
        "state": "started",
    }
    assert told == {"type": "diagnostic", **problem.as_json()}


def test_a_stage_of_a_longer_work(lines: Lines) -> None:
    lines.view.event(Stage("up", 2, 7))
    assert lines.read() == [{"type": "stage", "name": "up", "number": 2, "total": 7}]


def test_what_a_program_printed_is_told_for_debugging_alone() -> None:
    event, lines = Printed("pulumi", "Updating\n"), Lines()
    lines.view.event(event)
    assert lines.read() == []
    lines.view = JsonView(lines.stream, debug=True)
    lines.view.event(event)
    assert lines.read() == [{"type": "printed", "program": "pulumi", "text": "Updating\n"}]


@pytest.mark.parametrize("kind", ["plan", "report"])
def test_a_report(kind: str, lines: Lines, report: Report) -> None:
    if kind == "plan":
        lines.view.plan(report)
    else:
        lines.view.report(report, ["advice is for people"])
    (line,) = lines.read()
    assert line["type"] == kind
    assert (line["verb"], line["succeeded"], line["changes"], line["seconds"]) == ("up", True, 3, 12.346)
    assert line["counts"] == {"create": 1, "read": 2, "replace": 1, "same": 5, "update": 1}
    assert [step["node"] for step in line["steps"]] == ["models/bucket", "data/bucket", "data/name"]
    assert line["steps"][2]["replaces"] == ["name"]
    assert line["outputs"] == report.outputs
    assert "advice" not in json.dumps(line)


def test_diagnostics_and_what_debug_adds(lines: Lines, problem: Diagnostic) -> None:
    lines.view.diagnostics([problem])
    lines.view.diagnostics([problem], "Traceback …")
    plain, debug = lines.read()
    assert plain == {"type": "diagnostic", **problem.as_json()}
    assert debug == {**plain, "debug": "Traceback …"}


def test_a_graph_reads_back(lines: Lines) -> None:
    graph = Graph("b", "1.0.0", "dev", {"n": Node("n", "t:t:T", {"x": Secret("hush")})})
    lines.view.graph(graph)
    (line,) = lines.read()
    assert Graph.from_json(line["graph"]).to_json() == graph.to_json()
    assert "hush" not in lines.stream.getvalue()


def test_rows_messages_and_outputs(lines: Lines) -> None:
    lines.view.rows("tool", [Fact("pulumi", True, "there", {"version": "3"})])
    lines.view.message("done", stack="dev", kind="fields may have any name")
    lines.view.outputs({"url": "x"})
    lines.view.close()
    assert lines.read() == [
        {"type": "tool", "name": "pulumi", "well": True, "detail": "there", "version": "3"},
        {"type": "message", "text": "done", "stack": "dev", "kind": "fields may have any name"},
        {"type": "outputs", "outputs": {"url": "x"}},
    ]


def test_states(lines: Lines, report: Report) -> None:
    lines.view.table("version", ("version",), [{"version": 2, "who": "alice@build-7"}])
    lines.view.state(2, [{"name": "a"}], {"resources": [{"urn": "a"}]})
    lines.view.differences(report.steps[1:2], "From version 1 to 2")
    row, state, difference = lines.read()
    assert row == {"type": "version", "version": 2, "who": "alice@build-7"}
    assert state == {"type": "state", "version": 2, "deployment": {"resources": [{"urn": "a"}]}}
    assert (difference["type"], difference["node"], difference["operation"]) == ("difference", "data/bucket", "update")


def test_programs_are_not_asked(lines: Lines) -> None:
    for ask in (lines.view.confirm, lines.view.ask):
        with pytest.raises(RuntimeError):
            ask("really?")
