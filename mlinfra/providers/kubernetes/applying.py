"""Create and Update: apply, then wait until the object is ready; in a preview, ask the server what would come of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.functions import UNKNOWN, Unknown, holds, reveal
from mlinfra.graph import Path
from mlinfra.providers.base import InitFailedError, UncertainError
from mlinfra.providers.kubernetes import rules
from mlinfra.providers.kubernetes.awaiting import deadline, gone, settle
from mlinfra.providers.kubernetes.client import Applied, Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError, UnreachableError
from mlinfra.providers.kubernetes.objects import lookup, manifest, object_id, state
from mlinfra.providers.kubernetes.ownership import (
    Previous,
    applied_by,
    apply_declared,
    forced,
    foreign,
    inherit,
    manager_of,
)
from mlinfra.providers.kubernetes.readiness import awaited
from mlinfra.providers.kubernetes.secrets import conceal, output_secrets, secret_paths
from mlinfra.providers.kubernetes.session import Session

_PATIENCE: Final = 30.0
"""Seconds that a creation waits for its kind or its namespace, which the same program may be making."""
_PAUSE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Change:
    """One Create or Update. `inputs` has its secrets marked; `previous` is None for a creation.

    `timeout` is in seconds, 0 for the default; `stopped` says that nobody waits for the answer any more.
    """

    urn: str
    inputs: dict[str, Any]
    previous: Previous | None
    timeout: float
    stopped: Callable[[], bool]

    @property
    def plain(self) -> Object:
        """The inputs with secrets laid open, for the server alone."""
        plain: Object = reveal(self.inputs)
        return plain

    @property
    def manager(self) -> str:
        """The field manager to apply as."""
        return self.previous.manager if self.previous else manager_of(self.urn, {})

    def outputs(self, live: Object) -> dict[str, Any]:
        """What the engine keeps, secrets marked."""
        kept = state(live, self.plain, self.manager)
        concealed: dict[str, Any] = conceal(kept, output_secrets(str(live["kind"]), secret_paths(self.inputs)))
        return concealed


def put(session: Session, change: Change) -> tuple[str, dict[str, Any]]:
    """Make or change the object and wait until it is ready: its id and outputs.

    Raises `InitFailedError` for one that exists and is not ready, and `MlinfraError` when nothing has changed.
    """
    cluster, _ = session.connected()
    wanted, end = manifest(change.plain), deadline(change.plain, change.timeout)
    if change.previous is None:
        _make_room(session, change, wanted, end)
    elif change.previous.imported or not change.manager.startswith("mlinfra-"):
        metadata = wanted["metadata"]
        path = cluster.path(wanted["apiVersion"], wanted["kind"], metadata.get("namespace"), metadata["name"])
        inherit(cluster, path, change.manager)
    live = _apply(session, cluster, change, wanted)
    reason = None
    if awaited(live):
        live, reason = settle(session, change.urn, live, end, change.stopped)
    if wanted["kind"] == "CustomResourceDefinition":
        cluster.discovery.forget()
    outputs = change.outputs(live)
    if reason:
        raise InitFailedError(object_id(live), outputs, [reason])
    return object_id(live), outputs


def _make_room(session: Session, change: Change, wanted: Object, end: float) -> None:
    """Before a creation: refuse what somebody else made, and wait for what is being deleted."""
    cluster, _ = session.connected()
    cluster.resource(wanted["apiVersion"], wanted["kind"], _PATIENCE)
    metadata = wanted["metadata"]
    live = cluster.get(wanted["apiVersion"], wanted["kind"], metadata["name"], metadata.get("namespace"))
    if live is None:
        return
    if live["metadata"].get("deletionTimestamp"):
        gone(session, change.urn, live, end, change.stopped)
    elif not forced(wanted) and not applied_by(live, change.manager):
        raise foreign(wanted, live)


def _apply(session: Session, cluster: Cluster, change: Change, wanted: Object) -> Object:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return apply_declared(cluster, wanted, change.manager, change.previous, wait_for_kind=_PATIENCE).object
        except ApiError as error:
            # The namespace is made by a resource that this one does not refer to.
            waits = change.previous is None and error.status == 404 and error.kind == "namespaces"
            if not waits or time.monotonic() > end or session.cancelled.wait(_PAUSE):
                raise
        except UnreachableError as error:
            if error.sent and change.previous is None:
                raise UncertainError(*error.diagnostics) from None
            raise


def preview(session: Session, change: Change) -> dict[str, Any]:
    """What the outputs will be: the server's own answer where it can be asked, else the inputs.

    Raises `MlinfraError` for what the server would refuse, and for an object of somebody else.
    """
    plain = change.plain
    result = session.take_dry_run(change.urn, plain)
    if result is None and session.cluster and not holds(plain, Unknown):
        result = _dry_run(session, session.cluster, change, manifest(plain))
    projected = change.outputs(result.object) if result else dict(change.inputs)
    for path in rules.CHANGING if change.previous else rules.SERVER_MADE:
        if lookup(plain, *path) is None:
            projected = _with_unknown(projected, path)
    return projected


def _dry_run(session: Session, cluster: Cluster, change: Change, wanted: Object) -> Applied | None:
    creating = change.previous is None
    try:
        result = apply_declared(cluster, wanted, change.manager, change.previous, dry_run=True)
    except ApiError as error:
        if creating and error.conflicts:
            _refuse_foreign(session, cluster, change, wanted)
        if _tolerated(error, wanted, replacing=change.urn in session.replacing):
            return None
        raise
    if creating and not result.created:
        _refuse_foreign(session, cluster, change, wanted)
    return result


def _refuse_foreign(session: Session, cluster: Cluster, change: Change, wanted: Object) -> None:
    if change.urn in session.replacing or forced(wanted):
        return
    metadata = wanted["metadata"]
    live = cluster.get(wanted["apiVersion"], wanted["kind"], metadata["name"], metadata.get("namespace"))
    if live and not live["metadata"].get("deletionTimestamp") and not applied_by(live, change.manager):
        raise foreign(wanted, live)


def _tolerated(error: ApiError, wanted: Object, *, replacing: bool) -> bool:
    """Whether a dry run may fail like this and the update still succeed.

    A namespace, a kind or a service account that the same program makes is not there yet; a webhook may not support dry
    runs; the old object of a replacement is still in its place.
    """
    if error.status == 404 or "does not support dry run" in error.message:
        return True
    if wanted["kind"] == "Pod" and error.status == 403:
        return True
    return replacing and (error.status == 422 or bool(error.conflicts))


def _with_unknown(outputs: dict[str, Any], path: Path) -> dict[str, Any]:
    """A copy of the outputs with an unknown at `path`; within `spec` only where the server has put something."""
    first = str(path[0])
    if len(path) == 1:
        return {**outputs, first: UNKNOWN}
    part, key = outputs.get(first), path[1]
    if not isinstance(part, dict) or (first == "spec" and key not in part):
        return outputs
    return {**outputs, first: {**part, key: UNKNOWN}}
