"""What a cluster's API server refused, or why it cannot be reached, as diagnostics.

The shape of a refusal is the `Status` object:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError

_CONFLICT: Final = "FieldManagerConflict"


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the causes in a `Status`: the field in Kubernetes' notation (`spec.replicas`), a reason and a message."""

    reason: str
    message: str
    field: str


class ApiError(MlinfraError):
    """The API server answered a request with a failure.

    `status` is the HTTP status, `reason` Kubernetes' own word (`Invalid`, `NotFound`, `Conflict`, …) and `message` its
    explanation. `causes` has the single fields, where the server names them.
    """

    def __init__(self, method: str, path: str, status: int, body: object) -> None:
        record: Mapping[str, Any] = body if isinstance(body, dict) else {}
        details = record.get("details") or {}
        self.status = status
        self.reason: str = record.get("reason") or ""
        self.message: str = record.get("message") or str(body).strip() or "no explanation given"
        self.kind: str = details.get("kind") or ""
        self.causes = tuple(
            Cause(item.get("reason") or "", item.get("message") or "", item.get("field") or "")
            for item in details.get("causes") or []
        )
        where = f"HTTP {status} to {method} {path.partition('?')[0]}"
        super().__init__(_conflict(self.conflicts, where) if self.conflicts else self._refusal(where))

    @property
    def conflicts(self) -> tuple[Cause, ...]:
        """The fields that another manager owns, for a server-side apply that was refused for them.

        Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
        """
        return tuple(cause for cause in self.causes if cause.reason == _CONFLICT)

    def _refusal(self, where: str) -> Diagnostic:
        return Diagnostic(
            self.message, detail=where, remedy=_REMEDIES.get(self.status, ""), code=f"kubernetes-{self.status}"
        )


class UnreachableError(MlinfraError):
    """The API server cannot be reached, or its certificate is not trusted.

    `sent` says that a request may have arrived: nobody knows whether it took effect.
    """

    def __init__(self, server: str, why: str, *, sent: bool = False) -> None:
        self.sent = sent
        super().__init__(
            Diagnostic(
                f"the Kubernetes API server at {server} cannot be reached",
                detail=why,
                remedy="Check that the cluster is running and that this machine may connect to it.",
                code="kubernetes-unreachable",
            )
        )


_REMEDIES: Final = {
    401: "Sign in to the cluster again: the kubeconfig's credentials are not accepted.",
    403: "Ask for the permission, or use credentials that have it.",
}


def _conflict(causes: tuple[Cause, ...], where: str) -> Diagnostic:
    owned = "\n".join(f"  {cause.field}: {cause.message.replace('conflict with', 'owned by', 1)}" for cause in causes)
    return Diagnostic(
        f"another manager owns fields that are declared here:\n{owned}",
        detail=where,
        remedy='Leave those fields out, or take them over with the annotation pulumi.com/patchForce: "true".',
        code="kubernetes-conflict",
    )
