"""Address ranges: every plan is disjoint, inside, of the right sizes, and the same when a zone is added."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mlinfra.components.network_plan import MOST_ZONES, PRIVATE, Plan, Range, SubnetRange, VpcRange, check_given, divide

ZONES = st.integers(1, MOST_ZONES)


@st.composite
def vpcs(draw: st.DrawFn, longest: int) -> IPv4Network:
    """A range that a VPC may have."""
    whole = draw(st.sampled_from(PRIVATE))
    prefix = draw(st.integers(16, longest))
    number = draw(st.integers(0, 2 ** (prefix - whole.prefixlen) - 1))
    return IPv4Network((int(whole.network_address) + number * 2 ** (32 - prefix), prefix))


@given(whole=vpcs(22), zones=ZONES)
def test_a_plan_with_public_subnets(whole: IPv4Network, zones: int) -> None:
    plan = divide(str(whole), zones, public=True)
    sound(whole, plan, zones, zones)
    assert {IPv4Network(item).prefixlen for item in plan.public} == {whole.prefixlen + 6}


@given(whole=vpcs(25), zones=ZONES)
def test_a_plan_without_public_subnets(whole: IPv4Network, zones: int) -> None:
    sound(whole, divide(str(whole), zones, public=False), zones, 0)


def sound(whole: IPv4Network, plan: Plan, private: int, public: int) -> None:
    everything = [IPv4Network(item) for item in (*plan.private, *plan.public)]
    assert (len(plan.private), len(plan.public)) == (private, public)
    assert all(item.subnet_of(whole) for item in everything)
    assert not any(one.overlaps(other) for one, other in combinations(everything, 2))
    assert all(16 <= item.prefixlen <= 28 for item in everything)
    assert {IPv4Network(item).prefixlen for item in plan.private} == {whole.prefixlen + 3}
    check_given(str(whole), plan)


@given(whole=vpcs(22), zones=st.integers(1, MOST_ZONES - 1), public=st.booleans())
def test_a_zone_more_moves_none(whole: IPv4Network, zones: int, public: bool) -> None:
    fewer, more = (divide(str(whole), count, public=public) for count in (zones, zones + 1))
    assert more.private[:zones] == fewer.private
    assert more.public[: len(fewer.public)] == fewer.public


def test_the_plan_of_the_default_range() -> None:
    plan = divide("10.0.0.0/16", 3, public=True)
    assert plan.private == ("10.0.0.0/19", "10.0.32.0/19", "10.0.64.0/19")
    assert plan.public == ("10.0.224.0/22", "10.0.228.0/22", "10.0.232.0/22")


@pytest.mark.parametrize(("cidr", "public", "says"), [("10.0.0.0/23", True, "/22"), ("10.0.0.0/26", False, "/25")])
def test_a_range_that_is_too_small(cidr: str, public: bool, says: str) -> None:
    with pytest.raises(ValueError, match=f"too small.*Take a range of {says} or larger"):
        divide(cidr, 1, public=public)


@given(whole=vpcs(25), data=st.data())
def test_given_ranges_that_overlap_are_found(whole: IPv4Network, data: st.DataObject) -> None:
    ranges = data.draw(st.lists(vpcs(28), min_size=2, max_size=5))
    expected = all(item.subnet_of(whole) for item in ranges) and not any(
        one.overlaps(other) for one, other in combinations(ranges, 2)
    )
    try:
        check_given(str(whole), Plan(tuple(map(str, ranges))))
    except ValueError:
        assert not expected
    else:
        assert expected


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan(("10.0.0.0/24", "10.1.0.0/24")), "10.1.0.0/24: not within the VPC's range 10.0.0.0/16"),
        (Plan(("10.0.0.0/24",), ("10.0.0.128/25",)), "10.0.0.0/24 and 10.0.0.128/25 overlap"),
        (Plan(("10.0.0.0/24", "10.0.1.0/24"), ("10.0.2.0/24",)), "2 private_cidrs and 1 public_cidrs"),
    ],
)
def test_what_is_said_of_given_ranges(plan: Plan, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_given("10.0.0.0/16", plan)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (VpcRange, "10.0.0.0/15", "131,072 addresses; AWS takes ranges from /16 to /28"),
        (VpcRange, "10.0.0.0/29", "from /16 to /28"),
        (VpcRange, "10.0.0.1/16", "'10.0.0.1/16' is not written as the range that it means, 10.0.0.0/16"),
        (VpcRange, "10.0.0.0/33", "is no range of IPv4 addresses"),
        (VpcRange, "8.8.0.0/16", "has public addresses"),
        (VpcRange, "172.17.0.0/16", "overlaps 172.17.0.0/16, which AWS services such as SageMaker AI use"),
        (VpcRange, "10.0.0.0", "should match pattern"),
        (SubnetRange, "10.0.0.0/29", "from /16 to /28"),
        (Range, "10.0.0.300/24", "is no range of IPv4 addresses"),
    ],
)
def test_ranges_that_are_refused(kind: object, text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize("text", ["10.0.0.0/16", "172.16.0.0/16", "172.18.0.0/20", "192.168.0.0/28", "100.64.0.0/16"])
def test_ranges_that_are_taken(text: str) -> None:
    assert TypeAdapter(VpcRange).validate_python(text) == text


def test_an_existing_range_may_be_any() -> None:
    assert TypeAdapter(Range).validate_python("52.0.0.0/8") == "52.0.0.0/8"
