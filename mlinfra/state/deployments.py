"""Deployments in the store: a stack's whole state after each update, as JSON that the engine reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, delete, select

from mlinfra.state.entries import Json
from mlinfra.state.replay import ZERO_TIME
from mlinfra.state.store import Transaction
from mlinfra.state.tables import DEPLOYMENTS

SERVICE: Final = "service"
"""The engine's name for the secrets manager that asks the state service: pkg/secrets/service/manager.go."""

NO_URL: Final = "mlinfra:state"
"""What stands in the store for the service's address, which is another one in every run."""

_ROOT: Final = "pulumi:pulumi:Stack"


def _empty() -> Json:
    """What the engine takes for a stack without a state: a manifest of zeros, or it calls the state too old."""
    return {"manifest": {"time": ZERO_TIME, "magic": "", "version": ""}}


@dataclass(frozen=True, slots=True)
class Untyped:
    """A deployment, its schema version and the features it uses: `UntypedDeployment` in the engine's apitype."""

    schema: int = 3
    features: tuple[str, ...] = ()
    deployment: Json = field(default_factory=_empty)

    @property
    def resources(self) -> int:
        """How many resources there are, without the stack itself."""
        return sum(item.get("type") != _ROOT for item in self.deployment.get("resources") or [])

    def as_json(self, url: str) -> Json:
        """As the engine reads it from the service at `url`."""
        return {
            "version": self.schema,
            "features": list(self.features),
            "deployment": with_url(self.deployment, url),
        }


def save(tx: Transaction, stack: int, version: int, whole: Untyped) -> None:
    """Store what an update came to."""
    kept = {"features": list(whole.features), "deployment": with_url(whole.deployment, NO_URL)}
    row = {
        "stack": stack,
        "version": version,
        "made": tx.now,
        "schema": whole.schema,
        "resources": whole.resources,
        "sealed": tx.seal(kept, _place(stack, version)),
    }
    tx.run(delete(DEPLOYMENTS).where(DEPLOYMENTS.c.stack == stack, DEPLOYMENTS.c.version == version))
    tx.add(DEPLOYMENTS, [row])


def load(tx: Transaction, stack: int, version: int | None = None) -> Untyped | None:
    """The state as it was after `version`, or is after the newest; None when there is none that old."""
    query = select(DEPLOYMENTS).where(DEPLOYMENTS.c.stack == stack)
    if version is not None:
        query = query.where(DEPLOYMENTS.c.version <= version)
    row = tx.first(query.order_by(DEPLOYMENTS.c.version.desc()).limit(1))
    return None if row is None else _read(tx, row)


def load_exactly(tx: Transaction, stack: int, version: int) -> Untyped | None:
    """The state that an update came to; None when it came to none, or it is no longer kept."""
    row = tx.first(select(DEPLOYMENTS).where(DEPLOYMENTS.c.stack == stack, DEPLOYMENTS.c.version == version))
    return None if row is None else _read(tx, row)


def prune(tx: Transaction, stack: int, *, count: int, seconds: float) -> int:
    """Drop what is beyond the newest `count` or older than `seconds`, never the newest; how many there were."""
    kept = select(DEPLOYMENTS.c.version).where(DEPLOYMENTS.c.stack == stack).order_by(DEPLOYMENTS.c.version.desc())
    versions = [row.version for row in tx.all(kept.limit(count + 1))]
    if not versions:
        return 0
    beyond = versions[count] if len(versions) > count else -1
    outdated = (DEPLOYMENTS.c.version <= beyond) | (DEPLOYMENTS.c.made < tx.now - seconds)
    older = (DEPLOYMENTS.c.stack == stack, DEPLOYMENTS.c.version < versions[0])
    return tx.run(delete(DEPLOYMENTS).where(*older, outdated))


def with_url(deployment: Json, url: str) -> Json:
    """The deployment, its secrets manager at `url`: the engine goes where the state says, and the service moves."""
    manager = deployment.get("secrets_providers")
    if not isinstance(manager, dict) or manager.get("type") != SERVICE or not isinstance(manager.get("state"), dict):
        return deployment
    return {**deployment, "secrets_providers": {**manager, "state": {**manager["state"], "url": url}}}


def _read(tx: Transaction, row: Row[Any]) -> Untyped:
    kept = tx.unseal(row.sealed, _place(row.stack, row.version))
    return Untyped(row.schema, tuple(kept["features"]), kept["deployment"])


def _place(stack: int, version: int) -> str:
    return f"deployments/{stack}/{version}"
