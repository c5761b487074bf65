"""Physical names: within their limits, of allowed letters, the same everywhere, different where they must be."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlinfra.naming import dns_label, global_name, short_hash, type_of

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
IDENTITIES = st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
PARTS = st.lists(IDENTITIES, min_size=1, max_size=5)


@given(parts=PARTS, limit=st.integers(1, 80))
def test_a_label_is_within_its_limit(parts: list[str], limit: int) -> None:
    label = dns_label(*parts, limit=limit)
    assert len(label) <= limit
    assert LABEL.fullmatch(label)
    assert label == dns_label(*parts, limit=limit)


@given(parts=st.lists(st.text(max_size=30), max_size=4), limit=st.integers(1, 80))
def test_whatever_goes_in_only_allowed_letters_come_out(parts: list[str], limit: int) -> None:
    label = dns_label(*parts, limit=limit)
    assert len(label) <= limit
    assert label == "" or LABEL.fullmatch(label)


@given(one=IDENTITIES, other=IDENTITIES, tail=st.text("ab-", max_size=60), limit=st.integers(20, 63))
def test_two_names_that_are_cut_short_stay_two(one: str, other: str, tail: str, limit: int) -> None:
    long = f"{'x' * limit}{tail}"
    assume(one != other)
    assert dns_label(long, one, limit=limit) != dns_label(long, other, limit=limit)


@given(parts=PARTS, scope=st.text("0123456789", min_size=12, max_size=12), limit=st.integers(20, 63))
def test_a_global_name_is_a_bucket_name(parts: list[str], scope: str, limit: int) -> None:
    """Source: S3 user guide, "General purpose bucket naming rules": 3 to 63 of these letters, ends alphanumeric."""
    name = global_name(*parts, scope=scope, limit=limit)
    assert 3 <= len(name) <= limit
    assert LABEL.fullmatch(name)
    assert "." not in name


@given(parts=PARTS, other=PARTS, scopes=st.lists(st.text("012", min_size=3, max_size=3), min_size=2, max_size=2))
def test_a_global_name_tells_parts_and_scopes_apart(parts: list[str], other: list[str], scopes: list[str]) -> None:
    assume((parts, scopes[0]) != (other, scopes[1]))
    assert global_name(*parts, scope=scopes[0]) != global_name(*other, scope=scopes[1])


def test_the_parts_boundaries_count_in_a_hash() -> None:
    assert short_hash("a", "bc") != short_hash("ab", "c")
    assert short_hash("a", "b", length=6) == short_hash("a", "b")[:6]


@pytest.mark.parametrize(
    ("parts", "limit", "expected"),
    [
        (("recommender", "prod", "data"), 63, "recommender-prod-data"),
        (("a", "", "b"), 63, "a-b"),
        (("Team_A", "x.y"), 63, "team-a-x-y"),
        (("-a-", "b-"), 63, "a--b"),
        (("a" * 70,), 63, f"{'a' * 54}-{short_hash('a' * 70)}"),
        (("a" * 70,), 5, short_hash("a" * 70)[:5]),
    ],
)
def test_labels(parts: tuple[str, ...], limit: int, expected: str) -> None:
    assert dns_label(*parts, limit=limit) == expected


def test_names_of_today_are_names_of_tomorrow() -> None:
    """A change here would rename, and so replace, what stacks have already made."""
    assert global_name("recommender", "prod", "data", scope="111122223333") == "recommender-prod-data-ae2759e3"
    assert short_hash("x") == "2d711642"


@pytest.mark.parametrize("token", ["kubernetes:core/v1:Secret", "kubernetes:rbac.authorization.k8s.io/v1:Role"])
def test_a_type_is_in_a_urn(token: str) -> None:
    assert type_of(f"urn:pulumi:dev::project::{token}::name") == token
    assert type_of(f"urn:pulumi:dev::project::mlinfra:Endpoint${token}::name::odd") == token
