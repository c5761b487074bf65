"""Values go to the engine and come back the same; differences and paths are told in its notation."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN
from mlinfra.graph import Secret
from mlinfra.wire.values import (
    OUTPUT,
    SECRET,
    SIGNATURE,
    UNKNOWN_TEXT,
    UnsupportedValueError,
    decode,
    differences,
    encode,
    parse_property_path,
    property_path,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(UNKNOWN)
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
# A secret within a secret says nothing more, and comes back as one.
VALUES = st.recursive(
    PLAIN | PLAIN.map(Secret),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


@given(value=OBJECTS)
def test_what_is_sent_comes_back(value: dict[str, Any]) -> None:
    assert decode(Struct.FromString(encode(value).SerializeToString())) == value


def test_numbers_without_a_fraction_come_back_as_integers() -> None:
    found = decode(encode({"int": 3, "float": 3.0, "half": 0.5, "large": 1e300}))
    assert found == {"int": 3, "float": 3, "half": 0.5, "large": 1e300}
    assert [type(found[key]) for key in ("int", "float", "half", "large")] == [int, int, float, float]


def test_a_secret_within_a_secret_is_one() -> None:
    assert decode(encode({"a": Secret(Secret("x"))})) == {"a": Secret("x")}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({SIGNATURE: OUTPUT, "value": "x"}, "x"),
        ({SIGNATURE: OUTPUT, "value": "x", "secret": True}, Secret("x")),
        ({SIGNATURE: OUTPUT, "secret": False}, UNKNOWN),
        ({SIGNATURE: OUTPUT, "secret": True, "dependencies": ["urn:x"]}, Secret(UNKNOWN)),
        ({SIGNATURE: SECRET, "value": UNKNOWN_TEXT}, Secret(UNKNOWN)),
        ({SIGNATURE: SECRET, "value": {SIGNATURE: OUTPUT, "value": "x", "secret": True}}, Secret("x")),
    ],
)
def test_outputs_as_the_engine_sends_them(form: dict[str, Any], expected: Any) -> None:
    struct = Struct()
    struct.update({"a": form})
    assert decode(struct) == {"a": expected}


@pytest.mark.parametrize("mark", ["c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"])
def test_assets_and_archives_are_refused(mark: str) -> None:
    struct = Struct()
    struct.update({"a": {SIGNATURE: mark, "text": "x"}})
    with pytest.raises(UnsupportedValueError):
        decode(struct)


@pytest.mark.parametrize("value", [object(), {1}, b"x", 2**53 + 1, -(2**60) - 1, 10**400, -(10**400)])
def test_what_would_not_arrive_as_it_is_is_refused(value: Any) -> None:
    with pytest.raises(UnsupportedValueError):
        encode({"a": [value]})


@pytest.mark.parametrize("value", [2**53, 2**60, -(2**70)])
def test_large_integers_that_a_double_holds_are_sent(value: int) -> None:
    (found,) = decode(encode({"a": value})).values()
    assert found == value


# ------------------------------------------------------------------------------------------------ differences


def _kinded(value: Any) -> Any:
    """The value with booleans told from numbers, which Python takes for equal."""
    if isinstance(value, dict):
        return {key: _kinded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_kinded(item) for item in value]
    return ("bool", value) if isinstance(value, bool) else value


@given(value=OBJECTS)
def test_a_value_does_not_differ_from_itself(value: dict[str, Any]) -> None:
    assert list(differences(value, value)) == []


@given(old=OBJECTS, new=OBJECTS)
def test_differences_turn_round(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert list(differences(new, old)) == [(path, after, before) for path, before, after in differences(old, new)]


@given(old=PLAIN, new=PLAIN)
def test_what_does_not_differ_is_equal(old: Any, new: Any) -> None:
    same = not list(differences(old, new))
    assert same == (_kinded(_trimmed(old)) == _kinded(_trimmed(new)))


def _trimmed(value: Any) -> Any:
    """Without None in objects and at the ends of lists."""
    if isinstance(value, dict):
        return {key: _trimmed(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        items = [_trimmed(item) for item in value]
        while items and items[-1] is None:
            items.pop()
        return items
    return value


@given(old=OBJECTS, new=OBJECTS)
def test_each_difference_is_at_its_path(old: dict[str, Any], new: dict[str, Any]) -> None:
    for path, before, after in differences(old, new):
        assert (_at(old, path), _at(new, path)) == (before, after)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


# ------------------------------------------------------------------------------------------------ paths


def engine_parse(path: str) -> tuple[str | int, ...]:
    """The engine's own reading of a path, by the grammar in its properties_path.go: quotes alone are escaped."""
    elements: list[str | int] = []
    position = 0
    while position < len(path):
        if path[position] == ".":
            position += 1
        elif path.startswith('["', position):
            position, key = position + 2, ""
            while path[position] != '"':
                position += path.startswith('\\"', position)
                key += path[position]
                position += 1
            assert path[position + 1] == "]"
            elements.append(key)
            position += 2
        elif path[position] == "[":
            end = path.index("]", position)
            elements.append(int(path[position + 1 : end]))
            position = end + 1
        else:
            end = min((index for sign in ".[" if (index := path.find(sign, position)) >= 0), default=len(path))
            elements.append(path[position:end])
            position = end
    return tuple(elements)


# The engine's notation cannot write a key that ends with a backslash: its escape would take the closing quote.
KEYS = st.text(min_size=1).filter(lambda key: not key.endswith("\\")) | st.sampled_from(
    ["a.b", 'quo"te', "brack[et]", "back\\slash", '\\"', "0", "ключ", "kubernetes.io/name", ""]
)


@given(path=st.lists(KEYS | st.integers(0, 999), min_size=1, max_size=5).map(tuple))
def test_the_engine_and_we_read_a_path_back(path: tuple[str | int, ...]) -> None:
    assert engine_parse(property_path(path)) == path
    assert parse_property_path(property_path(path)) == path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "ports", 0, "a.b"), 'spec.ports[0]["a.b"]'),
        ((0,), "[0]"),
        (("a-b", "c"), '["a-b"].c'),
        (('say "so"',), '["say \\"so\\""]'),
    ],
)
def test_paths(path: tuple[str | int, ...], text: str) -> None:
    assert property_path(path) == text


@pytest.mark.parametrize(
    ("text", "path"), [("a.0b", ("a", "0b")), ("a.[0]", ("a", 0)), ('a["b"].c', ("a", "b", "c")), ("", ())]
)
def test_paths_as_providers_write_them(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_property_path(text) == path


def test_infinity_is_a_double() -> None:
    assert decode(encode({"a": math.inf})) == {"a": math.inf}
