"""References between a deployment's resources: dangling ones taken out, former names replaced by present ones.

Resources refer to each other by URN, `urn:pulumi:STACK::PROJECT::TYPE::NAME`, in which TYPE has the parents' types
before it: `parent$own`. Sources: `rebuildDependencies` in pkg/backend/journal.go and `NormalizeURNReferences` in
sdk/go/common/apitype/core.go of pulumi/pulumi, version 3.222.0. Both functions change the list that they are given,
never the resources in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra.state.entries import Json, ReplayError

_STACK_TYPE: Final = "pulumi:pulumi:Stack"
_PROVIDER_TYPE: Final = "pulumi:providers:"
_UNKNOWN_ID: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The id of a provider that has none yet."""


def prune(resources: list[Json]) -> None:
    """Take out references to what is not there: a refresh removes resources that others still refer to.

    A resource can only depend on those before it; its parent may be anywhere.
    """
    known: set[str] = set()
    for place in range(len(resources)):
        _pad_replace_with(resources, place, known)
        state = resources[place]
        resources[place] = _changed(
            state,
            {
                "dependencies": [urn for urn in state.get("dependencies") or () if urn in known],
                "propertyDependencies": {
                    name: kept
                    for name, urns in (state.get("propertyDependencies") or {}).items()
                    if (kept := [urn for urn in urns or () if urn in known])
                },
                "deletedWith": state.get("deletedWith") if state.get("deletedWith") in known else None,
            },
        )
        known.add(state.get("urn") or "")
    for place, state in enumerate(resources):
        if state.get("parent") and state["parent"] not in known:
            resources[place] = _changed(state, {"parent": None})


def _pad_replace_with(resources: list[Json], place: int, known: set[str]) -> None:
    """For each dangling `replaceWith`, add an empty one to the resource of the same number as the reference has.

    That is a slip in the engine's `rebuildDependencies`, where an inner loop takes the outer one's variable. It does no
    harm, since empty references are skipped wherever they are read, and is repeated here so that a state is the same
    whoever stores it. Where there is no resource of that number the engine dies; here nothing is added.
    """
    for number, urn in enumerate(resources[place].get("replaceWith") or ()):
        if urn not in known and number < len(resources):
            padded = [*(resources[number].get("replaceWith") or ()), ""]
            resources[number] = {**resources[number], "replaceWith": padded}


def normalize(resources: list[Json]) -> None:
    """Replace former names by present ones in every reference, and drop the lists of former names.

    Raises `ReplayError` where two resources claim one former name, or a reference to a provider is none.
    """
    present = _present_names(resources)
    providers: dict[str, str] = {}
    for place, state in enumerate(resources):
        changes: Json = {"aliases": None}
        if provider := state.get("provider"):
            if provider not in providers:
                providers[provider] = _provider_reference(provider, present)
            changes["provider"] = providers[provider]
        if present:
            for field in ("urn", "parent", "deletedWith", "viewOf"):
                changes[field] = _renamed(state.get(field) or "", present)
            changes["dependencies"] = [_renamed(urn, present) for urn in state.get("dependencies") or ()]
            changes["propertyDependencies"] = {
                name: urns and [_renamed(urn, present) for urn in urns]
                for name, urns in (state.get("propertyDependencies") or {}).items()
            }
        resources[place] = _changed(state, changes)


def _renamed(urn: str, present: Mapping[str, str]) -> str:
    return present.get(urn, urn)


def _present_names(resources: list[Json]) -> dict[str, str]:
    """Present URNs by former ones: those that resources name as aliases, and those that changed with a parent's."""
    present: dict[str, str] = {}
    for state in resources:
        urn = state.get("urn") or ""
        for alias in state.get("aliases") or ():
            if present.setdefault(alias, urn) != urn:
                raise ReplayError(f"{present[alias]} and {urn} have the same alias {alias}")
        parent = present.get(state.get("parent") or "")
        if parent and (parent_type := _urn_parts(parent)[2]) != _STACK_TYPE:
            prefix, project, kind, name = _urn_parts(urn)
            own_type = kind.rpartition("$")[2]
            present[urn] = "::".join((prefix, project, f"{parent_type}${own_type}", name))
    return present


def _provider_reference(reference: str, present: Mapping[str, str]) -> str:
    """A reference to a provider, `URN::ID`, by the provider's present URN."""
    urn, _, identity = reference.rpartition("::")
    for name in (urn, renamed := _renamed(urn, present)):
        kind = _urn_parts(name)[2].rpartition("$")[2]
        if not kind.startswith(_PROVIDER_TYPE) or kind == _PROVIDER_TYPE:
            raise ReplayError(f"{reference} is not a reference to a provider")
    return f"{renamed}::{identity or _UNKNOWN_ID}"


def _urn_parts(urn: str) -> list[str]:
    """`urn:pulumi:STACK`, project, qualified type and name, in which anything may stand."""
    parts = urn.split("::", 3)
    if len(parts) < 4 or not urn.startswith("urn:pulumi:"):
        raise ReplayError(f"{urn!r} is not a URN")
    return parts


def _changed(state: Json, changes: Json) -> Json:
    """A resource with changes made, or itself if there are none; a field that becomes empty is left out."""
    changes = {field: value for field, value in changes.items() if value != state.get(field)}
    changes = {field: value for field, value in changes.items() if value or field in state}
    if not changes:
        return state
    return {field: value for field, value in {**state, **changes}.items() if value or field not in changes}
