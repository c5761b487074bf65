"""Taking over what a run before this one made and could not note: it was cut off in the middle of a create.

The engine's state has such a create as pending. Only resources of which it does are ever taken over, by the name that
they were to have; one that is not as it should be is changed to be so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.providers.aws.errors import taken
from mlinfra.providers.aws.inputs import live_inputs
from mlinfra.providers.aws.planning import differing
from mlinfra.providers.aws.resource import Aws, Change, Made, Resource


def adopt(kind: Resource, aws: Aws, wanted: Mapping[str, Any]) -> Made | None:
    """The resource that `wanted` would make, where it is there already, brought to what is wanted; None where not.

    Raises `AwsError` when what is there can only be replaced: then somebody else made it.
    """
    resource_id = kind.locate(aws, wanted)
    live = kind.read(aws, resource_id, {}) if resource_id else None
    if resource_id is None or live is None:
        return None
    looked_at = {*live.inputs, "tags"}
    old = {name: value for name, value in wanted.items() if name not in looked_at} | live_inputs(kind, {}, live, {})
    fields = differing(kind, old, wanted)
    if any(kind.replacement(field, old.get(field.name), wanted.get(field.name)) for field in fields):
        raise taken(resource_id, kind.token.rpartition(":")[2])
    outputs = dict(live.outputs)
    if names := frozenset(field.name for field in fields):
        outputs |= kind.update(aws, Change(resource_id, old, wanted, outputs, names))
    return Made(resource_id, outputs)
