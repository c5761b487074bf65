from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from mlinfra.documented import Documented, descriptions


class Part(Documented):
    """A part."""

    size: int
    """How much it holds,
    in GiB.
    """


class Whole(Part):
    """A whole."""

    first: Part
    """Its first part."""

    given: int = Field(default=1, description="given to the field")
    """Not this."""

    bare: int = 0
    size: int = 2
    """Another size."""

    class Inner:
        """Not a field."""


def test_docstrings_are_the_descriptions_those_of_bases_too() -> None:
    assert descriptions(Part) == {"size": "How much it holds,\nin GiB."}
    assert descriptions(Whole) == {
        "size": "Another size.",
        "first": "Its first part.",
        "given": "given to the field",
    }


def test_the_schema_has_them_at_every_depth() -> None:
    schema = Whole.model_json_schema()
    assert schema["properties"]["first"]["description"] == "Its first part."
    assert schema["properties"]["given"]["description"] == "given to the field"
    assert "description" not in schema["properties"]["bare"]
    assert schema["$defs"]["Part"]["properties"]["size"]["description"] == "How much it holds,\nin GiB."


def test_a_class_without_a_source_has_none() -> None:
    made: dict[str, type[Documented]] = {}
    exec("class Made(Documented):\n    x: int = 0\n    'never read'\n", {"Documented": Documented}, made)
    assert descriptions(made["Made"]) == {}
    assert made["Made"].model_validate({"x": 1}).model_dump() == {"x": 1}


@pytest.mark.parametrize("wrong", [{"size": "1"}, {"size": 1, "more": 2}, {"size": float("nan")}, {}])
def test_nothing_unknown_nothing_guessed(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Part(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Part(size=1).size = 2


def test_making_a_class_reads_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspect.getsource", lambda _: pytest.fail("read"))
    monkeypatch.setattr("inspect.getsourcelines", lambda _: pytest.fail("read"))

    class Late(Documented):
        x: int = 0
        """Text."""

    assert Late(x=1).x == 1
