"""Read: refresh and import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.functions import reveal
from mlinfra.providers.base import InitFailedError
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.drift import drifted, overlay
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import IMPORTED, lookup, manifest, split_id, state
from mlinfra.providers.kubernetes.ownership import manager_of
from mlinfra.providers.kubernetes.readiness import NeverReadyError, awaited, missing
from mlinfra.providers.kubernetes.secrets import (
    conceal,
    input_secrets,
    output_secrets,
    secret_paths,
    without_indexes,
)
from mlinfra.providers.kubernetes.session import Session

_DECLARABLE: Final = ("name", "namespace", "labels", "annotations", "finalizers")


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it is now: its id, outputs and inputs, secrets marked."""

    identity: str
    outputs: dict[str, Any]
    inputs: dict[str, Any]


def read(
    session: Session,
    urn: str,
    identity: str,
    kind: tuple[str, str],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> Found | None:
    """Find an object: None when it is gone.

    `inputs` (secrets marked) and `outputs` (plain) are the state's; without outputs the object is imported. Raises
    `InitFailedError` for an object that is there and not ready, which the engine notes in the state.
    """
    cluster, watches = session.connected()
    namespace, name = split_id(identity)
    if namespace is None and session.scopes.namespaced(*kind, cluster):
        namespace, identity = session.namespace, f"{session.namespace}/{name}"
    live = cluster.get(*kind, name, namespace)
    if live is None:
        return None
    manager, imported = manager_of(urn, outputs), not outputs
    now = _declared(live) if imported else _current(cluster, live, manager, dict(inputs), outputs)
    plain = reveal(now)
    kept = state(live, plain, manager)
    if imported or outputs.get(IMPORTED):
        kept[IMPORTED] = True
    known = set(secret_paths(now))
    found = Found(
        identity,
        conceal(kept, output_secrets(kind[1], known)),
        conceal(plain, input_secrets(kind[1], known)),
    )
    if awaited(live) and (reason := _not_ready(live, watches)):
        raise InitFailedError(identity, found.outputs, [reason], found.inputs)
    return found


def _current(
    cluster: Cluster, live: Object, manager: str, inputs: dict[str, Any], outputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The inputs as they are now. Unchanged, and without a request more, where nobody has written since."""
    if live["metadata"]["resourceVersion"] == lookup(outputs, "metadata", "resourceVersion"):
        return inputs
    plain: Object = reveal(inputs)
    applied = manifest({**plain, "apiVersion": live["apiVersion"], "kind": live["kind"]})
    try:
        wanted = cluster.apply(applied, manager=manager, force=True, dry_run=True).object
    except ApiError as error:
        if error.status != 422:
            raise
        wanted = overlay(live, applied)  # a field that cannot be changed back has been changed
    now = drifted(plain, live, wanted)
    if now == plain:
        return inputs
    concealed: dict[str, Any] = conceal(now, without_indexes(secret_paths(inputs)))
    return concealed


def _declared(live: Object) -> dict[str, Any]:
    """Inputs for an object that nobody has declared: all of it that can be declared."""
    metadata = {key: live["metadata"][key] for key in _DECLARABLE if key in live["metadata"]}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}


def _not_ready(live: Object, watches: Any) -> str | None:
    try:
        return missing(live, watches)
    except NeverReadyError as error:
        return str(error)
