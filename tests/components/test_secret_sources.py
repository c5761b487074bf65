from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.components.secret_sources import ALPHABETS, FromEnvironment, FromPrompt, Generated, generate


def test_sources() -> None:
    assert FromEnvironment("TOKEN") == FromEnvironment(variable="TOKEN")
    for wrong in ({"variable": "A B"}, {}, {"variable": "A", "value": "x"}):
        with pytest.raises(ValueError):
            FromEnvironment(**wrong)
    with pytest.raises(ValueError):
        Generated(length=8)
    assert FromEnvironment("A").recipe() == FromEnvironment("B").recipe(), "the same value under another name"
    assert FromPrompt(question="a").recipe() == FromPrompt(question="b").recipe()


@given(st.integers(16, 256), st.sampled_from(sorted(ALPHABETS)))
def test_generated_values(length: int, alphabet: Any) -> None:
    value = generate(length, alphabet)
    assert len(value) == length
    assert set(value) <= set(ALPHABETS[alphabet])
    assert not set(value) & set("'\"@/\\ `&<>")
    assert generate(length, alphabet) != value
