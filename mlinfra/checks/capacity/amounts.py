"""Amounts of what machines have and pods ask for: cores, bytes, GPUs, pods; as whole numbers, so that sums are exact.

CPU is counted in thousandths of a core, memory in bytes, everything else in pieces. Source of the texts: Kubernetes,
"Quantity" (apimachinery/pkg/api/resource).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from mlinfra.components.quantities import GPU

Amounts: TypeAlias = Mapping[str, int]
"""How much of each resource, by its Kubernetes name."""

CPU: Final = "cpu"
MEMORY: Final = "memory"
PODS: Final = "pods"
MAIN: Final = (CPU, MEMORY, GPU, PODS)
"""The resources that machines are told of by, in the order in which people read them."""

MIB: Final = 1024**2
GIB: Final = 1024**3
_QUANTITY: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]+))?")
_POWERS: Final = {
    **{sign: Decimal(10) ** power for sign, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)},
    **{f"{sign}i": Decimal(1024) ** power for power, sign in enumerate("KMGTPE", start=1)},
}


class UnreadableError(ValueError):
    """An amount that is no Kubernetes quantity, or is not known before the update has run."""


def amount(resource: str, value: Any) -> int:
    """A quantity as a number; what is more than a whole number of the unit is rounded up, as the scheduler does.

    Raises `UnreadableError`.
    """
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        exact = Decimal(str(value))
    elif found:
        exact = Decimal(found[1]) * _POWERS.get(found[2] or "", Decimal(1)) * Decimal(10) ** int(found[3] or 0)
    else:
        raise UnreadableError(f"{value!r} is no amount of {resource}")
    return math.ceil(exact * 1000 if bare(resource) == CPU else exact)


def bare(resource: str) -> str:
    """A resource without what a quota writes before it: `requests.memory` is memory."""
    return resource.removeprefix("requests.").removeprefix("limits.").removeprefix("count/")


def amounts(record: Any) -> dict[str, int]:
    """A map of quantities, such as a container's `requests`; nothing where it is none. Raises `UnreadableError`."""
    if not isinstance(record, Mapping):
        return {}
    return {str(key): amount(str(key), value) for key, value in record.items()}


def added(*parts: Amounts) -> dict[str, int]:
    """The sum of amounts."""
    total: dict[str, int] = {}
    for part in parts:
        for key, count in part.items():
            total[key] = total.get(key, 0) + count
    return total


def times(part: Amounts, count: int) -> dict[str, int]:
    """Amounts, a number of times."""
    return {key: item * count for key, item in part.items()}


def most(*parts: Amounts) -> dict[str, int]:
    """The larger of amounts, for each resource."""
    return {key: max(part.get(key, 0) for part in parts) for part in parts for key in part}


def less(whole: Amounts, part: Amounts) -> dict[str, int]:
    """What is left of `whole`; below zero where `part` has more."""
    return {key: whole.get(key, 0) - part.get(key, 0) for key in {**whole, **part}}


def fits(part: Amounts, room: Amounts) -> bool:
    """Whether there is room for amounts. What asks for none of a resource fits where it is overdrawn."""
    return all(count <= room.get(key, 0) for key, count in part.items() if count)


def how_often(part: Amounts, room: Amounts) -> int:
    """How many times amounts fit into a room side by side. They have to ask for something: a pod is one pod."""
    return max(0, min(room.get(key, 0) // count for key, count in part.items() if count))


def lacking(part: Amounts, room: Amounts) -> dict[str, int]:
    """What a room has too little of, and how much."""
    return {key: count - room.get(key, 0) for key, count in part.items() if count and count > room.get(key, 0)}


def resources(parts: Iterable[Amounts]) -> list[str]:
    """The resources in several amounts: the usual ones first, others by name."""
    named = {key for part in parts for key in part}
    return [key for key in MAIN if key in named] + sorted(named - set(MAIN))


# ------------------------------------------------------------------------------------------------ for people


def said(resource: str, count: int) -> str:
    """An amount in words: `3.9 cores`, `12.5 GiB memory`, `1 GPU`."""
    kind = bare(resource)
    if kind == CPU:
        return f"{_short(count / 1000)} {plural('core', count / 1000)}"
    if kind == MEMORY:
        gib = abs(count) >= GIB / 10
        return f"{_short(count / GIB)} GiB memory" if gib else f"{_short(count / MIB)} MiB memory"
    word = {GPU: "GPU", PODS: "pod"}.get(kind)
    return f"{count} {plural(word, count) if word else kind}"


def plural(word: str, count: float) -> str:
    """A word for so many of what it says: `core`, `cores`."""
    return word if count == 1 else f"{word}s"


def listed(part: Amounts) -> str:
    """Amounts in words, one after the other."""
    return ", ".join(said(key, part[key]) for key in resources([part]) if part[key]) or "nothing"


def as_numbers(part: Amounts) -> dict[str, float]:
    """Amounts for programs: `cpu` in cores, `memory` in GiB, the rest in pieces under its Kubernetes name."""
    return {key: number(key, part[key]) for key in resources([part])}


def number(resource: str, count: int) -> float:
    """An amount in the unit that people write: cores, GiB, pieces."""
    kind = bare(resource)
    return round(count / 1000, 3) if kind == CPU else round(count / GIB, 3) if kind == MEMORY else count


def _short(count: float) -> str:
    """Up to two digits after the point, none where it is whole or large."""
    return f"{round(count, 2):g}" if abs(count) < 10_000 else f"{round(count):d}"
