"""Delete: the very object that the state knows, and until it is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.kubernetes.awaiting import deadline, gone
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import PROPAGATION, SKIP_AWAIT, annotation, lookup, split_id
from mlinfra.providers.kubernetes.rules import OWNERS
from mlinfra.providers.kubernetes.session import Session

_CONFLICT: Final = 409


def delete(
    session: Session,
    urn: str,
    identity: str,
    kind: tuple[str, str],
    outputs: Mapping[str, Any],
    timeout: float,
    stopped: Callable[[], bool],
) -> None:
    """Delete an object and wait until it is gone; one that is gone already, or made anew by somebody, is left alone.

    `outputs` are the state's, plain. Raises `MlinfraError` naming the finalizers for one that stays.
    """
    cluster, _ = session.connected()
    api_version, name_of_kind = outputs.get("apiVersion") or kind[0], outputs.get("kind") or kind[1]
    namespace, name = split_id(identity)
    policy = annotation(outputs, PROPAGATION).capitalize()
    try:
        left = cluster.delete(
            api_version,
            name_of_kind,
            name,
            namespace,
            uid=lookup(outputs, "metadata", "uid"),
            propagation=policy or ("Foreground" if name_of_kind in OWNERS else "Background"),
        )
    except ApiError as error:
        if error.status == _CONFLICT and "UID" in error.message:
            return
        raise
    if left is None or annotation(left, SKIP_AWAIT) == "true":
        return
    left = {**left, "apiVersion": api_version, "kind": name_of_kind}
    if kept := gone(session, urn, left, deadline(outputs, timeout), stopped):
        raise MlinfraError(
            Diagnostic(
                f"{name_of_kind} {identity} is being deleted but is not gone",
                detail=kept,
                remedy="Find out what its finalizers wait for; deleting can be tried again at any time.",
                code="kubernetes-not-gone",
            )
        )
