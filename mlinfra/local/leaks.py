"""What is left on a local target: everything that moto and the clusters hold beside what they were born with.

`begin` notes what is there before anything is made, `left` tells what is there beside it, with whose it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.local import leaks_cluster
from mlinfra.local.leaks_owners import owner_by_tags
from mlinfra.local.moto import Moto
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster

_SETTLED: Final = 15.0
_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that is left. `where` is `AWS` and the region, or `cluster` and its name; `owner` says whose."""

    where: str
    type: str
    id: str
    owner: str = ""
    arn: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.type} {self.id} in {self.where}" + (f" ({self.owner})" if self.owner else "")

    def as_json(self) -> dict[str, Any]:
        """As plain data, without what is empty."""
        return {key: value for key, value in asdict(self).items() if value}


class LeakScan:
    """A scan of one project's local AWS, and of some of its clusters, by name."""

    def __init__(self, project: Project, clusters: Mapping[str, Cluster]) -> None:
        self._moto = Moto(project.folder("local", "moto"))
        self._clusters = clusters
        self._before: dict[str, frozenset[leaks_cluster.Key]] = {}

    def begin(self) -> None:
        """Note what is there. The local AWS must not have been used before: what it is born with is seen at birth."""
        self._held(watch=True)
        self._before = {name: leaks_cluster.keys(cluster) for name, cluster in self._clusters.items()}

    def left(self) -> list[Leak]:
        """What is there beside that. What a cluster's controllers are still clearing away is waited for."""
        return self._in_aws() + [leak for name in self._clusters for leak in self._in_cluster(name)]

    def _in_aws(self) -> list[Leak]:
        return [
            Leak(
                f"AWS {item['region']}",
                item["type"],
                item["id"],
                owner_by_tags(item["tags"]),
                item["arn"],
                item["tags"],
            )
            for item in self._held()
        ]

    def _in_cluster(self, name: str) -> list[Leak]:
        deadline = time.monotonic() + _SETTLED
        while found := leaks_cluster.left(self._clusters[name], self._before[name]):
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
        return [Leak(f"cluster {name}", kind, what, owner, tags=labels) for kind, what, owner, labels in found]

    def _held(self, *, watch: bool = False) -> list[dict[str, Any]]:
        server = self._moto.running()
        if server is None:
            raise MlinfraError(
                Diagnostic(
                    "the local AWS (moto) does not say what it holds",
                    detail="it does not run",
                    remedy="Run the rehearsal again: it begins with a new one.",
                    code="local-aws-unreachable",
                )
            )
        return self._moto.held(server, watch=watch)
