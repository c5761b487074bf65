"""YAML with places, on random documents: the data is what the plain loader reads, and every value has its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import Location, MlinfraError
from mlinfra.positions import read_yaml

KEYS = st.text(st.characters(categories=["L", "N"], include_characters="-_ $:#'\""), min_size=1, max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["C"]))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("positions") / "document.yaml"


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value within `value`, in the order of a block document."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(found for key, item in items for found in paths(item, (*path, key)))]


@given(document=DOCUMENTS, flow=st.booleans())
def test_every_value_has_a_place(document: dict[str, Any], flow: bool, file: Path) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    file.write_text(text, encoding="utf-8")
    data, positions = read_yaml(file, "document.yaml")
    assert data == yaml.safe_load(text)
    assert set(positions.lines) == set(paths(document))
    lines = [positions.lines[path] for path in paths(document)[1:]]
    assert lines == sorted(lines)
    assert all(1 <= line <= text.count("\n") for line in lines)


@given(names=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=1, max_size=20, unique=True))
def test_a_key_of_a_block_is_on_its_own_line(names: list[str], file: Path) -> None:
    file.write_text("".join(f"{name!r}:\n  inner: [1, 2]\n" for name in names))
    _, positions = read_yaml(file, "f")
    for index, name in enumerate(names):
        assert positions.place((name,)) == Location("f", 2 * index + 1)
        assert positions.place((name, "inner", 1)) == Location("f", 2 * index + 2)


def test_the_nearest_value_above_stands_in_for_what_is_not_there(file: Path) -> None:
    file.write_text("# a comment\na:\n  b:\n    - 1\n")
    _, positions = read_yaml(file, "f")
    assert positions.place(("a", "b", 7, "x")) == Location("f", 3)
    assert positions.place(("a", "c")) == Location("f", 2)
    assert positions.place(("z",)) == Location("f", 2)


@given(content=st.binary(max_size=200))
def test_whatever_is_in_a_file_is_read_or_refused_with_a_place(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    try:
        _, positions = read_yaml(file, "f")
    except MlinfraError as error:
        (told,) = error.diagnostics
        assert told.location is not None
        assert told.location.file == "f"
        assert told.location.line is not None
        assert 1 <= told.location.line <= content.count(b"\n") + content.count(b"\r") + 2
    else:
        assert positions.file == "f"


@given(content=st.text(st.sampled_from("{}[]:,-&*!?|>#%@'\" \n\tab01.~e"), max_size=60))
def test_no_text_of_yaml_signs_escapes_as_another_error(content: str, file: Path) -> None:
    file.write_text(content)
    codes = {"stack-yaml"}
    try:
        read_yaml(file, "f")
    except MlinfraError as error:
        codes |= {item.code for item in error.diagnostics}
    assert codes == {"stack-yaml"}
