"""Values of a job's config for one run: read by the kind of what they replace, under keys that are there."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import MlinfraError
from mlinfra.workflow.run_job_settings import differences, merged, parse, read

CONFIG: dict[str, Any] = {
    "lr": 0.1,
    "epochs": 10,
    "name": "base",
    "amp": True,
    "layers": [64, 32],
    "seed": None,
    "model": {"depth": 2, "kind": "mlp", "head": {"width": 8}},
    "a.b": 1,
}


@pytest.mark.parametrize(
    ("text", "base", "value"),
    [
        ("0.5", 0.1, 0.5),
        ("1e-3", 0.1, 0.001),
        (".5", 1, 0.5),
        ("-2", 1, -2),
        ("010", 1, 10),
        ("0x10", 1, 16),
        ("1", 1.0, 1.0),
        ("[1, 2.5]", [], [1, 2.5]),
        ("[1e-3, 0.1]", [1], [0.001, 0.1]),
        ("[a, 'b c', true]", [], ["a", "b c", True]),
        ("{a: 1, b: [x]}", {}, {"a": 1, "b": ["x"]}),
        ("true", False, True),
        ("False", True, False),
        ("null", 3, None),
        ("~", [1], None),
        ("anything", None, "anything"),
        ("7", None, 7),
        ("12:30", "x", "12:30"),
        ("0.1", "x", "0.1"),
        ("null", "x", "null"),
        ("'quoted text'", "x", "quoted text"),
        ('"', "x", '"'),
        ("", "x", ""),
        ("a=b, c: d # e", "x", "a=b, c: d # e"),
    ],
)
def test_a_value_is_read_as_what_it_replaces(text: str, base: Any, value: Any) -> None:
    found = read(text, base)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "base", "says"),
    [
        ("abc", 0.1, "'abc' is a text, and a number is wanted, such as 0.1"),
        ("no", True, "'no' is a text, and true or false is wanted"),
        ("1", True, "'1' is a number, and true or false"),
        ("true", 1, "'true' is true or false, and a number"),
        ("2020-01-01", 1, "is a text"),
        ("1_000", 1, "is a text"),
        (".inf", 1.0, "is a text"),
        ("1", [1], "'1' is a number, and a list is wanted, such as [1]"),
        ("1", {"a": 1}, "a group of values is wanted"),
        ("", 1, "it is given nothing"),
        ("[1, 2", [], "cannot be read"),
        ("&a [*a]", [], "cannot be read"),
        ("{1: 2}", {}, "keys are texts"),
        ("NaN", 1.0, "numbers are finite"),
        ('["\\ud800"]', [], "texts are whole"),
        ("!!python/object:os.system x", 1, "cannot be read"),
    ],
)
def test_a_value_of_another_kind_is_refused(text: str, base: Any, says: str) -> None:
    with pytest.raises(ValueError) as error:
        read(text, base)
    assert says in str(error.value)


def test_what_is_set_is_in_the_config_and_nothing_else_is_touched() -> None:
    texts = ["lr=0.01", "model.depth=4", "model.head.width=16", "a.b=2", "layers=[1]", "name=x=y"]
    found = merged("fit", CONFIG, parse(texts))
    assert found == {
        **CONFIG,
        "lr": 0.01,
        "layers": [1],
        "name": "x=y",
        "a.b": 2,
        "model": {"depth": 4, "kind": "mlp", "head": {"width": 16}},
    }
    assert CONFIG["model"]["head"]["width"] == 8, "the job's own config stays as it is"
    assert differences(CONFIG, found) == {
        "lr": 0.01,
        "name": "x=y",
        "layers": [1],
        "model.depth": 4,
        "model.head.width": 16,
        "a.b": 2,
    }


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["learning_rate=1"], ["no learning_rate", "lr, epochs, name"]),
        (["epoch=1"], ["no epoch", "Did you mean epochs?"]),
        (["model.dept=1"], ["no model.dept", "model.depth, model.kind, model.head", "Did you mean model.depth?"]),
        (["model.head.size=1"], ["no model.head.size", "model.head.width"]),
        (["lr.x=1"], ["lr of job fit is a number, which has no keys", "--set lr=…"]),
        (["layers.0=1"], ["layers of job fit is a list"]),
        (["lr"], ["'lr' is not of the form key=value"]),
        (["=1"], ["not of the form"]),
        (["lr=1", "lr=2"], ["--set lr is given twice"]),
        (["lr=fast", "epochs=many"], ["--set lr: 'fast' is a text", "--set epochs: 'many' is a text"]),
        (["model=3"], ["a group of values is wanted", "set its keys one by one"]),
    ],
)
def test_every_setting_that_does_not_fit_is_told(texts: list[str], says: list[str]) -> None:
    with pytest.raises(MlinfraError) as error:
        merged("fit", CONFIG, parse(texts))
    told = "\n".join(f"{item.summary}\n{item.detail}\n{item.remedy}" for item in error.value.diagnostics)
    assert all(words in told for words in says), told
    assert {item.code for item in error.value.diagnostics} == {"run-setting"}


def test_a_job_without_config_takes_no_settings() -> None:
    assert merged("fit", None, {}) is None
    with pytest.raises(MlinfraError) as error:
        merged("fit", None, parse(["lr=1"]))
    assert error.value.diagnostics[0].code == "run-no-config"
    assert "TrainingJob('fit'" in error.value.diagnostics[0].remedy


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@given(VALUES)
def test_json_is_read_as_what_it_says(value: Any) -> None:
    """What a program writes as JSON comes back: YAML's core schema holds JSON."""
    base = "" if isinstance(value, str) else None if value is None else type(value)()
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] in ("'", '"'):
        text = f"'{value}'"
    assert read(text, base) == value


@given(st.text(max_size=20), st.sampled_from([1, 0.5, True, "x", [1], {"a": 1}, None]))
def test_any_text_is_read_or_refused_in_words(text: str, base: Any) -> None:
    try:
        value = read(text, base)
    except ValueError:
        return
    json.dumps(value, allow_nan=False)
    assert base is None or value is None or isinstance(value, bool) == isinstance(base, bool)
    assert not (isinstance(value, float) and math.isnan(value))


@given(st.dictionaries(st.sampled_from("abc"), SCALARS), st.dictionaries(st.sampled_from("abc"), SCALARS))
def test_differences_are_none_only_between_equals(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert differences(one, one) == {}
    changed = differences(one, other)
    for key in set(one) | set(other):
        if one.get(key) != other.get(key):
            assert changed[key] == other.get(key)
