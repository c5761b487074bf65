"""Searches over patterns, held against an oracle of regular expressions and all short texts."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.checks.access.patterns import EVERYTHING, LIMIT, Clause, find, pattern

LETTERS = "ab:"
TEXTS = ["".join(letters) for length in range(5) for letters in product(LETTERS, repeat=length)]
WRITTEN = st.text(alphabet=LETTERS + "*?", max_size=5)
CLAUSES = st.tuples(st.lists(WRITTEN, max_size=3), st.booleans())


def expression(written: str, strict: bool = False) -> re.Pattern[str]:
    """The oracle: a pattern as a regular expression, by another way than the automata."""
    parts = []
    for index, letter in enumerate(written):
        after = written[index + 1 : index + 2]
        if letter == "*":
            parts.append("[^:]*" if strict and after not in ("", ":", "*") else ".*")
        else:
            parts.append("." if letter == "?" else re.escape(letter))
    return re.compile("".join(parts), re.DOTALL)


def holds(clause: tuple[list[str], bool], text: str, strict: bool = False) -> bool:
    written, negated = clause
    return any(expression(item, strict).fullmatch(text) for item in written) is not negated


def made(clause: tuple[list[str], bool], strict: bool = False) -> Clause:
    written, negated = clause
    return Clause(tuple(pattern(item, strict=strict) for item in written), negated)


@given(written=WRITTEN, strict=st.booleans(), text=st.text(alphabet=LETTERS, max_size=6))
def test_matches(written: str, strict: bool, text: str) -> None:
    assert pattern(written, strict=strict).matches(text) is bool(expression(written, strict).fullmatch(text))


@given(space=WRITTEN, groups=st.lists(st.lists(CLAUSES, max_size=2), max_size=2), denied=st.lists(CLAUSES, max_size=2))
def test_what_is_found_is_right_and_what_there_is_is_found(
    space: str, groups: list[list[tuple[list[str], bool]]], denied: list[tuple[list[str], bool]]
) -> None:
    def right(text: str) -> bool:
        return (
            bool(expression(space).fullmatch(text))
            and all(any(holds(clause, text) for clause in group) for group in groups)
            and not any(holds(clause, text, strict=True) for clause in denied)
        )

    found = find(
        pattern(space),
        [[made(clause) for clause in group] for group in groups],
        [made(clause, strict=True) for clause in denied],
    )
    if found is None:
        assert not any(right(text) for text in TEXTS)
    else:
        assert right(found)


@pytest.mark.parametrize(
    ("written", "matched", "others"),
    [
        ("a${*}b", ["a*b"], ["axb", "ab"]),
        ("${?}${$}", ["?$"], ["x$"]),
        ("home/${aws:username}/x", ["home/me/x", "home//x"], ["home/x"]),
        ("A", ["A"], ["a"]),
        ("a.c", ["a.c"], ["abc"]),
        ("*", ["", "a:b/c"], []),
    ],
)
def test_what_is_special(written: str, matched: list[str], others: list[str]) -> None:
    assert all(pattern(written).matches(text) for text in matched)
    assert not any(pattern(written).matches(text) for text in others)


def test_what_denies_is_read_strictly() -> None:
    assert pattern("arn:a*z", strict=True).matches("arn:abz")
    assert not pattern("arn:a*z", strict=True).matches("arn:a:z")
    assert pattern("arn:a*", strict=True).matches("arn:a:b:c")
    assert not pattern("home/${aws:username}", strict=True).matches("home/me")


def test_an_object_that_nobody_denies() -> None:
    bucket = "arn:aws:s3:::data"
    space, allowed = pattern(f"{bucket}/*"), [[Clause((pattern("arn:aws:s3:::da*"),))]]
    denied = [Clause((pattern(f"{bucket}/private/*", strict=True),))]
    assert find(space, allowed, denied) == f"{bucket}/"
    private = find(pattern(f"{bucket}/private/*"), allowed, denied)
    assert private is None
    assert find(space, [[EVERYTHING]], [EVERYTHING]) is None


def test_a_search_that_never_ends_finds_something() -> None:
    hard = Clause(tuple(pattern(f"*{letter}{'?' * 14}") for letter in "ab"))
    denied = [Clause((pattern(f"*{'ab' * 20}"),), negated=True)]
    assert find(pattern("*"), [[hard]], denied) is not None
    assert LIMIT < 1e6
