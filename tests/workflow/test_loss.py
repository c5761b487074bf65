"""What a run would lose, and how it is refused: from states and plans as data."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError
from mlinfra.graph import Graph, Kind, Node, Options, Ref
from mlinfra.holding import CLAIM, NAMESPACE
from mlinfra.positions import Positions
from mlinfra.report import Operation, PropertyChange, State, Step
from mlinfra.stack import Stack, StackFile
from mlinfra.workflow.loss import Guard, guarded, holders, urns

BUCKET, POLICY, QUEUE = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy", "aws:sqs/queue:Queue"
FILE = """\
blueprint: b
environment: {name: dev, tier: dev}
owner: {team: tests, cost_center: none}
"""


def stack(**more: Any) -> Stack:
    file = StackFile.model_validate({**yaml.safe_load(FILE), **more}, strict=False)
    return Stack("dev", file, Positions("stacks/dev.yaml", {("blueprint",): 1, ("allow_loss",): 4}))


def graph(*nodes: Node) -> Graph:
    components = {name.name.partition("/")[0] for name in nodes}
    made = {name: Node(name, "mlinfra:component:Raw", kind=Kind.COMPONENT) for name in components}
    sources = {name: Location("blueprints/b.py", 7) for name in components}
    return Graph("b", "1.0.0", "dev", made | {node.name: node for node in nodes}, sources=sources)


def node(name: str, token: str = BUCKET, /, options: Options | None = None, **inputs: Any) -> Node:
    return Node(name, token, inputs, component=name.partition("/")[0], options=options or Options())


def urn(name: str, token: str = BUCKET) -> str:
    return f"urn:pulumi:dev::b::mlinfra:component:Raw${token}::{name}"


def there(name: str, token: str = BUCKET, **more: Any) -> dict[str, Any]:
    return {"urn": urn(name, token), "type": token, "id": name.partition("/")[0], "custom": True, "inputs": {}, **more}


def guard(made: Graph, *resources: dict[str, Any], **more: Any) -> Guard:
    return Guard(stack(**more), made, list(resources), "b", "dev")


def replacing(name: str, token: str = BUCKET, *changes: PropertyChange) -> dict[str, Step]:
    replaces = tuple(dict.fromkeys(change.path.partition(".")[0] for change in changes))
    step = Step(name, token, name.partition("/")[0], Operation.REPLACE, State.DONE, changes, replaces)
    return {urn(name, token): step}


def refusals(found: Guard, gone: dict[str, Step]) -> tuple[Diagnostic, ...]:
    with pytest.raises(MlinfraError) as raised:
        found.refuse([*found.removed(), *found.planned(gone)])
    return raised.value.diagnostics


# ------------------------------------------------------------------------------------ what is held


def test_everything_that_holds_data_is_protected_unless_it_is_given_up() -> None:
    mine = Options(protect=True)
    made = graph(node("data/bucket"), node("data/policy", POLICY), node("old/bucket"), node("q/queue", QUEUE, mine))
    result = guarded(made, stack(allow_loss=["old"]))
    assert {item.name for item in result if item.options.protect} == {"data/bucket", "q/queue"}
    given = guarded(made, stack(allow_loss=["data", "old", "q"]))
    assert not any(item.options.protect for item in given)


@pytest.mark.parametrize("namespace", ["ml", Ref("space/ns", ("metadata", "name"))])
def test_a_namespace_is_held_for_what_is_in_it(namespace: Any) -> None:
    space = node("space/ns", NAMESPACE, metadata={"name": "ml"})
    other = node("other/ns", NAMESPACE, metadata={"name": "other"})
    claim = node("disk/claim", CLAIM, metadata={"name": "disk", "namespace": namespace})
    result = guarded(graph(space, other, claim), stack())
    assert {item.name for item in result if item.options.protect} == {"space/ns", "disk/claim"}


def test_what_a_state_holds() -> None:
    found = holders(
        [
            there("data/bucket"),
            there("data/policy", POLICY),
            there("gone/bucket", delete=True),
            there("read/bucket", external=True),
            there("kept/queue", QUEUE, protect=True),
            there("space/ns", NAMESPACE, id="ml"),
            there("empty/ns", NAMESPACE, id="empty"),
            there("disk/claim", CLAIM, inputs={"metadata": {"namespace": "ml"}}),
        ]
    )
    assert {key.rpartition("::")[2] for key in found} == {"data/bucket", "kept/queue", "space/ns", "disk/claim"}
    assert "disk/claim" in found[urn("space/ns", NAMESPACE)]


def test_urns_are_those_that_the_engine_makes() -> None:
    inner = Node("data/part", "mlinfra:component:Part", kind=Kind.COMPONENT, component="data")
    below = Node("data/part/b", BUCKET, component="data/part", options=Options(aliases=("old/b",)))
    made = graph(node("data/bucket"), inner, below)
    chain = f"mlinfra:component:Raw$mlinfra:component:Part${BUCKET}"
    assert urns(made, below, "b", "dev") == [
        f"urn:pulumi:dev::b::{chain}::data/part/b",
        f"urn:pulumi:dev::b::{chain}::old/b",
    ]
    assert urns(made, made.nodes["data"], "b", "dev") == ["urn:pulumi:dev::b::mlinfra:component:Raw::data"]


# ------------------------------------------------------------------------------------ what would go


def test_what_the_blueprint_has_no_more_is_refused() -> None:
    found = guard(graph(node("q/queue", QUEUE)), there("data/bucket"), there("data/policy", POLICY))
    [told] = refusals(found, {})
    assert (told.code, told.component, told.resource) == ("data-loss", "data", "data/bucket")
    assert told.location == Location("stacks/dev.yaml", 1)
    assert "would delete data/bucket" in told.summary
    assert "every object" in told.detail
    assert 'moved_from="data"' in told.remedy
    assert told.remedy.endswith("stacks/dev.yaml: allow_loss: [data]")


def test_what_was_renamed_with_its_first_name_is_not_gone() -> None:
    moved = node("store/bucket", BUCKET, Options(aliases=("data/bucket",)))
    found = guard(graph(moved), there("data/bucket"))
    assert found.removed() == []
    [loss] = found.planned({urn("data/bucket"): replacing("store/bucket")[urn("store/bucket")]})
    assert loss.component == "store"


def test_another_type_under_the_same_name_is_another_resource() -> None:
    found = guard(graph(node("data/bucket", "aws:s3/bucketV2:BucketV2")), there("data/bucket"))
    assert [loss.node for loss in found.removed()] == ["data/bucket"]


def test_a_replacement_is_refused_with_what_forces_it() -> None:
    made = graph(node("data/bucket"), node("q/queue", QUEUE), node("more/bucket"))
    found = guard(made, there("data/bucket"), there("q/queue", QUEUE), there("more/bucket"), allow_loss=["old"])
    gone = (
        replacing("data/bucket", BUCKET, PropertyChange("bucket", "update", "a", "b"))
        | replacing("q/queue", QUEUE, PropertyChange("name", "update", "a", "b"))
        | replacing("more/bucket")
    )
    told, more = refusals(found, gone)
    assert told.location == Location("blueprints/b.py", 7)
    assert "would replace data/bucket" in told.summary
    assert "bucket, from 'a' to 'b'" in told.detail
    assert told.remedy.endswith("allow_loss: [old, data, more]"), "one line for all of them"
    assert "depends on" in more.detail


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[secret]", "[secret]", "from [secret] to [secret]"),
        (None, 5, "from nothing to 5"),
        ("a", "(known after apply)", "from 'a' to (known after apply)"),
        ("x" * 500, "y", "x" * 100),
    ],
)
def test_values_are_told_as_far_as_they_may_be(old: Any, new: Any, says: str) -> None:
    found = guard(graph(node("data/bucket")), there("data/bucket"))
    [told] = refusals(found, replacing("data/bucket", BUCKET, PropertyChange("bucket.name", "update", old, new)))
    assert says in told.detail
    assert len(told.detail) < 500


def test_what_is_given_up_is_not_refused_and_the_rest_is() -> None:
    resources = [there("data/bucket"), there("more/bucket")]
    found = guard(graph(node("q/queue", QUEUE)), *resources, allow_loss=["data"])
    [told] = refusals(found, {})
    assert told.component == "more"
    assert told.remedy.endswith("allow_loss: [data, more]")
    both = guard(graph(node("q/queue", QUEUE)), *resources, allow_loss=["data", "more"])
    both.refuse(both.removed())


@pytest.mark.parametrize("name", ["data", "store"])
def test_a_renamed_component_is_given_up_under_either_name(name: str) -> None:
    moved = node("store/bucket", BUCKET, Options(aliases=("data/bucket",)))
    found = guard(graph(moved), there("data/bucket", protect=True), allow_loss=[name])
    losses = found.planned({urn("data/bucket"): replacing("store/bucket")[urn("store/bucket")]})
    found.refuse(losses)
    assert found.needless(losses) == []
    assert found.to_lift() == [urn("data/bucket")]


def test_what_is_protected_by_name_has_to_be_taken_out_of_that_list_too() -> None:
    found = guard(graph(node("data/bucket")), there("data/bucket"), protect=["data"])
    [told] = refusals(found, replacing("data/bucket"))
    assert "take data out of its `protect`" in told.remedy


def test_what_is_given_up_for_nothing_is_warned_of() -> None:
    found = guard(graph(node("data/bucket")), there("data/bucket"), allow_loss=["data", "nobody"])
    needless, stale = found.needless([])
    assert ("loses nothing of it" in needless.summary, needless.component) == (True, "data")
    assert ("no such component" in stale.summary, stale.component) == (True, None)
    assert {item.severity for item in (needless, stale)} == {"warning"}
    assert needless.location == Location("stacks/dev.yaml", 4)


def test_only_what_is_given_up_is_lifted() -> None:
    resources = [there("data/bucket", protect=True), there("more/bucket", protect=True), there("old/bucket")]
    assert guard(graph(), *resources, allow_loss=["data", "old"]).to_lift() == [urn("data/bucket")]
