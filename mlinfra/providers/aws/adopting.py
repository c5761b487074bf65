"""Taking over what a run before this one made and could not note: it was cut off in the middle of a create.

The engine's state has such a create as pending. Only resources of which it does are ever taken over: by the name that
they were to have, or, where AWS chooses the id, by the mark that they bear. One that is not as it should be is changed
to be so.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from mlinfra.providers.aws.errors import AwsError, taken
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.identifying import MARK, without_mark
from mlinfra.providers.aws.inputs import live_inputs
from mlinfra.providers.aws.planning import differing
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource


def adopt(kind: Resource, aws: Aws, wanted: Mapping[str, Any], known: Set[str], mark: str) -> Made | None:
    """The resource that `wanted` would make, where it is there already, brought to what is wanted; None where not.

    `known` are the ids that the state has for it, of what it replaces: they are not it. `mark` is what a resource
    without a name bears. Raises `AwsError` when what is there can only be replaced: then somebody else made it; and
    when several bear the mark.
    """
    resource_id = _marked(kind, aws, known, mark) if kind.marked else kind.locate(aws, wanted)
    live = kind.read(aws, resource_id, {}) if resource_id and resource_id not in known else None
    if resource_id is None or live is None:
        return None
    fields, old = unlike(kind, live, wanted)
    if any(kind.replacement(field, old.get(field.name), wanted.get(field.name)) for field in fields):
        raise taken(resource_id, kind.token.rpartition(":")[2])
    outputs = dict(live.outputs)
    if names := frozenset(field.name for field in fields):
        outputs |= kind.update(aws, Change(resource_id, old, wanted, outputs, names))
    return Made(resource_id, outputs)


def unlike(kind: Resource, live: Live, wanted: Mapping[str, Any]) -> tuple[list[Field], dict[str, Any]]:
    """The fields in which a resource is not as wanted, and the inputs that would make what it is."""
    looked_at = {*live.inputs, "tags"}
    seen = Live(live.inputs, live.outputs, without_mark(live.tags), live.pending)
    old = {name: value for name, value in wanted.items() if name not in looked_at} | live_inputs(kind, {}, seen, {})
    return differing(kind, old, wanted), old


def _marked(kind: Resource, aws: Aws, known: Set[str], mark: str) -> str | None:
    found = sorted(set(kind.bearing(aws, mark)) - known)
    if len(found) > 1:
        raise AwsError(
            f"creating {kind.token.rpartition(':')[2]}",
            "Ambiguous",
            f"its creation was cut off, and {' and '.join(found)} bear the mark {MARK}={mark} of this resource",
            f"Look at each, take the tag {MARK} off those that are to be left alone, and run the command again.",
        )
    return found[0] if found else None
