"""What is left on a local target: everything that moto and the clusters hold beside what they were born with.

`begin` notes what is there before anything is made, `left` tells what is there beside it, with whose it is.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.local.leaks_owners import owner_by_tags
from mlinfra.local.moto import CONTROL, TOKEN_HEADER, Moto, Server
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster

_SECONDS: Final = 60.0
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
        self._before: dict[str, frozenset[tuple[str, ...]]] = {}

    def begin(self) -> None:
        """Note what is there. The local AWS must not have been used before: what it is born with is seen at birth."""
        from mlinfra.local.leaks_cluster import keys

        self._ask("POST")
        self._before = {name: keys(cluster) for name, cluster in self._clusters.items()}

    def left(self) -> list[Leak]:
        """What is there beside that. What a cluster's controllers are still clearing away is waited for."""
        return self._in_aws() + [leak for name in self._clusters for leak in self._in_cluster(name)]

    def counted(self) -> dict[str, int]:
        """How many things there are to be looked through, by place."""
        return {"AWS": len(self._ask("GET")), **{name: len(found) for name, found in self._before.items()}}

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
            for item in self._ask("GET")
        ]

    def _in_cluster(self, name: str) -> list[Leak]:
        from mlinfra.local.leaks_cluster import left

        deadline = time.monotonic() + _SETTLED
        while found := left(self._clusters[name], self._before[name]):
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
        return [Leak(f"cluster {name}", *rest) for rest in found]

    def _ask(self, method: str) -> Any:
        server = self._moto.running()
        if server is None:
            raise _unanswered("it does not run")
        return _request(server, method)


def _request(server: Server, method: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_SECONDS)
    try:
        connection.request(method, f"{CONTROL}held", headers={TOKEN_HEADER: server.token})
        return json.loads(connection.getresponse().read())["held"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise _unanswered(str(error)) from None
    finally:
        connection.close()


def _unanswered(why: str) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            "the local AWS (moto) does not say what it holds",
            detail=why,
            remedy="Run the rehearsal again: it begins with a new one.",
            code="local-aws-unreachable",
        )
    )
