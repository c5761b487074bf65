"""Values of secrets: asked for when they are needed, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlinfra.authoring import Blueprint, Component, Params, blueprint, recording
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.secret_sources import FromEnvironment, FromPrompt, Generated
from mlinfra.diagnostics import MlinfraError
from mlinfra.environment import Environment, Owner
from mlinfra.expansion import expand
from mlinfra.functions import UNKNOWN
from mlinfra.graph import Graph, Secret
from mlinfra.tiers import Tier
from mlinfra.workflow.secret_values import MOST_BYTES, supplied

WHERE = Environment("test", Tier.DEV, Owner("t", "c"), account="local", region="us-east-1", cluster="local")


def graph_of(*secrets: Callable[[], Component]) -> Graph:
    @blueprint("vault", version="1.0.0")
    def vault(env: Environment, p: Params) -> Blueprint:
        return Blueprint(*(make() for make in secrets))

    with recording():
        graph, problems = expand(vault, vault(WHERE, Params()), WHERE)
    assert not problems.found
    return graph


def made(**more: Any) -> Callable[[], Component]:
    return lambda: ManagedSecret("made", **more)


def token() -> Component:
    return ManagedSecret("token", value_from=FromEnvironment("TOKEN"))


def typed(**more: Any) -> Callable[[], Component]:
    return lambda: ManagedSecret("typed", value_from=FromPrompt(question="What?"), **more)


def inputs(graph: Graph, name: str) -> Any:
    return graph.nodes[f"{name}/value"].inputs["input"]


def state(graph: Graph) -> list[dict[str, Any]]:
    """What the state has after a run with this graph: values are sealed, recipes are not."""
    return [
        {
            "urn": f"urn:pulumi:test::vault::mlinfra:component:ManagedSecret$pulumi:index:Stash::{node.name}",
            "type": node.type,
            "inputs": {"input": {"recipe": node.inputs["input"]["recipe"], "value": {"ciphertext": "…"}}},
        }
        for node in graph
        if node.type == "pulumi:index:Stash"
    ]


def refused(*arguments: Any, **named: Any) -> list[str]:
    with pytest.raises(MlinfraError) as caught:
        supplied(*arguments, **named)
    return [item.summary for item in caught.value.diagnostics]


def test_the_graph_has_no_value_and_is_the_same_every_time() -> None:
    first, second = graph_of(made(), token, typed()), graph_of(made(), token, typed())
    assert first.dumps(sources=False) == second.dumps(sources=False)
    assert inputs(first, "made") == {
        "recipe": {"source": "generator", "length": 32, "alphabet": "letters-and-digits", "generation": 1}
    }
    assert inputs(first, "token")["variable"] == "TOKEN"


def test_a_first_update_gets_every_value() -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return "typed in"

    graph, told = supplied(graph_of(made(), token, typed()), [], "up", ask=ask, variables={"TOKEN": "from outside"})
    assert (told, asked) == ([], ["What?"])
    assert inputs(graph, "token") == {
        "recipe": {"source": "environment", "generation": 1},
        "value": Secret("from outside"),
    }
    assert inputs(graph, "typed")["value"] == Secret("typed in")
    assert len(inputs(graph, "made")["value"].value) == 32
    again, _ = supplied(graph_of(made()), [], "up", variables={})
    assert inputs(again, "made")["value"] != inputs(graph, "made")["value"]


@pytest.mark.parametrize("verb", ["up", "preview", "refresh", "destroy"])
def test_what_the_state_has_is_left_alone(verb: str) -> None:
    bare = graph_of(made(), token, typed())
    graph, told = supplied(bare, state(bare), verb, variables={})
    assert told == []
    for name in ("made", "token", "typed"):
        node = graph.nodes[f"{name}/value"]
        assert node.options.ignore_changes == ("input",)
        assert node.options.replace_on_changes == ("input",)
        assert node.inputs["input"]["value"] == Secret("")


def test_a_variable_that_is_set_is_compared_with_what_the_state_has() -> None:
    bare = graph_of(token)
    graph, _ = supplied(bare, state(bare), "up", variables={"TOKEN": "another"})
    assert graph.nodes["token/value"].options.ignore_changes == ()
    assert inputs(graph, "token")["value"] == Secret("another")
    kept, _ = supplied(bare, state(bare), "destroy", variables={"TOKEN": "another"})
    assert kept.nodes["token/value"].options.ignore_changes == ("input",)


def test_another_recipe_is_another_value() -> None:
    before = state(graph_of(made(), typed()))
    changed = graph_of(made(value_from=Generated(length=64)), typed(generation=2))
    assert refused(changed, before, "up", variables={}) == [
        "the value of typed is to be typed at a terminal, and none was"
    ]
    graph, _ = supplied(changed, before, "up", ask=lambda _: "new", variables={})
    assert len(inputs(graph, "made")["value"].value) == 64
    assert inputs(graph, "typed")["value"] == Secret("new")


def test_a_secret_that_was_renamed_keeps_its_value() -> None:
    before = state(graph_of(made()))
    graph, _ = supplied(graph_of(lambda: ManagedSecret("renamed", moved_from="made")), before, "up", variables={})
    assert graph.nodes["renamed/value"].options.ignore_changes == ("input",)


def test_all_that_is_missing_is_told_together_and_nobody_types_in_vain() -> None:
    other = ManagedSecret
    graph = graph_of(token, lambda: other("other", value_from=FromEnvironment("OTHER")), typed())

    def ask(question: str) -> str:
        raise AssertionError("somebody was asked although the run cannot go on")

    assert refused(graph, [], "up", ask=ask, variables={"TOKEN": ""}) == [
        "the value of other comes from the environment variable OTHER, which is not set",
        "the value of token comes from the environment variable TOKEN, which is not set",
    ]
    assert refused(graph_of(typed()), [], "up", ask=lambda _: "", variables={}) == [
        "the value of typed is to be typed at a terminal, and none was"
    ]


def test_a_plan_goes_on_without_and_says_so() -> None:
    graph, told = supplied(graph_of(made(), token, typed()), [], "preview", variables={})
    assert [(item.component, str(item.severity), item.code) for item in told] == [
        ("token", "warning", "secret-missing"),
        ("typed", "warning", "secret-missing"),
    ]
    assert all(item.location is not None for item in told)
    assert inputs(graph, "token")["value"] is UNKNOWN
    assert isinstance(inputs(graph, "made")["value"], Secret)


def test_a_rehearsal_makes_values_up() -> None:
    graph, told = supplied(graph_of(token, typed()), [], "up", stand_ins=True, variables={})
    assert told == []
    assert len(inputs(graph, "token")["value"].value) == len(inputs(graph, "typed")["value"].value) == 32


def test_a_value_that_no_store_takes() -> None:
    (told,) = refused(graph_of(token), [], "up", variables={"TOKEN": "x" * (MOST_BYTES + 1)})
    assert "more than 65,536 bytes" in told


def test_what_waits_for_its_deletion_is_not_what_is_kept() -> None:
    bare = graph_of(typed())
    going = [{**item, "delete": True} for item in state(bare)]
    assert refused(bare, going, "up", variables={})


def test_a_graph_without_secrets_is_handed_on() -> None:
    graph = graph_of(lambda: __import__("mlinfra").Bucket("data"))
    assert supplied(graph, [], "up", variables={})[0].nodes == graph.nodes
