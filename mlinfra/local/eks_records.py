"""The local EKS: what it holds, plain records by account and region, and how it refuses.

A record is what a describe call answers. What is made, changed or deleted takes effect at once and says so as AWS does:
the answer to the call has the status CREATING, UPDATING or DELETING, the next look at it the new one. `looks` makes it
take longer: so many looks more see it unfinished.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from mlinfra.providers.aws.shapes import capital

MOST: Final = 100
"""Most entries in one page of a list, and as many as there are where the call does not say (API_ListClusters)."""


class EksError(Exception):
    """A refusal with one of AWS's codes; `names` say what it is about (`clusterName`)."""

    def __init__(self, code: str, message: str, **names: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.names = code, message, names


def missing(message: str, **names: str) -> EksError:
    """What the call is about is not there."""
    return EksError("ResourceNotFoundException", message, **names)


def in_use(message: str, **names: str) -> EksError:
    """The name is taken, or something is in the way."""
    return EksError("ResourceInUseException", message, **names)


def wrong(message: str, **names: str) -> EksError:
    """A parameter that AWS does not take."""
    return EksError("InvalidParameterException", message, **names)


def refused(message: str, **names: str) -> EksError:
    """A call that does not go with the state that things are in."""
    return EksError("InvalidRequestException", message, **names)


@dataclass
class Held:
    """One record, and what is being done to it: `CREATING`, `UPDATING`, `DELETING` or nothing."""

    record: dict[str, Any]
    doing: str = ""
    looks: int = 0

    @property
    def busy(self) -> bool:
        """Whether something is being done to it that has not come to its end."""
        return bool(self.doing) and self.looks > 0

    @property
    def over(self) -> bool:
        """Whether it was deleted, and is gone."""
        return self.doing == "DELETING" and self.looks <= 0

    def begin(self, doing: str, looks: int) -> dict[str, Any]:
        """The record as the call that makes, changes or deletes it answers."""
        self.doing, self.looks = doing, looks
        return {**self.record, "status": doing}

    def look(self) -> dict[str, Any]:
        """The record as a describe call answers it; each look brings it nearer to the end."""
        if not self.busy:
            self.doing = ""
            return {**self.record, "status": "ACTIVE"}
        self.looks -= 1
        return {**self.record, "status": self.doing}


@dataclass
class Update:
    """A record of an update; it is in progress as long as what it updates is."""

    record: dict[str, Any]
    target: Held
    within: str = ""

    def look(self) -> dict[str, Any]:
        """The record as it is now."""
        busy = self.target.look()["status"] == "UPDATING"
        return {**self.record, "status": "InProgress" if busy else "Successful"}


@dataclass
class Cluster(Held):
    """A cluster with all that belongs to it, and goes with it.

    `policies` are those of each access entry, by the principal's ARN and by the policy's. `owned` are access entries
    that EKS made itself for the role of a node group.
    """

    node_groups: dict[str, Held] = field(default_factory=dict)
    addons: dict[str, Held] = field(default_factory=dict)
    entries: dict[str, Held] = field(default_factory=dict)
    policies: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    associations: dict[str, Held] = field(default_factory=dict)
    profiles: dict[str, Held] = field(default_factory=dict)
    updates: dict[str, Update] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.record["name"])

    def parts(self) -> Iterable[Held]:
        """All that belongs to it and bears an ARN."""
        for kind in (self.node_groups, self.addons, self.entries, self.associations, self.profiles):
            yield from kind.values()

    def sweep(self) -> None:
        """Let go of what was deleted."""
        for kind in (self.node_groups, self.addons, self.profiles):
            for name in [name for name, held in kind.items() if held.over]:
                del kind[name]


Clusters: TypeAlias = dict[str, Cluster]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: whose it is, what it says, and what there is.

    `clusters` are those of the account in this region; `looks` is how long changes take; `reach` says which API server
    stands for a cluster, by the cluster's tags: its URL and, in base64, the certificate of its authority.
    """

    account: str
    region: str
    partition: str
    given: Mapping[str, Any]
    clusters: Clusters
    looks: int
    reach: Callable[[Mapping[str, str]], tuple[str, str]]

    def arn(self, resource: str) -> str:
        """An ARN of EKS in this account and region."""
        return f"arn:{self.partition}:eks:{self.region}:{self.account}:{resource}"

    def cluster(self, active: bool = False) -> Cluster:
        """The cluster that the call names, which is to be active where `active`."""
        name = str(self.given.get("clusterName") or self.given.get("name"))
        found = self.clusters.get(name)
        if found is None:
            raise missing(f"No cluster found for name: {name}.", clusterName=name)
        if active and found.busy and found.doing != "UPDATING":
            raise refused(f"Cluster '{name}' is not in ACTIVE status", clusterName=name)
        return found

    def chosen(self, *names: str) -> dict[str, Any]:
        """What the call says under these names."""
        return {name: self.given[name] for name in names if self.given.get(name) is not None}

    def page(self, key: str, entries: Iterable[Any]) -> dict[str, Any]:
        """One page of a list, and where the next begins: an opaque token."""
        some = list(entries)
        first = _position(self.given.get("nextToken"), len(some))
        last = first + int(self.given.get("maxResults") or MOST)
        answer: dict[str, Any] = {key: some[first:last]}
        if last < len(some):
            answer["nextToken"] = base64.urlsafe_b64encode(f"eks {last}".encode()).decode()
        return answer

    def update(
        self, cluster: Cluster, target: Held, kind: str, params: Mapping[str, Any], within: str = ""
    ) -> dict[str, Any]:
        """Begin an update of `target`, and answer with the record of it, which tells `params` in capitals."""
        if target.busy:
            target.look()
            raise in_use(
                f"Cannot {kind} because {within or 'cluster'} {cluster.name} currently has an update in progress",
                clusterName=cluster.name,
            )
        record: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "type": kind,
            "params": [{"type": capital(name), "value": str(value)} for name, value in params.items()],
            "createdAt": time.time(),
            "errors": [],
        }
        cluster.updates[record["id"]] = Update(record, target, within)
        target.begin("UPDATING", self.looks)
        return {"update": {**record, "status": "InProgress"}}


def again(held: Held | None, call: Call) -> bool:
    """Whether a create call came before, with the same token: it has no further effect, and is no error."""
    token = call.given.get("clientRequestToken")
    return bool(held and token and held.record.get("clientRequestToken") == token)


def _position(token: Any, count: int) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(str(token)).decode().partition(" ")
        position = int(number)
    except ValueError:
        raise wrong("Invalid nextToken") from None
    if word != "eks" or not 0 <= position <= count:
        raise wrong("Invalid nextToken")
    return position
