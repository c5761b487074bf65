"""The report on data, as plain records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who can read a store, or a part of it.

    - `kind`: role, user, group, account, service, federated, or everybody.
    - `name`: its name in AWS; `arn` its ARN, empty where it has none; `component` the component that makes it.
    - `used_by`: who takes a role: a Kubernetes service account, an AWS service, other accounts.
    - `reads`: the part of the store, as the policy names it: `*` is all of it, `datasets/clicks/*` what begins so.
    - `actions`: what it is allowed; `policies` the nodes that allow it, `decrypts_by` those that let it decrypt.
    - `only_if`: what it depends on that is known only when it calls; empty: nothing.
    - `through`: the role that it has to take first; empty: none.
    """

    kind: str
    name: str
    arn: str = ""
    component: str | None = None
    used_by: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    decrypts_by: tuple[str, ...] = ()
    only_if: tuple[str, ...] = ()
    through: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long a store keeps what it holds.

    `days`: days after which data goes, None where it stays until somebody deletes it. `old_version_days`: how long what
    was overwritten or deleted can be had back, 0 for not at all, None for ever. `lock`: until when nobody can delete
    it. `backup_days`: how long copies are kept. `reason`: why it is kept for ever, where somebody says so.
    """

    days: int | None = None
    old_version_days: int | None = 0
    lock: str = ""
    backup_days: int | None = None
    reason: str = ""

    @property
    def text(self) -> str:
        """As people say it: `400 days; old versions 7 days`."""
        kept = "until deleted" if self.days is None else f"{self.days} days"
        parts = [f"{kept} ({self.reason})" if self.reason else kept]
        if self.old_version_days is None:
            parts.append("old versions too")
        elif self.old_version_days:
            parts.append(f"old versions {self.old_version_days} days")
        if self.lock:
            parts.append(f"locked: {self.lock}")
        if self.backup_days is not None:
            parts.append(f"backups {self.backup_days} days")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Store:
    """Something that holds data.

    - `name`: the component, or the node where a component has several stores; `node` the node.
    - `kind`: bucket, dataset, model store, queue, database, secret, parameter, table, file system, images.
    - `holds`: what its author says that it holds; `classification` how sensitive that is, empty where nobody says.
    - `where`: its region; `copies` where else what it holds is copied to.
    - `encrypted_with`: whose key, and where it is one of the graph its node in `key`.
    - `within`: the store of which this one is a part.
    - `notes`: what the policies do not say: reading without them, policies that could not be read.
    """

    name: str
    kind: str
    node: str
    component: str | None
    place: str
    classification: str = ""
    holds: str = ""
    retention: Retention = Retention()
    where: str = ""
    copies: tuple[str, ...] = ()
    encrypted_with: str = ""
    key: str = ""
    within: str = ""
    readers: tuple[Reader, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataReport:
    """All stores of a stack, and what holds for all of them."""

    blueprint: str
    version: str
    environment: str
    stores: tuple[Store, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The report as plain data, without what is empty; lists stay, so that an empty one is seen to be empty."""
        return {
            "blueprint": self.blueprint,
            "version": self.version,
            "environment": self.environment,
            "stores": [_without_empty(asdict(store)) for store in self.stores],
            "notes": list(self.notes),
        }


def _without_empty(record: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in record.items() if value not in (None, "")}
    shown["retention"] = {
        key: value for key, value in record["retention"].items() if value not in (None, "") or key in _ALWAYS
    }
    shown["readers"] = [
        {key: value for key, value in reader.items() if value not in (None, "", ())} for reader in record["readers"]
    ]
    return shown


_ALWAYS = ("days", "old_version_days")
"""Where nothing is said, that says something: for ever."""


def unique(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts without repetitions, in their order, empty ones left out."""
    return tuple(dict.fromkeys(text for text in texts if text))
