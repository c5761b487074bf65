from __future__ import annotations

import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.local import accounts
from mlinfra.local.accounts import access_key, account_for, account_of


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=8, unique=True))
def test_accounts_are_twelve_digits_and_no_two_stacks_share_one(stacks: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = [account_for(Path(folder), stack) for stack in stacks]
        assert len(set(given)) == len(stacks)
        assert all(re.fullmatch(r"[1-9]\d{11}", account) for account in given)
        assert [account_for(Path(folder), stack) for stack in stacks] == given


def test_a_stack_has_the_same_account_in_every_copy_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert account_for(tmp_path / "one", "prod") == account_for(tmp_path / "two", "prod")


def test_an_account_that_is_taken_is_not_given_again(tmp_path: Path) -> None:
    first = accounts._choose("prod", set())
    second = accounts._choose("prod", {first})
    assert second not in ("", first)


def test_choosing_at_once_loses_none(tmp_path: Path) -> None:
    stacks = [f"stack-{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as threads:
        given = list(threads.map(lambda stack: account_for(tmp_path, stack), stacks))
    assert [account_for(tmp_path, stack) for stack in stacks] == given


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", "LOCAL12", "LOCAL1234567890123", "", "xLOCAL123456789012"])
def test_other_keys_stand_for_no_account(key: str) -> None:
    assert account_of(key) is None


@given(st.integers(10**11, 10**12 - 1))
def test_a_key_stands_for_its_account(number: int) -> None:
    assert account_of(access_key(str(number))) == str(number)
