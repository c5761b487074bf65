"""Diff: what changes, and whether in place.

Inputs are compared with inputs: no request when they are equal. What the rules do not know is asked of the server by a
dry run: a refusal that speaks of immutable fields means a replacement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlinfra.functions import Unknown, holds
from mlinfra.graph import Path
from mlinfra.providers.kubernetes import rules
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError, UnreachableError
from mlinfra.providers.kubernetes.objects import AUTONAMED, annotation, lookup, manifest
from mlinfra.providers.kubernetes.ownership import Previous, apply_declared
from mlinfra.providers.kubernetes.session import Session
from mlinfra.wire.protocol import provider_pb2
from mlinfra.wire.values import differences, property_path

_INVALID: Final = 422


def diff(session: Session, urn: str, previous: Previous, new: Object) -> Any:
    """The engine's `DiffResponse` for plain inputs, in which unknowns may stand anywhere."""
    old = manifest(previous.inputs)
    changes = {path: (before, after) for path, before, after in differences(old, manifest(new))}
    session.replacing.discard(urn)
    if changes and previous.imported and session.cluster and not holds(new, Unknown):
        changes = _against_live(session.cluster, previous, new, changes)
    if not changes:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE, hasDetailedDiff=True)
    replaced = {path for path in changes if rules.replaces(new["kind"], path, old, new)}
    if not replaced and new["kind"] not in rules.MUTABLE and not holds(new, Unknown):
        replaced = _refused(session, urn, previous, new, changes)
    same_place = all(lookup(old, *path) == lookup(new, *path) for path in rules.IDENTITY)
    keeps_name = bool(replaced) and same_place and annotation(new, AUTONAMED) != "true"
    if keeps_name:
        session.replacing.add(urn)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME,
        diffs=sorted({str(path[0]) for path in changes}),
        replaces=[property_path(path) for path in sorted(replaced, key=str)],
        deleteBeforeReplace=keeps_name,
        hasDetailedDiff=True,
        detailedDiff={
            property_path(path): provider_pb2.PropertyDiff(kind=_kind(*sides, path in replaced), inputDiff=True)
            for path, sides in changes.items()
        },
    )


def _kind(before: Any, after: Any, replace: bool) -> int:
    kinds = provider_pb2.PropertyDiff
    if before is None:
        return int(kinds.ADD_REPLACE if replace else kinds.ADD)
    if after is None:
        return int(kinds.DELETE_REPLACE if replace else kinds.DELETE)
    return int(kinds.UPDATE_REPLACE if replace else kinds.UPDATE)


def _refused(session: Session, urn: str, previous: Previous, new: Object, changes: Iterable[Path]) -> set[Path]:
    """The changes that the server refuses to make in place. Any other error is for the update to tell."""
    if session.cluster is None:
        return set()
    try:
        result = apply_declared(session.cluster, manifest(new), previous.manager, previous, dry_run=True)
    except UnreachableError:
        return set()
    except ApiError as error:
        return immutable(error, changes)
    session.keep_dry_run(urn, new, result)
    return set()


def immutable(error: ApiError, changes: Iterable[Path]) -> set[Path]:
    """The changes that a refusal calls impossible in place: those at the fields that it names, else all of them."""
    if error.status != _INVALID or not rules.SAYS_IMMUTABLE.search(error.message):
        return set()
    fields = [
        tuple(re.sub(r"\[.*", "", cause.field).split("."))
        for cause in error.causes
        if cause.field and rules.SAYS_IMMUTABLE.search(cause.message)
    ]
    known = set(changes)
    named = {
        path
        for path in known
        if any(rules.begins_with(path, field) or rules.begins_with(field, path) for field in fields)
    }
    return named or known


def _against_live(
    cluster: Cluster, previous: Previous, new: Object, changes: Mapping[Path, tuple[Any, Any]]
) -> dict[Path, tuple[Any, Any]]:
    """The changes that applying would make to an imported object.

    Its inputs are all that was there, defaults too, so that a comparison would tell every default as a change.
    """
    try:
        result = cluster.apply(manifest(new), manager=previous.manager, force=True, dry_run=True).object
    except (ApiError, UnreachableError):
        return dict(changes)
    would = {path for path, _, _ in differences(manifest(previous.inputs), manifest(result))}
    return {
        path: sides
        for path, sides in changes.items()
        if any(rules.begins_with(path, other) or rules.begins_with(other, path) for other in would)
    }
