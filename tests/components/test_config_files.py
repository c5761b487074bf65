"""Files of configuration: what is read back is what was written, whichever emitter PyYAML has."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.components.config_files import as_json, as_yaml
from tests.monitoring.samples import golden

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(DATA)
def test_what_is_written_is_read_back(data: Any) -> None:
    assert yaml.safe_load(as_yaml(data)) == data
    assert json.loads(as_json(data)) == data


FILES = {
    f"{name}:{key}": inputs["data"][key]
    for key in ("prometheus.yml", "rules.yml")
    for name, inputs in golden(key).items()
}


@pytest.mark.parametrize("text", FILES.values(), ids=list(FILES))
def test_the_same_bytes_without_libyaml(text: str) -> None:
    """A machine on which PyYAML was built without it makes the same graph."""
    assert yaml.safe_dump(yaml.safe_load(text), sort_keys=False, width=1000, allow_unicode=True) == text
