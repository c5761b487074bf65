"""Address ranges of a network: which are allowed, and how a VPC's range is divided among its subnets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations, islice
from typing import Annotated, Final

from pydantic import AfterValidator, Field

MOST_ZONES: Final = 6
"""As many as the largest region has, us-east-1 (AWS Global Infrastructure, "Regions and Availability Zones")."""

LARGEST, SMALLEST = 16, 28
"""Prefix lengths that VPCs and subnets may have: Amazon VPC user guide, "VPC CIDR blocks" and "Subnet CIDR blocks"."""

_PRIVATE_BITS: Final = 3  # eight parts: six for private subnets, one kept free, one that all public subnets share
_PUBLIC_BITS: Final = 6
_SHARED_PART: Final = 7

PRIVATE: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""Ranges that nobody has on the internet: RFC 1918, and RFC 6598 for 100.64.0.0/10."""

_TAKEN: Final = IPv4Network("172.17.0.0/16")


def _canonical(text: str) -> str:
    _read(text)
    return text


def _read(text: str) -> IPv4Network:
    """A range; raises `ValueError` for what is none, and for one whose address has bits behind the prefix."""
    try:
        found = IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no range of IPv4 addresses, such as 10.0.0.0/16") from None
    if str(found) != text:
        raise ValueError(f"{text!r} is not written as the range that it means, {found}")
    return found


def _sized(text: str) -> str:
    found = _read(text)
    if not LARGEST <= found.prefixlen <= SMALLEST:
        raise ValueError(
            f"{text} has {found.num_addresses:,} addresses; AWS takes ranges from /{LARGEST} to /{SMALLEST} "
            '(Amazon VPC user guide, "VPC CIDR blocks", "Subnet CIDR blocks")'
        )
    return text


def _of_a_vpc(text: str) -> str:
    found = _read(_sized(text))
    if not any(found.subnet_of(item) for item in PRIVATE):
        raise ValueError(
            f"{text} has public addresses, and whoever has them on the internet could not be reached; take a part of "
            f"{', '.join(map(str, PRIVATE))}"
        )
    if found.overlaps(_TAKEN):
        raise ValueError(
            f"{text} overlaps {_TAKEN}, which AWS services such as SageMaker AI use themselves "
            '(Amazon VPC user guide, "VPC CIDR blocks")'
        )
    return text


_FORM: Final = Field(pattern=r"^[0-9.]{7,15}/[0-9]{1,2}$", examples=["10.0.0.0/16"])
Range = Annotated[str, _FORM, AfterValidator(_canonical)]
"""A range of IPv4 addresses, `10.0.0.0/16`."""
VpcRange = Annotated[str, _FORM, AfterValidator(_of_a_vpc)]
"""The range of a VPC that is made here: private addresses, /16 to /28."""
SubnetRange = Annotated[str, _FORM, AfterValidator(_sized)]
"""The range of a subnet: /16 to /28."""

ZoneName = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$", examples=["us-east-1a"])]
"""An availability zone: the region and a letter."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The ranges of a network's subnets, one for each zone; no public ones where it has none."""

    private: tuple[str, ...]
    public: tuple[str, ...] = ()


def divide(cidr: str, zones: int, *, public: bool) -> Plan:
    """Divide a VPC's range: an eighth of it for each private subnet, a sixty-fourth for each public one.

    10.0.0.0/16 gives 10.0.0.0/19, 10.0.32.0/19, … and 10.0.224.0/22, 10.0.228.0/22, … A zone that is added later takes
    the next range and moves none. Raises `ValueError` where the parts would be smaller than AWS takes.
    """
    whole = IPv4Network(cidr)
    bits = _PUBLIC_BITS if public else _PRIVATE_BITS
    if whole.prefixlen + bits > SMALLEST:
        raise ValueError(
            f"{cidr} is too small to be divided: subnets would be smaller than /{SMALLEST}. "
            f"Take a range of /{SMALLEST - bits} or larger, or give private_cidrs and public_cidrs"
        )
    parts = list(whole.subnets(prefixlen_diff=_PRIVATE_BITS))
    shared = parts[_SHARED_PART].subnets(prefixlen_diff=_PUBLIC_BITS - _PRIVATE_BITS) if public else iter(())
    return Plan(tuple(map(str, parts[:zones])), tuple(map(str, islice(shared, zones))))


def check_given(cidr: str, plan: Plan) -> None:
    """Raise `ValueError` for given ranges that are not within the VPC's, overlap, or are not one for each zone.

    Sources: Amazon VPC user guide, "Subnet CIDR blocks": a part of the VPC's range, and no two may overlap.
    """
    whole = IPv4Network(cidr)
    everything = [IPv4Network(item) for item in (*plan.private, *plan.public)]
    outside = [str(item) for item in everything if not item.subnet_of(whole)]
    if outside:
        raise ValueError(f"{', '.join(outside)}: not within the VPC's range {cidr}")
    both = next(_overlapping(everything), None)
    if both:
        raise ValueError(f"{both[0]} and {both[1]} overlap")
    if plan.public and len(plan.public) != len(plan.private):
        raise ValueError(
            f"{len(plan.private)} private_cidrs and {len(plan.public)} public_cidrs: give one of each for each zone"
        )


def _overlapping(ranges: Sequence[IPv4Network]) -> Iterator[tuple[IPv4Network, IPv4Network]]:
    return ((one, other) for one, other in combinations(ranges, 2) if one.overlaps(other))
