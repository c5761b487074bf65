"""Inputs on their way: a name made up, default tags put in, and what AWS has set against what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.comparing import agrees, as_left
from mlinfra.providers.aws.fields import Field, filled
from mlinfra.providers.aws.planning import AUTONAMED
from mlinfra.providers.aws.resource import Live, Resource


def named(kind: Resource, inputs: Mapping[str, Any], old: Mapping[str, Any], name: str, seed: bytes) -> dict[str, Any]:
    """`inputs` with a physical name, where the user gave none: the one that it has (`old`), or a new one of `name`."""
    wanted = next((field for field in kind.fields if kind.names and field.name == kind.names[0]), None)
    if wanted is None or wanted.required or inputs.get(wanted.name) is not None:
        return dict(inputs)
    made_up = wanted.name in (old.get(AUTONAMED) or ())
    chosen = old[wanted.name] if made_up else kind.autoname(name, seed, inputs)
    return {**inputs, wanted.name: chosen, AUTONAMED: [wanted.name]}


def effective(kind: Resource, inputs: Mapping[str, Any], default_tags: Mapping[str, str]) -> dict[str, Any]:
    """`inputs` with all the tags that the resource is to have: its own over the provider's default ones."""
    tags = inputs.get("tags")
    if not kind.tagged or not default_tags or tags is UNKNOWN:
        return dict(inputs)
    return {**inputs, "tags": {**default_tags, **(tags or {})}}


def before(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The old inputs as they took effect: with all tags, default ones too, and the region."""
    known = {name: outputs[output] for name, output in (("tags", "tagsAll"), ("region", "region")) if output in outputs}
    return {**inputs, **known}


def properties(
    kind: Resource, inputs: Mapping[str, Any], outputs: Mapping[str, Any], tags: Any, region: Any
) -> dict[str, Any]:
    """What the state holds of a resource: inputs, outputs, all tags and the region.

    An output `vpcConfig.vpcId` is a part that AWS adds to the object `vpcConfig`, which is an input.
    """
    found = {name: value for name, value in inputs.items() if name != AUTONAMED}
    for name, value in outputs.items():
        whole, _, part = name.partition(".")
        if not part:
            found[name] = value
        elif found.get(whole) is not UNKNOWN:
            found[whole] = {**(found.get(whole) or {}), part: value}
    if kind.tagged:
        found["tagsAll"] = tags if tags is UNKNOWN else dict(tags or {})
    if kind.regional:
        found["region"] = region
    return found


def told(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs called `names`, as far as the state (`values`) holds them."""
    found = {}
    for name in names:
        whole, _, part = name.partition(".")
        held = values.get(whole)
        if not part and whole in values:
            found[name] = held
        elif part and isinstance(held, Mapping) and part in held:
            found[name] = held[part]
    return found


def live_inputs(
    kind: Resource, known: Mapping[str, Any], live: Live, default_tags: Mapping[str, str]
) -> dict[str, Any]:
    """The inputs that would make what AWS has now, which is how the engine learns of drift.

    What means the same is left as the user wrote it; what AWS chose where the user left the choice is left out. An
    import (`known` is empty) gets everything.
    """
    settings = dict(live.inputs)
    if kind.tagged and live.tags is not None:
        declared = known.get("tags") or {}
        settings["tags"] = {
            name: text for name, text in live.tags.items() if name in declared or default_tags.get(name) != text
        }
    found = dict(known)
    for field in kind.fields:
        if field.name in settings and not _kept(kind, field, known, settings[field.name]):
            value = settings[field.name]
            found[field.name] = as_left(field, value, known.get(field.name)) if known else value
    return filled(kind.fields, {name: value for name, value in found.items() if value not in (None, {}, [])})


def _kept(kind: Resource, field: Field, known: Mapping[str, Any], value: Any) -> bool:
    before = known.get(field.name)
    if known and before is None and field.computed:
        return True
    if known and agrees(field, before, value):
        return True
    return kind.equivalent(field.name, before, value)
