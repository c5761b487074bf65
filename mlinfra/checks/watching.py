"""Whether somebody hears of it when what serves people in prod does not: endpoints that no `Monitoring` watches."""

from __future__ import annotations

from collections.abc import Iterable

from mlinfra.authoring import Component
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.monitoring import Monitoring
from mlinfra.diagnostics import Diagnostic
from mlinfra.environment import Environment

UNWATCHED = "endpoint_unwatched"
"""What an endpoint waives that is watched from elsewhere: `waive={"endpoint_unwatched": "why"}`."""


def check_watching(components: Iterable[Component], environment: Environment) -> list[Diagnostic]:
    """An error for each endpoint that nobody watches, in tiers where loss hurts."""
    if not environment.tier.protected:
        return []
    known = list(components)
    # What is not valid has its own diagnostics, and may lack a field.
    watched = {id(item) for one in known if isinstance(one, Monitoring) for item in getattr(one, "watches", ())}
    return [
        _unwatched(item, environment)
        for item in known
        if isinstance(item, Endpoint) and id(item) not in watched and UNWATCHED not in (item.waive or {})
    ]


def _unwatched(endpoint: Endpoint, environment: Environment) -> Diagnostic:
    cluster = getattr(endpoint, "cluster", None)
    where = cluster.name if isinstance(cluster, Component) else "…"
    return Diagnostic(
        f"no Monitoring watches endpoint {endpoint.name!r}, and this is {environment.tier}",
        detail="When it stops answering, nobody is told.",
        remedy=f'Watch it: `Monitoring("watch", cluster={where}, watches=[{endpoint.name}], route=…)`, and give that '
        f'to Blueprint(…).\nIf something outside this stack does: `waive={{"{UNWATCHED}": "<what does>"}}`.',
        location=endpoint.source,
        component=endpoint.name,
        code="endpoint-unwatched",
    )
