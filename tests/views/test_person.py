"""What a person sees: results on stdout, progress and problems on stderr, sense without colour."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.graph import Graph, Kind, Node, Options, Pool, Ref
from mlinfra.report import Fact, Note, Operation, Printed, PropertyChange, Report, Stage, State, Step, Task
from mlinfra.views.person import PersonView


class Captured(NamedTuple):
    """The two streams that a view was made on; they are no terminals."""

    stdout: io.StringIO
    stderr: io.StringIO

    @property
    def out(self) -> str:
        return self.stdout.getvalue()

    @property
    def err(self) -> str:
        return self.stderr.getvalue()


@pytest.fixture
def captured() -> Captured:
    return Captured(io.StringIO(), io.StringIO())


@pytest.fixture
def view(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> PersonView:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", captured.stdout)
        patch.setattr(sys, "stderr", captured.stderr)
        return PersonView()


def test_what_a_program_printed_is_told_for_debugging_alone(captured: Captured) -> None:
    for debug in (False, True):
        err = Console(file=captured.stderr, width=80)
        PersonView(Console(file=captured.stdout), err, debug=debug).event(Printed("pulumi", "Updating\n [x]\n"))
    assert captured.out == ""
    assert captured.err == "pulumi | Updating\npulumi |  [x]\n"


def test_a_plan(view: PersonView, report: Report, captured: Captured) -> None:
    view.plan(report)
    assert captured.out == (
        "data\n"
        "  ~ bucket  S3 Bucket\n"
        '      tags[env]: [red]old → {"a": 1}\n'
        "  ± name  S3 Bucket\n"
        "      name: one → two  forces replacement\n"
        "      size: (none) → 3\n"
        "models\n"
        "  + bucket  S3 Bucket\n"
        "\n"
        "Plan for dev: 1 to create, 1 to update, 1 to replace, 5 unchanged.\n"
    )


def test_a_plan_without_changes(view: PersonView, report: Report, captured: Captured) -> None:
    view.plan(replace(report, steps=(), counts={Operation.SAME: 5}))
    assert captured.out == "Nothing to change in dev: 5 unchanged.\n"


def test_a_report(view: PersonView, report: Report, captured: Captured) -> None:
    view.report(report, ["mlinfra outputs --stack dev"])
    assert captured.out == (
        "up dev: 1 created, 1 updated, 1 replaced, 5 unchanged, in 12 s.\n"
        "\n"
        "Outputs\n"
        "  url       https://x\n"
        "  arn       arn:aws:x:key:y\n"
        "  password  [secret]\n"
        "\n"
        "Next\n"
        "  mlinfra outputs --stack dev\n"
    )
    assert captured.err == ""


def test_a_report_of_a_failure_is_no_result(view: PersonView, report: Report, captured: Captured) -> None:
    view.report(replace(report, succeeded=False), [])
    assert captured.out == ""
    assert captured.err == (
        "up dev failed after 12 s.\nDone before that: 1 created, 1 updated, 1 replaced, 5 unchanged.\n"
    )


def test_a_problem_as_a_block(view: PersonView, problem: Diagnostic, captured: Captured) -> None:
    view.diagnostics([problem], "Traceback [of] it")
    assert captured.out == ""
    assert captured.err == (
        "error: it is [bold]wrong[/]\n"
        "  at stacks/dev.yaml:3:1\n"
        "  first line\n"
        "  second :key: line\n"
        "  → mend it\n"
        "Traceback [of] it\n"
    )


def test_what_was_told_is_not_told_again(view: PersonView, problem: Diagnostic, captured: Captured) -> None:
    view.event(Note(replace(problem, severity=Severity.WARNING)))
    view.event(Note(problem))
    view.diagnostics([problem, replace(problem, severity=Severity.WARNING)])
    assert captured.err.count("it is [bold]wrong[/]") == 2


@pytest.mark.parametrize(
    ("operation", "changes", "line"),
    [
        (Operation.CREATE, (), "+ data/bucket  S3 Bucket created 1.2 s\n"),
        (Operation.DELETE, (), "- data/bucket  S3 Bucket deleted 1.2 s\n"),
        (Operation.SAME, (), ""),
        (Operation.REFRESH, (), ""),
        (
            Operation.REFRESH,
            (PropertyChange("tags", "update", 1, 2),),
            "~ data/bucket  S3 Bucket changed outside 1.2 s\n",
        ),
    ],
)
def test_a_line_for_each_change(
    operation: Operation, changes: Any, line: str, view: PersonView, captured: Captured
) -> None:
    step = Step("data/bucket", "aws:s3/bucket:Bucket", "data", operation, State.STARTED)
    view.event(step)
    view.event(replace(step, state=State.DONE, changes=changes, seconds=1.2))
    assert (captured.out, captured.err) == ("", line)


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (Task("build", State.DONE, seconds=0.2), ""),
        (Task("build", State.DONE, "pulumi", seconds=65), "· build: pulumi done, 1 min 5 s\n"),
        (Task("build", State.FAILED, seconds=0.2), "· build failed, 0.2 s\n"),
    ],
)
def test_a_task_is_worth_a_line_when_it_took_long_or_failed(
    task: Task, line: str, view: PersonView, captured: Captured
) -> None:
    view.event(Task("build", State.STARTED))
    view.event(task)
    assert captured.err == line


def test_a_stage_of_a_longer_work_is_announced(view: PersonView, captured: Captured) -> None:
    view.event(Stage("up", 2, 7))
    assert captured.err == "up (2 of 7)\n"


def test_a_graph(view: PersonView, captured: Captured) -> None:
    nodes = [
        Node("@aws", "pulumi:providers:aws", kind=Kind.PROVIDER),
        Node("data", "mlinfra:component:Bucket", kind=Kind.COMPONENT),
        Node("data/bucket", "aws:s3/bucket:Bucket", {}, component="data", options=Options(provider="@aws")),
        Node("data/policy", "aws:s3/bucketPolicy:BucketPolicy", {"bucket": Ref("data/bucket")}, component="data"),
    ]
    pool = Pool("gpu", "g5.xlarge", 4, 16, gpus=1, max=4)
    view.graph(Graph("rec", "1.0.0", "dev", {node.name: node for node in nodes}, pools=(pool,)))
    lines = captured.out.splitlines()
    assert lines[0] == "rec 1.0.0 in dev"
    assert any(line.endswith("data  Bucket") for line in lines)
    assert any(line.endswith("policy  S3 BucketPolicy  ← data/bucket") for line in lines)
    assert lines[-1] == "pool gpu: 0–4 × g5.xlarge, 1 GPUs"


def test_rows_and_messages(view: PersonView, captured: Captured) -> None:
    view.rows("tool", [Fact("pulumi", True, "[3.1]"), Fact("etcd", False, "not there")])
    view.rows("stacks", [])
    view.message("a [b] :key:")
    assert [line.rstrip() for line in captured.out.splitlines()] == [
        "ok  pulumi  [3.1]",
        "--  etcd    not there",
        "No stacks.",
        "a [b] :key:",
    ]


@pytest.mark.parametrize(
    ("answer", "agreed"), [("yes", True), (" Y ", True), ("no", False), ("", False), (None, False)]
)
def test_only_yes_is_yes(answer: str | None, agreed: bool, view: PersonView, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> str:
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", read)
    assert view.confirm("really?") is agreed


def test_states(view: PersonView, report: Report, captured: Captured) -> None:
    row = {"version": 2, "who": "[red]alice", "changes": {"create": 3, "delete": 1, "same": 9}, "message": None}
    view.table("version", ("version", "who", "changes", "message"), [row])
    view.table("version", ("version",), [])
    view.state(2, [{"name": "a", "type": "tests:index:Thing", "id": "x"}], {})
    secret = PropertyChange("inputs.key", "secret changed")
    view.differences([replace(report.steps[1], changes=(secret,))], "From version 1 to 2")
    view.differences([], "From version 2 to 2")
    told = [" ".join(line.split()) for line in captured.out.splitlines()]
    assert told[:3] == ["version who changes message", "2 [red]alice +3 -1", "No version."]
    assert told[3:6] == ["name type id", "a tests:index:Thing x", "Version 2: 1 resources."]
    assert told[6:9] == ["From version 1 to 2", "data", "~ bucket S3 Bucket"]
    assert told[9:] == ["inputs.key: secret changed", "From version 2 to 2: nothing differs."]
