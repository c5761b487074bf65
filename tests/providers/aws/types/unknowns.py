"""Inputs as a preview has them: in part not known yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlinfra.functions import UNKNOWN


def less_known(value: Any) -> Iterator[Any]:
    """`value`, over and over, each time with another part of it unknown."""
    yield UNKNOWN
    if isinstance(value, dict):
        for name, part in value.items():
            yield from ({**value, name: other} for other in less_known(part))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from ([*value[:index], other, *value[index + 1 :]] for other in less_known(part))


def judged(world: Any, token: str, inputs: dict[str, Any]) -> int:
    """Check `inputs` with each part unknown in turn, which must not fail; gives how many there were."""
    variants = [variant for variant in less_known(inputs) if variant is not UNKNOWN]
    for variant in variants:
        world.engine.check(token, variant)
    return len(variants)
