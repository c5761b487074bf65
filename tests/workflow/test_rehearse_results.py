"""What a rehearsal comes to, in words and as rows."""

from __future__ import annotations

from mlinfra.diagnostics import Diagnostic, Location
from mlinfra.graph import Graph, Kind, Node
from mlinfra.local.leaks import Leak
from mlinfra.report import Note, Operation, Printed, Report, Stage, State, Step, Task
from mlinfra.workflow.rehearse_placement import Placed
from mlinfra.workflow.rehearse_results import TOLD, Found, Rehearsal, Result, changed, errors, leaked, limited, unplaced
from mlinfra.workflow.rehearse_telling import Teller

GRAPH = Graph(
    "b", "1", "prod", {"fit": Node("fit", "x", kind=Kind.COMPONENT)}, sources={"fit": Location("blueprints/b.py", 7)}
)


def test_a_job_without_a_machine() -> None:
    entry = Placed(
        "fit", "fit", "Job", 1, {}, {"fit-trial-0": "asks for 5 GPUs, no machine of pool gpu has more than 4"}
    )
    entry.scheduler = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    told = unplaced(entry, GRAPH)
    assert told.summary == "job fit finds no place: asks for 5 GPUs, no machine of pool gpu has more than 4"
    assert told.location == Location("blueprints/b.py", 7)
    assert "The scheduler says: 0/2 nodes" in told.detail


def test_some_of_the_pods_of_a_workload() -> None:
    entry = Placed("api", "other", "Deployment", 3, {"cpu": 1}, {"api-1": "why", "api-2": "why"})
    told = unplaced(entry, GRAPH)
    assert told.summary == "Deployment api finds no place: 2 of its 3 pods: why"
    assert told.location is None
    waits = Placed("fit", "fit", "Job", 4, {"gpu": 1}, {"3 of 4": "waits in queue nowhere"})
    assert "3 of its 4 pods" in unplaced(waits, GRAPH).summary
    assert not entry.well
    assert Placed("api", "api", "Deployment", 3, {"cpu": 3}).well


def test_a_leak_is_named_with_its_owner() -> None:
    owner = "cluster prod: a controller in it made it for Service ml/api"
    told = leaked(Leak("AWS eu-west-1", "ec2 Volume", "vol-1", owner, "", {"a": "b"}))
    assert told.summary == f"ec2 Volume vol-1 is left in AWS eu-west-1: {owner}"
    assert told.detail == "a: b"
    assert told.remedy
    nobody = leaked(Leak("cluster prod", "ConfigMap", "default/x"))
    assert nobody.summary.endswith("nothing on it says whose it is")
    assert not nobody.remedy


def test_a_person_is_told_of_so_many_and_of_how_many_more() -> None:
    problems = [Diagnostic(str(number), code="c") for number in range(TOLD + 5)]
    told = limited(problems, "things are left")
    assert len(told) == TOLD + 1
    assert told[-1].summary == "5 more things are left"
    assert limited(problems[: TOLD + 1], "") == tuple(problems[: TOLD + 1])


def report(*steps: Step, **fields: object) -> Report:
    counts = {step.operation: 1 for step in steps}
    return Report("up", "prod", "b@1", "prod", "local", succeeded=True, steps=steps, counts=counts, **fields)  # type: ignore[arg-type]


def test_a_second_run_that_changes_something() -> None:
    told = changed(report(Step("data/bucket", "t", "data", Operation.UPDATE, State.DONE)))
    assert told.summary == "a second run of prod changes 1 resource"
    assert "update data/bucket" in told.detail


def test_a_run_that_failed_always_says_something() -> None:
    assert errors(report())[0].summary == "up of prod failed"
    wrong = Diagnostic("wrong")
    assert errors(report(diagnostics=(wrong,))) == (wrong,)


def test_rows() -> None:
    well = Result("up", "ok", 1.26, Found("3 made", details={"more": 1}))
    assert well.as_row() == {"step": "up", "result": "ok", "seconds": 1.3, "what": "3 made", "more": 1}
    bad = Result("drift", "failed", 0.0, Found("x", (Diagnostic("wrong"),)))
    assert bad.as_row()["problems"] == [{"severity": "error", "summary": "wrong"}]
    assert Rehearsal("prod", (well,), 1.0).succeeded
    assert not Rehearsal("prod", (well, bad), 1.0).succeeded
    assert not Rehearsal("prod", (well, Result("drift", "skipped", 0.0, Found(""))), 1.0).succeeded


def test_each_problem_is_told_once_and_steps_of_the_engine_are_counted() -> None:
    events: list[object] = []
    teller = Teller(events.append)
    teller.begin("up", 2, 7)
    teller(Note(Diagnostic("careful")))
    teller(Note(Diagnostic("careful")))
    teller(Step("a", "t", None, Operation.CREATE, State.STARTED))
    teller(Step("a", "t", None, Operation.CREATE, State.DONE))
    teller(Printed("pulumi", "text"))
    assert teller.end(well=False) >= 0
    kinds = [type(event) for event in events]
    assert kinds == [Stage, Task, Note, Printed, Task]
    assert events[0] == Stage("up", 2, 7)
    assert isinstance(events[-1], Task)
    assert events[-1].state is State.FAILED
