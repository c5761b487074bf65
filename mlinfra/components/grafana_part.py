"""Grafana beside the Prometheus of a `Monitoring`, with a dashboard for each kind of thing that is watched.

What the dashboards show is in `grafana_endpoints`, `grafana_models`, `grafana_jobs` and `grafana_cluster`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mlinfra import naming
from mlinfra.components import grafana_cluster, grafana_endpoints, grafana_jobs, grafana_models, grafana_pod
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.grafana_panels import Page, text, with_sources
from mlinfra.components.grafana_values import Grafana
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.metric_sources import sources
from mlinfra.components.monitoring_part import Part
from mlinfra.components.network_policies import HTTPS, NETWORKING, is_closed, pods, tcp
from mlinfra.components.place import Place
from mlinfra.components.prometheus import PORT, Subject
from mlinfra.components.promql import is_among
from mlinfra.components.secret_sources import Generated, add_value
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

PART: Final = "grafana"
_UID: Final = 40
"""The most characters of a dashboard's uid (Grafana, "Dashboard JSON model")."""


def pages(monitoring: Monitoring, subjects: Iterable[Subject]) -> tuple[Page, ...]:
    """The dashboards of what is watched, with all that has a source."""
    patterns = tuple(pattern for source in sources(monitoring, subjects) for pattern in source.metrics)
    watched = monitoring.watches
    wanted = (
        grafana_endpoints.page([item for item in watched if isinstance(item, Endpoint)]),
        grafana_models.page(watched),
        grafana_jobs.page(watched),
        grafana_cluster.page(monitoring.cluster),
    )

    def has(metric: str) -> bool:
        return is_among(metric, patterns)

    return tuple(kept for page in wanted if page and (kept := with_sources(page, has)))


def dashboards(scope: Scope, wanted: Sequence[Page]) -> dict[str, str]:
    """The dashboards' files, by their names."""
    tags = (scope.expansion.blueprint, scope.environment.name, scope.component.name)
    return {f"{page.key}.json": text(page, scope.label_name(page.key, limit=_UID), tags) for page in wanted}


def add(monitoring: Monitoring, scope: Scope, subjects: Iterable[Subject]) -> None:
    """Add Grafana, which looks at the Prometheus behind the component's own Service."""
    grafana, place = monitoring.grafana, monitoring.cluster
    if grafana is None:
        return
    part = Part(scope, place.namespace, PART, grafana_pod.PORT)
    shown = dashboards(scope, pages(monitoring, subjects))
    address = f"http://{scope.component.identity}:{PORT}"
    files = grafana_pod.files(grafana, address, monitoring.scrape_seconds, next(iter(shown), ""))
    maps = {
        "config": _map(part, "config", part.identity, files),
        "dashboards": _map(part, "dashboards", f"{part.identity}-dashboards", shown),
    }
    no_token = {"automountServiceAccountToken": False}
    account = scope.kubernetes(
        f"{PART}-account", "v1", "ServiceAccount", part.identity, no_token, namespace=place.namespace
    )
    template = {
        "metadata": {
            "labels": part.labels(),
            # What Grafana reads when it starts; dashboards it looks at again and again.
            "annotations": {f"{DOMAIN}/config-hash": naming.short_hash(*files.values(), length=16)},
        },
        "spec": grafana_pod.spec(
            part,
            grafana,
            Ref(account.node, ("metadata", "name")),
            place.priority_class("serving"),
            maps,
            _secrets(part, grafana, place),
        ),
    }
    body = {
        "replicas": 1,
        "selector": {"matchLabels": part.selector},
        "strategy": {"type": "Recreate"},  # its database is a file that one process can write
        "template": template,
    }
    scope.kubernetes(
        f"{PART}-deployment", "apps/v1", "Deployment", part.identity, {"spec": body}, namespace=place.namespace
    )
    part.add_service()
    _open_ways(part, grafana)


def _map(part: Part, local: str, name: str, files: Mapping[str, str]) -> Ref:
    data = {"data": dict(files)}
    held = part.scope.kubernetes(f"{PART}-{local}", "v1", "ConfigMap", name, data, namespace=part.namespace)
    return Ref(held.node, ("metadata", "name"))


def _secrets(part: Part, grafana: Grafana, place: Place) -> dict[str, Value]:
    """The names of the Secrets that Grafana reads; a password that nobody gives is made up."""
    scope = part.scope
    found: dict[str, Value] = {}
    if grafana.admin_password:
        found[grafana_pod.PASSWORD] = _held(scope, grafana.admin_password, place)
    else:
        value = add_value(scope, Generated(), 1, f"{PART}-password")
        data = {"type": "Opaque", "stringData": {grafana_pod.KEY: value}}
        secret = scope.kubernetes(f"{PART}-secret", "v1", "Secret", part.identity, data, namespace=part.namespace)
        found[grafana_pod.PASSWORD] = Ref(secret.node, ("metadata", "name"))
    if grafana.oidc:
        found[grafana_pod.CLIENT] = _held(scope, grafana.oidc.client_secret, place)
    return found


def _held(scope: Scope, secret: ManagedSecret, place: Place) -> Value:
    """The name of a secret's Kubernetes Secret in the namespace; an error where it is not there."""
    if key := secret.key_in(place.namespace):
        return key["name"]
    scope.problem(
        f"Grafana of {scope.component.name!r} wants secret {secret.name!r}, and its namespace does not have it",
        detail="Pods mount Secrets of their own namespace alone.",
        remedy=f"Name the place in the secret: `in_cluster=[{place.name}]`.",
        code="secret-elsewhere",
    )
    return secret.identity


def _open_ways(part: Part, grafana: Grafana) -> None:
    """Out to where people sign in, in for who calls. Nothing where the namespace is open, and nothing in any case for
    the way to Prometheus, which all parts of a `Monitoring` have."""
    if not is_closed(part.scope, part.namespace):
        return
    spec: dict[str, Value] = {}
    if grafana.oidc:
        spec["egress"] = [tcp(HTTPS)]
    if grafana.called_from:
        spec["ingress"] = [{"from": [pods({}, space) for space in grafana.called_from], **tcp(part.port)}]
    if spec:
        spec |= {"podSelector": {"matchLabels": part.selector}, "policyTypes": [key.capitalize() for key in spec]}
        name = f"{part.scope.component.identity}.{PART}"
        part.scope.kubernetes(
            f"{PART}-network", NETWORKING, "NetworkPolicy", name, {"spec": spec}, namespace=part.namespace
        )
