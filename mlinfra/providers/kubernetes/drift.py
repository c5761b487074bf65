"""Drift: what is declared and is no longer so, as inputs that say what is there instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.rules import NOT_DRIFT


def drifted(inputs: Mapping[str, Any], live: Object, wanted: Object) -> Object:
    """The inputs, with what `live` has wherever it differs from `wanted`: what applying the inputs would make of it.

    Comparing the two, and not the inputs with the live object, leaves the server's own ways out: defaults, rewritten
    quantities (`1000m` is `1`), fields of other managers. What nobody declared is never drift.
    """
    merged: Object = _merge(dict(inputs), _comparable(live), _comparable(wanted))
    return merged


def _comparable(item: Object) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key not in NOT_DRIFT}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def _merge(inputs: Any, live: Any, wanted: Any) -> Any:
    if live == wanted:
        return inputs
    if isinstance(inputs, Mapping) and isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return _merge_mappings(inputs, live, wanted)
    if isinstance(inputs, list) and isinstance(live, list) and isinstance(wanted, list):
        return _merge_lists(inputs, live, wanted)
    return live


def _merge_mappings(inputs: Mapping[str, Any], live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Object:
    merged = dict(inputs)
    for key in sorted({*live, *wanted}):
        if live.get(key) == wanted.get(key):
            continue
        if key not in live:
            merged.pop(key, None)  # declared, and taken away by somebody
        else:
            merged[key] = _merge(inputs.get(key), live[key], wanted.get(key))
    return merged


def _merge_lists(inputs: list[Any], live: list[Any], wanted: list[Any]) -> list[Any]:
    """Items with names are the same by name, others by place; a list with neither is told as it is there."""
    if all(isinstance(item, Mapping) and "name" in item for item in [*inputs, *live, *wanted]):
        there, aim = ({item["name"]: item for item in items} for items in (live, wanted))
        kept = [_merge(item, there[item["name"]], aim.get(item["name"])) for item in inputs if item["name"] in there]
        declared = {item["name"] for item in inputs}
        return kept + [item for item in live if item["name"] not in declared and item["name"] not in aim]
    if len(inputs) == len(live) == len(wanted):
        return [_merge(*items) for items in zip(inputs, live, wanted, strict=True)]
    return live


def overlay(live: Any, inputs: Any) -> Any:
    """What the live object would be with the inputs in it, for when the server refuses to say."""
    if isinstance(live, Mapping) and isinstance(inputs, Mapping):
        return {**live, **{key: overlay(live.get(key), item) for key, item in inputs.items() if item is not None}}
    if isinstance(live, list) and isinstance(inputs, list) and len(live) == len(inputs):
        return [overlay(*items) for items in zip(live, inputs, strict=True)]
    return inputs
