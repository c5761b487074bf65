"""What a change of inputs comes to: differences by property path, replacements, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.functions import Unknown, holds
from mlinfra.providers.aws.comparing import changed
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.resource import Resource
from mlinfra.wire.protocol import provider_pb2
from mlinfra.wire.values import differences, property_path

AUTONAMED: Final = "__defaults"
"""The input in which Pulumi's providers list the inputs that they made up: a name that may give way to another."""


def differing(kind: Resource, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Field]:
    """The fields in which the inputs differ in meaning."""
    return [
        field
        for field in changed(kind.fields, old, new)
        if not kind.equivalent(field.name, old.get(field.name), new.get(field.name))
    ]


def diff(kind: Resource, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """The engine's DiffResponse for a change of inputs from `old` to `new`."""
    response = provider_pb2.DiffResponse(hasDetailedDiff=True)
    replaces = []
    for field in differing(kind, old, new):
        before, after = old.get(field.name), new.get(field.name)
        replaced = bool(kind.replacement(field, before, after))
        response.diffs.append(field.name)
        if replaced:
            replaces.append(field.name)
        for path, was, becomes in differences(before, after, (field.name,)):
            response.detailedDiff[property_path(path)].CopyFrom(
                provider_pb2.PropertyDiff(kind=_kind(was, becomes, replaced), inputDiff=True)
            )
    some = provider_pb2.DiffResponse.DIFF_SOME if response.diffs else provider_pb2.DiffResponse.DIFF_NONE
    response.changes = some
    response.replaces.extend(replaces)
    response.deleteBeforeReplace = bool(replaces) and (keeps_name(kind, old, new) or keeps_place(kind, old, new))
    return response


def keeps_name(kind: Resource, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a replacement would have the name of what it replaces, so that the old one has to go first."""
    if not kind.names or set(kind.names) & set(new.get(AUTONAMED) or ()):
        return False
    return all(not holds(new.get(name), Unknown) and old.get(name) == new.get(name) for name in kind.names)


def keeps_place(kind: Resource, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a replacement would take what AWS lets one resource alone have (`exclusive`)."""
    return bool(kind.exclusive) and all(
        new.get(name) is not None and not holds(new[name], Unknown) and old.get(name) == new[name]
        for name in kind.exclusive
    )


def _kind(was: Any, becomes: Any, replaced: bool) -> Any:
    word = "ADD" if was is None else "DELETE" if becomes is None else "UPDATE"
    return provider_pb2.PropertyDiff.Kind.Value(word + "_REPLACE" if replaced else word)
