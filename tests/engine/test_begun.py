"""The log of creates: what it says after each way that a create can end."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.engine.begun import Begun


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    return Begun(tmp_path / "begun.log")


def test_nothing_was_begun(begun: Begun) -> None:
    assert begun.unfinished({}) == set()
    begun.clear()


def test_one_that_has_not_ended_is_unfinished(begun: Begun) -> None:
    begun.begin("a")
    assert begun.unfinished({}) == {"a"}
    assert begun.unfinished({"a": {"the one that it replaces"}}) == {"a"}


def test_one_that_was_made_is_unfinished_until_the_state_has_it(begun: Begun) -> None:
    begun.begin("a")
    begun.end("a", "1")
    assert begun.unfinished({}) == {"a"}
    assert begun.unfinished({"a": {"0"}}) == {"a"}
    assert begun.unfinished({"a": {"0", "1"}}) == set()


def test_one_that_was_refused_has_made_nothing(begun: Begun) -> None:
    begun.begin("a")
    begun.begin("b")
    begun.end("a", "")
    assert begun.unfinished({}) == {"b"}


def test_a_line_that_was_cut_off_does_not_count(begun: Begun) -> None:
    begun.begin("a")
    begun.begin("b")
    begun.path.write_bytes(begun.path.read_bytes()[:-4])
    assert begun.unfinished({}) == {"a"}


def test_a_run_in_good_order_leaves_nothing(begun: Begun) -> None:
    begun.begin("a")
    begun.clear()
    assert not begun.path.exists()
