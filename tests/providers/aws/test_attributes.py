"""Attributes: every setting goes out as a text and comes back as it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlinfra.providers.aws.attributes import from_attributes, to_attributes
from mlinfra.providers.aws.fields import Field

FIELDS = (
    Field("displayName"),
    Field("delaySeconds", int, aws="Delay"),
    Field("fifoQueue", bool),
    Field("sent", apart=True),
)
VALUES = st.fixed_dictionaries(
    {},
    optional={"displayName": st.text(min_size=1), "delaySeconds": st.integers(), "fifoQueue": st.booleans()},
)


@given(VALUES)
def test_what_goes_out_comes_back(values: dict[str, Any]) -> None:
    sent = to_attributes(FIELDS, {**values, "sent": "elsewhere"})
    assert all(isinstance(text, str) for text in sent.values())
    nothing = dict.fromkeys(("displayName", "delaySeconds", "fifoQueue"))
    assert from_attributes(FIELDS, sent) == {**nothing, **values}


def test_names_and_texts_are_those_of_aws() -> None:
    sent = to_attributes(FIELDS, {"delaySeconds": 5, "fifoQueue": True, "displayName": "a"})
    assert sent == {"Delay": "5", "FifoQueue": "true", "DisplayName": "a"}


def test_an_empty_text_is_none() -> None:
    assert from_attributes(FIELDS, {"Delay": "", "DisplayName": ""})["delaySeconds"] is None
