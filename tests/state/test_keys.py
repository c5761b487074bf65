"""Sealed things open for their own row, with their own key, unchanged; nothing else opens."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import MlinfraError
from mlinfra.state.keys import Keys, UnreadableError, load_keys

KEYS = Keys(b"k" * 32)


@given(st.binary(max_size=20_000))
def test_what_is_sealed_opens(data: bytes) -> None:
    assert KEYS.open(KEYS.seal(data, "entries/a/1"), "entries/a/1") == data


@given(st.binary(max_size=300), st.data())
def test_a_changed_byte_is_noticed(data: bytes, draw: st.DataObject) -> None:
    sealed = bytearray(KEYS.seal(data, "row"))
    sealed[draw.draw(st.integers(0, len(sealed) - 1))] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(UnreadableError):
        KEYS.open(bytes(sealed), "row")


@given(st.binary(max_size=100))
def test_what_was_never_sealed_does_not_open(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        KEYS.open(data, "row")
    with pytest.raises(UnreadableError):
        KEYS.decrypt(data, 1)


def test_a_row_in_the_place_of_another_does_not_open() -> None:
    with pytest.raises(UnreadableError):
        KEYS.open(KEYS.seal(b"data", "deployments/1/2"), "deployments/1/3")


def test_sealed_data_shows_nothing_and_is_never_the_same() -> None:
    once, again = KEYS.seal(b"hunter22" * 1000, "row"), KEYS.seal(b"hunter22" * 1000, "row")
    assert b"hunter22" not in once
    assert once != again


def test_a_stack_opens_its_own_secrets_alone() -> None:
    secret = KEYS.encrypt(b"hunter22", 1)
    assert KEYS.decrypt(secret, 1) == b"hunter22"
    for keys, stack in ((KEYS, 2), (Keys(b"x" * 32), 1)):
        with pytest.raises(UnreadableError):
            keys.decrypt(secret, stack)


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "service.key"
    found: list[bytes] = []

    def load() -> None:
        found.append(load_keys(path, make=True).encrypt(b"x", 1))

    threads = [threading.Thread(target=load) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = load_keys(path, make=False)
    assert [keys.decrypt(item, 1) for item in found] == [b"x"] * 16
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["service.key"]


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_a_lost_key_is_told_and_not_replaced(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "service.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MlinfraError) as raised:
        load_keys(path, make=False)
    assert raised.value.diagnostics[0].code == "state-key"
    assert path.exists() is (content is not None)
