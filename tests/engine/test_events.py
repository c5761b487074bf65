"""The engine's events, recorded from real runs in events/, read from a pipe and told as our own."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.events import EventReader, Told
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.verb import Verb
from mlinfra.graph import Graph, Node, Options, Secret
from mlinfra.report import Event, Operation, PropertyChange, State, Step, Working

RECORDED = Path(__file__).parent / "events"
GRAPH = Graph("rec", "1.0.0", "dev", {"data/lifecycle": Node("data/lifecycle", "aws:s3/x:X", component="data")})


def read(
    content: bytes,
    folder: Path,
    *,
    verb: Verb = Verb.UP,
    redactor: Redactor | None = None,
    graph: Graph = GRAPH,
) -> tuple[Told, Any]:
    """What is told of the bytes of a log, and what was emitted on the way."""
    emitted: list[Event] = []
    reader = EventReader(folder / "pipe", graph, emitted.append, redactor or Redactor(), verb)
    with (folder / "pipe").open("wb") as pipe:
        pipe.write(content)
    told = reader.close()
    assert emitted.pop(0) == Working(verb), "views are told first that there will be something to show"
    return told, emitted


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.jsonl").read_bytes()


def line(**event: Any) -> bytes:
    return json.dumps({"sequence": 1, **event}).encode() + b"\n"


def test_an_update_of_something_new(tmp_path: Path) -> None:
    told, emitted = read(recorded("up"), tmp_path)
    made = {"data/bucket", "data/lifecycle", "data/versioning", "note/resource"}
    assert told.counts == Counter({Operation.CREATE: 4})
    assert {step.node for step in told.steps} == made
    assert {step.component for step in told.steps} == {"data", "note"}
    assert [step.state for step in emitted if step.node == "data/bucket"] == [State.STARTED, State.DONE]
    assert [told.gone, told.messages] == [{}, []]
    assert not (tmp_path / "pipe").exists()


def test_a_plan_tells_nothing_while_it_goes_on(tmp_path: Path) -> None:
    told, emitted = read(recorded("preview"), tmp_path, verb=Verb.PREVIEW)
    assert told.counts == Counter({Operation.CREATE: 4})
    assert emitted == []


def test_an_update_and_a_replacement(tmp_path: Path) -> None:
    told, emitted = read(recorded("update"), tmp_path)
    assert told.counts == Counter({Operation.SAME: 2, Operation.UPDATE: 1, Operation.REPLACE: 1})
    steps = {step.node: step for step in told.steps}
    assert steps["data/lifecycle"].changes == (
        PropertyChange("rules[0].noncurrentVersionExpiration.noncurrentDays", "update", 7, 9),
    )
    assert steps["note/resource"].operation is Operation.REPLACE
    assert steps["note/resource"].replaces == ("name",)
    (name,) = (item for item in steps["note/resource"].changes if item.path == "name")
    assert (name.old, name.new) == ("/rec/one", "/rec/two")
    ended = [step for step in emitted if step.state is State.DONE and step.node == "note/resource"]
    assert len(ended) == 1, "the three parts of a replacement are told as one"


def test_nothing_begins_where_a_resource_stays(tmp_path: Path) -> None:
    _, emitted = read(recorded("update"), tmp_path)
    stays = {(step.node, step.state) for step in emitted if step.operation is Operation.SAME}
    assert stays == {("data/bucket", State.DONE), ("data/versioning", State.DONE)}


def test_how_the_engine_writes_makes_no_difference(tmp_path: Path) -> None:
    """Events whose fields come in another order, or with spaces, are told alike."""
    for verb in (Verb.UP, Verb.PREVIEW):
        events = [json.loads(line) for line in recorded("update").splitlines()]
        other = b"".join(json.dumps(dict(reversed(event.items()))).encode() + b"\n" for event in events)
        assert _without_times(read(other, tmp_path, verb=verb)) == _without_times(
            read(recorded("update"), tmp_path, verb=verb)
        )


def _without_times(found: tuple[Told, Any]) -> Any:
    told, emitted = found
    return told.counts, [[replace(step, seconds=0.0) for step in steps] for steps in (told.steps, emitted)]


def test_a_refresh_before_a_plan_finds_what_is_changed_and_what_is_gone(tmp_path: Path) -> None:
    told, _ = read(recorded("refresh-preview"), tmp_path, verb=Verb.PREVIEW)
    outside = {step.node for step in told.steps if step.operation is Operation.REFRESH}
    assert outside == {"data/versioning", "data/lifecycle", "note/resource"}
    assert told.counts[Operation.REFRESH] == len(outside)
    found = [(step.node, step.operation, step.changes) for step in told.steps if step.node == "data/versioning"]
    path = "versioningConfiguration.status"
    assert found == [
        ("data/versioning", Operation.REFRESH, (PropertyChange(path, "update", "Enabled", "Suspended"),)),
        ("data/versioning", Operation.UPDATE, (PropertyChange(path, "update", "Suspended", "Enabled"),)),
    ]
    gone = next(step for step in told.steps if step.node == "note/resource")
    assert gone.changes == (PropertyChange("id", "delete", "/rec/two", None),)
    assert "data/bucket" not in {step.node for step in told.steps}


def test_what_a_refresh_finds_was_done_by_somebody_else(tmp_path: Path) -> None:
    told, _ = read(recorded("refresh"), tmp_path, verb=Verb.REFRESH)
    assert told.steps
    assert {step.operation for step in told.steps} == {Operation.REFRESH}
    assert all(step.changes for step in told.steps)


@pytest.mark.parametrize(
    ("ignored", "is_told"),
    [
        ("rules[*].filter", False),
        ("rules[0]", False),
        ("rules", False),
        ("rules[1].filter", True),
        ("rules[*].filter.prefix", True),
        ("versioningConfiguration", True),
    ],
)
def test_a_refresh_finds_no_change_in_what_is_left_to_others(ignored: str, is_told: bool, tmp_path: Path) -> None:
    node = replace(GRAPH.nodes["data/lifecycle"], options=Options(ignore_changes=(ignored,)))
    graph = Graph("rec", "1.0.0", "dev", {"data/lifecycle": node})
    told, _ = read(recorded("refresh"), tmp_path, verb=Verb.REFRESH, graph=graph)
    steps = {step.node: step.changes for step in told.steps}
    assert [item.path for item in steps.pop("data/lifecycle", ())] == (["rules[0].filter"] if is_told else [])
    assert [item.path for item in steps["data/versioning"]] == ["versioningConfiguration.status"]


def test_a_run_that_fails(tmp_path: Path) -> None:
    told, emitted = read(recorded("failed"), tmp_path)
    assert [step.node for step in told.steps] == ["two/resource"]
    assert [step.state for step in emitted if step.node == "one/resource"] == [State.STARTED, State.FAILED]
    severity, node, text = told.messages[0]
    assert (severity, node) == ("error", "one/resource")
    assert "ParameterAlreadyExists" in text


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.jsonl")))
def test_nothing_that_is_told_holds_a_secret(name: str, tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.learn(Secret("ParameterAlreadyExists"))
    told, emitted = read(recorded(name), tmp_path, redactor=redactor)
    assert "ParameterAlreadyExists" not in repr(told) + repr(emitted)
    assert "ciphertext" not in repr(told)


def test_what_is_replaced_is_known_by_its_urn_with_what_forces_it(tmp_path: Path) -> None:
    told, _ = read(recorded("update"), tmp_path, verb=Verb.PREVIEW)
    [(urn, step)] = told.gone.items()
    assert urn.endswith("$aws:ssm/parameter:Parameter::note/resource")
    assert (step.operation, step.replaces) == (Operation.REPLACE, ("name",))
    assert {change.path for change in step.changes} == {"name", "value"}


def test_what_was_moved_goes_by_the_urn_that_the_state_has(tmp_path: Path) -> None:
    base = "urn:pulumi:dev::b::mlinfra:component:Bucket$aws:s3/bucket:Bucket::"
    old = {"custom": True, "urn": f"{base}old/bucket", "inputs": {}, "outputs": {}}
    metadata = {"op": "replace", "urn": f"{base}new/bucket", "type": "aws:s3/bucket:Bucket", "old": old, "new": old}
    told, _ = read(line(resOutputsEvent={"metadata": metadata, "planning": True}), tmp_path, verb=Verb.PREVIEW)
    assert {urn: step.node for urn, step in told.gone.items()} == {f"{base}old/bucket": "new/bucket"}


def test_a_step_that_deletes(tmp_path: Path) -> None:
    old = {"custom": True, "protect": True, "inputs": {}, "outputs": {}}
    urn = "urn:pulumi:dev::b::mlinfra:component:Bucket$aws:s3/bucket:Bucket::data/bucket"
    metadata = {"op": "delete", "urn": urn, "type": "aws:s3/bucket:Bucket", "old": old, "new": None}
    told, _ = read(line(resOutputsEvent={"metadata": metadata, "planning": True}), tmp_path, verb=Verb.PREVIEW)
    assert {gone: step.node for gone, step in told.gone.items()} == {urn: "data/bucket"}
    assert told.counts == Counter({Operation.DELETE: 1})


def test_a_value_that_comes_after_the_update(tmp_path: Path) -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    metadata = {
        "op": "update",
        "urn": "urn:pulumi:dev::b::t:t:T::n",
        "type": "t:t:T",
        "old": {"custom": True, "inputs": {"a": {"b.c": [1]}}, "outputs": {}},
        "new": {"custom": True, "inputs": {"a": {"b.c": [unknown]}}, "outputs": {}},
        "detailedDiff": {'a["b.c"][0]': {"diffKind": "update-replace", "inputDiff": True}},
    }
    told, _ = read(line(resOutputsEvent={"metadata": metadata}), tmp_path)
    assert told.steps[0].changes == (PropertyChange('a["b.c"][0]', "update", 1, "(known after apply)"),)


def test_messages_are_cleaned_and_debug_is_left_out(tmp_path: Path) -> None:
    events = [
        {"severity": "warning", "urn": "urn:pulumi:dev::b::t:t:T::n", "message": "<{%fg 1%}>careful<{%reset%}>\n"},
        {"severity": "error", "message": "\x1b[31mred\x1b[0m"},
        {"severity": "debug", "message": "noise"},
        {"severity": "info", "message": "passing", "ephemeral": True},
        {"severity": "info#err", "message": "from a plugin"},
        {"severity": "error", "message": "  \n"},
    ]
    told, _ = read(b"".join(line(diagnosticEvent=event) for event in events), tmp_path)
    assert told.messages == [("warning", "n", "careful"), ("error", "", "red"), ("info#err", "", "from a plugin")]


def test_an_engine_that_was_killed_leaves_a_torn_line(tmp_path: Path) -> None:
    told, _ = read(recorded("up")[:-200], tmp_path)
    assert told.counts[Operation.CREATE] > 0


@pytest.mark.parametrize("failure", [BrokenPipeError, SystemExit])
def test_a_view_that_fails_does_not_stop_the_reading(tmp_path: Path, failure: type[BaseException]) -> None:
    """More than a pipe holds is still taken: the engine would wait for a reader for ever."""

    def broken(event: Event) -> None:
        raise failure("the terminal has gone")

    reader = EventReader(tmp_path / "pipe", GRAPH, broken, Redactor(), Verb.UP)
    with (tmp_path / "pipe").open("wb") as pipe:
        for _ in range(20):
            pipe.write(recorded("up"))
    with pytest.raises(failure):
        reader.close()
    assert reader.told.counts[Operation.CREATE] == 80


def test_steps_say_how_long_they_took(tmp_path: Path) -> None:
    _, emitted = read(recorded("up"), tmp_path)
    assert all(step.seconds >= 0 for step in emitted if isinstance(step, Step))
    assert all(step.seconds == 0 for step in emitted if step.state is State.STARTED)
