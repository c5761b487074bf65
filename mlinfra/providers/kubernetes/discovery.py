"""Which kinds a cluster serves, and under which paths.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError

_AGGREGATED: Final = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)
"""Two requests for all kinds: stable since Kubernetes 1.30, beta and on by default since 1.27."""
_PAUSE: Final = 1.0  # seconds between two discoveries at the least: a kind that is missing is asked for by many at once


@dataclass(frozen=True, slots=True)
class Resource:
    """How a kind is served: the plural in its path, and whether its objects live in namespaces."""

    plural: str
    namespaced: bool


class Discovery:
    """The kinds of one cluster, asked for once and again only when one is missing. Thread-safe.

    `fetch(path, accept)` makes a GET request and gives the JSON answer.
    """

    def __init__(self, fetch: Callable[[str, str], Mapping[str, Any]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], Resource] = {}
        self._asked = float("-inf")

    def find(self, api_version: str, kind: str, wait: float = 0.0) -> Resource | None:
        """How a kind is served, or None where the cluster has no such kind.

        `wait` is for how many seconds to go on asking, for a kind whose definition was made a moment ago.
        """
        end = time.monotonic() + wait
        while True:
            found = self._found.get((api_version, kind)) or self._ask(api_version, kind)
            if found or time.monotonic() >= end:
                return found
            time.sleep(0.3)

    def forget(self) -> None:
        """The kinds have changed: ask again for the next one that is missing."""
        self._asked = float("-inf")

    def _ask(self, api_version: str, kind: str) -> Resource | None:
        with self._lock:
            missing = (api_version, kind) not in self._found
            if missing and time.monotonic() - self._asked >= _PAUSE:
                found: dict[tuple[str, str], Resource] = {}
                for path in ("/api", "/apis"):
                    found.update(_kinds(self._fetch(path, _AGGREGATED)))
                self._found, self._asked = found, time.monotonic()
            return self._found.get((api_version, kind))


def _kinds(answer: Mapping[str, Any]) -> dict[tuple[str, str], Resource]:
    if answer.get("kind") != "APIGroupDiscoveryList":
        raise MlinfraError(
            Diagnostic(
                "the cluster does not tell its kinds by aggregated discovery",
                remedy="Use Kubernetes 1.27 or newer.",
                code="kubernetes-too-old",
            )
        )
    kinds: dict[tuple[str, str], Resource] = {}
    for group in answer.get("items") or []:
        name = (group.get("metadata") or {}).get("name")
        for version in group.get("versions") or []:
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for resource in version.get("resources") or []:
                if kind := (resource.get("responseKind") or {}).get("kind"):
                    served = Resource(resource["resource"], resource.get("scope") == "Namespaced")
                    kinds.setdefault((api_version, kind), served)
    return kinds
