"""What blueprints are written with: components are noted where they are made, and are one only with themselves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.authoring import Blueprint, Component, Many, Params, blueprint, recording
from mlinfra.environment import Environment
from mlinfra.expansion import Scope
from mlinfra.graph import Ref


class Part(Component):
    """A part."""

    size: int = 1

    def expand(self, scope: Scope) -> None:
        """Nothing."""


class Holder(Component):
    """Something that refers to parts."""

    one: Part | None = None
    many: Many[Part] = ()
    by_name: dict[str, Part] = {}

    def expand(self, scope: Scope) -> None:
        """Nothing."""


def line_of(function: Any, offset: int) -> int:
    return int(function.__code__.co_firstlineno) + offset


def test_a_component_knows_where_it_was_made() -> None:
    with recording() as notes:
        part = Part("one")
        parts = [Part(name) for name in ("two", "three")]
    first = line_of(test_a_component_knows_where_it_was_made, 2)
    assert [str(item.source) for item in (part, *parts)] == [
        f"{__file__}:{line}" for line in (first, first + 1, first + 1)
    ]
    assert notes.components == [part, *parts]


def test_a_component_that_is_not_valid_is_noted_and_the_next_one_made() -> None:
    with recording() as notes:
        wrong = Part("one", size="large", sise=3)
        Holder("two", one=wrong, many=[wrong])
    assert [(item.component, item.code) for item in notes.problems] == [
        ("one", "invalid-value"),
        ("one", "unknown-field"),
    ]
    assert notes.problems[1].remedy == "Did you mean 'size'?"
    assert [item.name for item in notes.components] == ["one", "two"]


def test_outside_of_a_blueprint_it_is_an_error_as_usual() -> None:
    with pytest.raises(ValidationError):
        Part("Not A Name")


@pytest.mark.parametrize("name", ["a", "a1", "data-lake", "a" * 30, "a--b"])
def test_names(name: str) -> None:
    assert Part(name).name == name


@pytest.mark.parametrize("name", ["", "A", "1a", "-a", "a-", "a_b", "a.b", "a" * 31, "ä", "a/b", "@a", "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        Part(name)


def test_components_are_one_only_with_themselves() -> None:
    one, other = Part("a"), Part("a")
    assert one != other
    assert len({one, other, one}) == 2
    assert repr(one) == "Part('a')"


def test_a_field_takes_the_component_itself() -> None:
    part = Part("a")
    assert Holder("h", one=part).one is part
    assert Holder("h", many=[part, part]).many == (part, part)
    for wrong in ({"one": "a"}, {"one": {"name": "a"}}, {"one": Holder("x")}, {"many": part}, {"by_name": {"a": "a"}}):
        with pytest.raises(ValidationError):
            Holder("h", **wrong)


def test_a_components_schema_can_be_written() -> None:
    schema = Holder.model_json_schema()
    assert set(schema["properties"]) == {"name", "moved_from", "waive", "one", "many", "by_name"}
    assert "A part." in str(schema["properties"]["one"])


def test_components_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Part("a").size = 2


def test_a_blueprint_reaches_what_its_components_refer_to_in_order() -> None:
    one, two, three, stranger = Part("one"), Part("two"), Part("three"), Part("stranger")
    inner = Holder("inner", one=one, by_name={"x": three})
    outer = Holder("outer", many=[two, one])
    found = Blueprint(outer, inner).reached()
    assert [item.name for item in found] == ["two", "one", "outer", "three", "inner"]
    assert stranger not in found


def test_names_of_nodes_and_outputs() -> None:
    part = Part("new", moved_from="old")
    assert (part.identity, part.node("bucket")) == ("old", "new/bucket")
    assert part.output("bucket") == Ref("new/bucket", ("id",))
    assert part.output("bucket", "tags", 0) == Ref("new/bucket", ("tags", 0))


@pytest.mark.parametrize("value", [Part("a"), object(), (1, 2), {"x": {Part("b")}}])
def test_an_output_is_a_value(value: Any) -> None:
    with pytest.raises(TypeError, match="output 'o'"):
        Blueprint(Part("p"), outputs={"o": value})


def test_names_of_outputs_that_are_ours() -> None:
    with pytest.raises(TypeError, match="output 'mlinfra:x': the prefix `mlinfra:` is reserved"):
        Blueprint(Part("p"), outputs={"mlinfra:x": 1})


class P(Params):
    """Parameters."""

    share: float = 1


def test_a_function_becomes_a_blueprint() -> None:
    @blueprint("one", version="1.2.3")
    def one(env: Environment, p: P) -> Blueprint:
        """What it is.

        More of it.
        """
        return Blueprint(Part("a"))

    assert (one.name, one.version, one.params, one.summary) == ("one", "1.2.3", P, "What it is.")
    assert one.source.file == __file__


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValidationError):
        P(share=value)
