"""Secrets that were learnt are in no text and no data that comes out."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlinfra.engine.redaction import Redactor
from mlinfra.functions import UNKNOWN
from mlinfra.graph import REDACTED, Secret
from mlinfra.wire.values import SECRET, SIGNATURE

# What replaces a secret is a text, too; secrets that could be made of it and of what stands beside it are left out.
LETTERS = st.characters(exclude_characters="[]secrt", exclude_categories=["Cs"])
SECRETS = st.lists(st.text(LETTERS, min_size=4, max_size=20), min_size=1, max_size=4)
AROUND = st.text(LETTERS, max_size=20)


def go_json(text: str) -> str:
    """A text within JSON as Go writes it: https://pkg.go.dev/encoding/json#Marshal, "HTML escaping"."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    for character in "<>&\u2028\u2029":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


FORMS = [
    str,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    go_json,
    lambda text: base64.b64encode(text.encode()).decode(),
]


@given(secrets=SECRETS, around=st.lists(AROUND, min_size=5, max_size=5), form=st.sampled_from(FORMS))
def test_no_learnt_secret_is_left_in_a_text(secrets: list[str], around: list[str], form: Any) -> None:
    redactor = Redactor()
    redactor.learn({"deep": [Secret({"inner": secrets}), "plain", UNKNOWN]})
    text = around[0] + "".join(form(secret) + before for secret, before in zip(secrets, around[1:], strict=False))
    cleaned = redactor.text(text)
    assert REDACTED in cleaned
    for secret in secrets:
        assert secret not in cleaned
        assert form(secret) not in cleaned


@given(secret=st.text(LETTERS, min_size=4), value=st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_what_holds_no_secret_stays_as_it_is(secret: str, value: Any) -> None:
    assume(secret not in json.dumps(value, ensure_ascii=False))
    assume(not any(form(secret) in json.dumps(value, ensure_ascii=False) for form in FORMS))
    redactor = Redactor()
    assert redactor.data(value) == value
    redactor.learn(Secret(secret))
    assert redactor.data(value) == value


def test_of_two_secrets_the_longer_goes_whole() -> None:
    redactor = Redactor()
    redactor.learn([Secret("pass"), Secret("password-1")])
    assert redactor.text("it is password-1, or pass") == "it is [secret], or [secret]"


def test_what_carries_the_mark_of_a_secret_goes_whatever_it_holds() -> None:
    marked = {SIGNATURE: SECRET, "ciphertext": "v1:abc"}
    assert Redactor().data({"a": [marked], "b": {SIGNATURE: "other", "x": 1}}) == {
        "a": [REDACTED],
        "b": {SIGNATURE: "other", "x": 1},
    }


@pytest.mark.parametrize("value", ["abc", "", 12345, None, True])
def test_what_is_too_short_to_be_told_apart_is_not_learnt(value: Any) -> None:
    redactor = Redactor()
    redactor.learn(Secret(value))
    assert redactor.text("abc 12345 None True") == "abc 12345 None True"


def test_secrets_are_learnt_while_texts_are_read() -> None:
    """What one thread has learnt is out of every text that another cleans after that."""
    redactor = Redactor()
    missed: list[str] = []

    def learn(thread: int) -> None:
        for index in range(200):
            secret = f"hush-{thread}-{index:04}-hush"
            redactor.learn(Secret(secret))
            if secret in redactor.text(f"x {secret} y"):
                missed.append(secret)

    threads = [threading.Thread(target=learn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missed == []
