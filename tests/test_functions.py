"""Values of a graph become plain ones: what is unknown stays unknown, what is secret stays secret."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import (
    FUNCTIONS,
    UNKNOWN,
    MissingOutputError,
    Unknown,
    UnusableValueError,
    holds,
    resolve,
    reveal,
)
from mlinfra.graph import Call, Document, Join, Ref, Secret, join

OUTPUTS: dict[str, Any] = {
    "a": {"id": "a-1", "list": [{"x": 1}, {"x": 2.0}], "flag": True, "nothing": None, "text": "abc"},
    "secret": {"id": "s-1", "password": Secret("hunter2"), "object": Secret({"key": "k", "inner": {"deep": UNKNOWN}})},
    "unknown": {"id": UNKNOWN, "part": {"later": UNKNOWN, "now": 1}},
    "lookup": UNKNOWN,
}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Ref("a"), "a-1"),
        (Ref("a", ("list", 1, "x")), 2.0),
        (Ref("a", ("nothing",)), None),
        ({"deep": [Ref("a"), 1]}, {"deep": ["a-1", 1]}),
        (join("x-", Ref("a"), "-", 3, "-", Ref("a", ("flag",)), "-", Ref("a", ("list", 1, "x"))), "x-a-1-3-true-2"),
        (Document({"b": Ref("a"), "a": [1]}), '{"a": [1], "b": "a-1"}'),
        (Call("base64_encode", (Ref("a"),)), "YS0x"),
        (Call("first", ([1, 2, 3], 2)), [1, 2]),
        (Ref("secret", ("password",)), Secret("hunter2")),
        (Ref("secret", ("object", "key")), Secret("k")),
        (Ref("secret", ("object", "inner", "deep")), Secret(UNKNOWN)),
        (join("p=", Ref("secret", ("password",))), Secret("p=hunter2")),
        (Document({"p": Ref("secret", ("password",))}), Secret('{"p": "hunter2"}')),
        (Secret(Ref("a")), Secret("a-1")),
        (Secret(Ref("secret", ("password",))), Secret("hunter2")),
        (Ref("unknown"), UNKNOWN),
        (Ref("unknown", ("part", "now")), 1),
        (Ref("unknown", ("part", "later", "further", 0)), UNKNOWN),
        (Ref("lookup", ("any", "thing")), UNKNOWN),
        (join("x", Ref("unknown")), UNKNOWN),
        (Document({"x": [Ref("unknown")]}), UNKNOWN),
        (Call("first", ([Ref("unknown")], 1)), UNKNOWN),
        (join(Ref("secret", ("password",)), Ref("unknown")), Secret(UNKNOWN)),
        ({"known": 1, "later": Ref("unknown")}, {"known": 1, "later": UNKNOWN}),
    ],
)
def test_resolve(value: Any, expected: Any) -> None:
    assert resolve(value, OUTPUTS) == expected


@given(value=PLAIN)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    assert resolve(value, {}) == value
    assert reveal(value) == value
    assert not holds(value, Secret)
    assert not holds(value, Unknown)


LEAVES = {
    "plain": st.text() | st.integers() | st.booleans(),
    "secret": st.just(Ref("secret", ("password",))) | st.just(Secret("x")),
    "unknown": st.sampled_from([Ref("unknown"), Ref("lookup", ("x",)), Ref("unknown", ("part", "later"))]),
}


def made_of(leaves: Any) -> Any:
    """Texts made of leaves, one within the other."""
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(Join, st.lists(inner, min_size=1, max_size=3).map(tuple))
            | st.builds(Document, st.lists(inner, min_size=1, max_size=3))
            | st.builds(lambda item: Call("base64_encode", (join(item),)), inner)
        ),
        max_leaves=6,
    ).filter(lambda value: isinstance(value, Join | Document | Call))


def _within(value: Any, wanted: set[str]) -> bool:
    nodes = json.dumps(value, default=lambda item: vars_of(item))
    return any(f'"{name}"' in nodes for name in wanted)


def vars_of(item: Any) -> Any:
    return [type(item).__name__, *(getattr(item, slot) for slot in item.__slots__)]


@given(value=made_of(st.one_of(*LEAVES.values())))
def test_secret_and_unknown_travel_along(value: Any) -> None:
    resolved = resolve(value, OUTPUTS)
    secret = _within(value, {"Secret", "secret"})
    unknown = _within(value, {"unknown", "lookup"})
    assert isinstance(resolved, Secret) == secret
    inner = resolved.value if isinstance(resolved, Secret) else resolved
    assert (inner is UNKNOWN) == unknown
    assert not isinstance(inner, Secret)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        (Ref("a", ("nope",)), "a has no output nope"),
        (Ref("a", ("list", 2)), "a has no output list.2"),
        (Ref("a", ("list", "x")), "a has no output list.x"),
        (Ref("a", ("text", 0)), "a has no output text.0"),
        (Ref("a", ("nothing", "x")), "a has no output nothing.x"),
        (Ref("secret", ("object", "nope", "y")), "secret has no output object.nope"),
    ],
)
def test_an_output_that_is_not_there_is_named(reference: Ref, told: str) -> None:
    with pytest.raises(MissingOutputError, match=told) as caught:
        resolve({"x": [join("a", reference)]}, OUTPUTS)
    assert caught.value.node == reference.node


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (join("x", Ref("a", ("nothing",))), "nothing stands where a part of a text is wanted"),
        (join("x", Ref("a", ("list",))), "a list stands where a part of a text is wanted"),
        (join("x", Ref("secret", ("object",))), "an object stands where a part of a text is wanted"),
        (Call("base64_decode", ("no base64!",)), "base64_decode cannot take what it is given"),
        (Call("base64_encode", (Ref("a", ("list",)),)), "base64_encode cannot take what it is given"),
        (Call("first", (Ref("a", ("nothing",)), 1)), "first cannot take what it is given"),
    ],
)
def test_a_value_that_cannot_be_made_is_an_error_that_tells_no_value(value: Any, told: str) -> None:
    outputs = {**OUTPUTS, "secret": {**OUTPUTS["secret"], "object": Secret({"key": "hunter2"})}}
    with pytest.raises(UnusableValueError, match=told) as caught:
        resolve(value, outputs)
    assert "hunter2" not in str(caught.value)
    assert "no base64" not in str(caught.value)


def test_unknown_is_neither_true_nor_false() -> None:
    assert repr(UNKNOWN) == "(known after apply)"
    with pytest.raises(TypeError, match="not known before the update"):
        bool(UNKNOWN)


def test_reveal_lays_open_what_is_nested() -> None:
    assert reveal({"a": Secret([Secret("x"), {"b": Secret(1)}])}) == {"a": ["x", {"b": 1}]}


@given(text=st.text())
def test_base64_goes_there_and_back(text: str) -> None:
    assert base64.b64decode(FUNCTIONS["base64_encode"](text)).decode() == text
    assert FUNCTIONS["base64_decode"](FUNCTIONS["base64_encode"](text)) == text


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://oidc.eks.eu-west-1.amazonaws.com/id/AB", "oidc.eks.eu-west-1.amazonaws.com/id/AB"), ("a/b", "a/b")],
)
def test_without_scheme(url: str, expected: str) -> None:
    assert FUNCTIONS["without_scheme"](url) == expected


def test_the_kubeconfig_of_an_eks_cluster() -> None:
    config = json.loads(FUNCTIONS["eks_kubeconfig"]("ml", "https://x", "Q0E=", "eu-west-1"))
    assert config["current-context"] == config["contexts"][0]["name"] == "ml"
    assert config["clusters"][0]["cluster"] == {"server": "https://x", "certificate-authority-data": "Q0E="}
    login = config["users"][0]["user"]["exec"]
    assert login["args"] == ["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "ml", "--output", "json"]


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        ("arn:aws:rds:eu-west-1:111122223333:db:data", "arn:aws:rds-db:eu-west-1:111122223333:dbuser:db-ABC/reader"),
        ("arn:aws-cn:rds:cn-north-1:1:db:x", "arn:aws-cn:rds-db:cn-north-1:1:dbuser:db-ABC/reader"),
    ],
)
def test_the_arn_of_a_database_user(arn: str, expected: str) -> None:
    assert resolve(Call("rds_user_arn", (arn, "db-ABC", "reader")), {}) == expected
