"""Where requests for an `Endpoint` go while none of its replicas answers: HAProxy, between its callers and its Service.

Neither a Service nor the Gateway API's core knows of a second choice, so that something has to look whether the first
one answers. HAProxy asks both endpoints for their health; a server that is `backup` gets requests only while no other
one is up. A request that finds nobody to connect to is sent to the other endpoint, so that it is not lost. Source:
HAProxy, "Configuration Manual" (`backup`, `check`, `observe`, `on-error`, `option redispatch`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra import naming
from mlinfra.authoring import Component
from mlinfra.components.endpoint_auth import IMAGE
from mlinfra.components.endpoint_images import pinned
from mlinfra.components.network_policies import let_call
from mlinfra.components.workload import (
    COMPONENT_LABEL,
    HTTP,
    Request,
    container_security,
    placement,
    pod_labels,
    pod_security,
)
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value, join

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

PORT: Final = 8402
SERVICE: Final = "failover-service"
"""The node of the Service that callers of an endpoint with a failover use."""

FILE: Final = "haproxy.cfg"
_FOLDER: Final = "/etc/mlinfra"
_ALIVE: Final = "/.failover/alive"
_REQUEST: Final = Request(cpu=0.1, memory=0.125)
_REPLICAS: Final = 2

_CONFIGURATION: Final = """\
global
    maxconn 4096
defaults
    mode http
    timeout connect 1s
    timeout http-request 10s
    timeout client {seconds}s
    timeout server {seconds}s
    retries 2
    option redispatch 1
frontend callers
    bind :{port}
    monitor-uri {alive}
    default_backend model
backend model
    option httpchk GET {path}
    http-check expect status 200
    default-server check inter 2s fall 2 rise 2
"""
_FIRST: Final = " observe layer4 error-limit 1 on-error mark-down\n"
_SECOND: Final = " backup\n"


def is_component(value: object) -> object:
    """A field that takes another component of its own kind would take a dict, too, and make one of it."""
    if value is not None and not isinstance(value, Component):
        raise ValueError("write an Endpoint")
    return value


def front(endpoint: Endpoint) -> str:
    """The node of the Service that callers use."""
    return SERVICE if endpoint.failover else "service"


def add(endpoint: Endpoint, scope: Scope) -> None:
    """Add the proxy, its Service and who may call it, where the endpoint names another one to fall back on."""
    other = endpoint.failover
    if other is None:
        return
    _check(endpoint, other, scope)
    namespace, name = endpoint.cluster.namespace, f"{endpoint.identity}-failover"
    text = configuration(endpoint, other)
    config = scope.kubernetes("failover-config", "v1", "ConfigMap", name, {"data": {FILE: text}}, namespace=namespace)
    labels = {COMPONENT_LABEL: f"{endpoint.identity}.failover"}  # no component's name has a dot
    metadata = {
        "labels": {**pod_labels(scope), **labels},
        "annotations": {f"{DOMAIN}/config-hash": naming.short_hash(_text(text), length=16)},
    }
    spec = {
        "replicas": _REPLICAS,
        "selector": {"matchLabels": labels},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": metadata,
            "spec": _pod(endpoint, scope, Ref(config.node, ("metadata", "name")), labels),
        },
    }
    # Names of hosts are looked up when it starts.
    services = (endpoint.node("service"), other.node(front(other)))
    scope.kubernetes(
        "failover", "apps/v1", "Deployment", name, {"spec": spec}, namespace=namespace, depends_on=services
    )
    ports = [{"name": HTTP, "port": endpoint.port, "targetPort": HTTP, "protocol": "TCP"}]
    service = {"spec": {"type": "ClusterIP", "selector": labels, "ports": ports}}
    scope.kubernetes(SERVICE, "v1", "Service", name, service, namespace=namespace)
    budget = {"selector": {"matchLabels": labels}, "maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    scope.kubernetes("failover-budget", "policy/v1", "PodDisruptionBudget", name, {"spec": budget}, namespace=namespace)
    callers = {place.name: place.namespace for place in (endpoint.cluster, *endpoint.callers)}
    world = [endpoint.address.controller_namespace] if endpoint.address else []
    others = list(dict.fromkeys([*endpoint.called_from, *world]))
    let_call(scope, namespace, PORT, callers, others, labels=labels, part="failover")


def configuration(endpoint: Endpoint, other: Endpoint) -> Value:
    """`haproxy.cfg`."""
    head = _CONFIGURATION.format(
        seconds=max(endpoint.drain_seconds, 60), port=PORT, alive=_ALIVE, path=endpoint.served_by.ready
    )
    return join(head, *_server("first", endpoint, "service"), _FIRST, *_server("other", other, front(other)), _SECOND)


def _server(name: str, endpoint: Endpoint, service: str) -> tuple[Value, ...]:
    host = endpoint.output(service, "metadata", "name")
    return f"    server {name} ", host, ".", endpoint.cluster.namespace, ".svc:", str(endpoint.port)


def _text(value: Value) -> str:
    """A text that changes whenever the configuration does."""
    return repr(value)


def _pod(endpoint: Endpoint, scope: Scope, config: Ref, labels: dict[str, str]) -> dict[str, Value]:
    alive = {"httpGet": {"path": _ALIVE, "port": HTTP}, "periodSeconds": 5}
    proxy = {
        "name": "proxy",
        "image": pinned(scope, endpoint.helpers.proxy, IMAGE, "helpers=HelperImages(proxy=…)"),
        "command": ["haproxy", "-W", "-db", "-f", f"{_FOLDER}/{FILE}"],
        "ports": [{"name": HTTP, "containerPort": PORT, "protocol": "TCP"}],
        "resources": _REQUEST.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [{"name": "config", "mountPath": _FOLDER, "readOnly": True}],
        "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
        "startupProbe": {**alive, "failureThreshold": 12},
        "readinessProbe": alive,
        "livenessProbe": {**alive, "failureThreshold": 6},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    return {
        **placement(scope, endpoint.pool),
        "serviceAccountName": endpoint.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": endpoint.cluster.priority_class("serving"),
        "terminationGracePeriodSeconds": 10 + endpoint.drain_seconds,
        "securityContext": pod_security(endpoint.run_as_user),
        "topologySpreadConstraints": [spread],
        "containers": [proxy],
        "volumes": [{"name": "config", "configMap": {"name": config}}],
    }


def _check(endpoint: Endpoint, other: Endpoint, scope: Scope) -> None:
    """Note as errors what would keep requests from reaching the other endpoint, or from being understood there."""
    here, there = endpoint.cluster, other.cluster
    if scope.cluster_of(here.namespace) != scope.cluster_of(there.namespace):
        scope.problem(
            f"endpoint {endpoint.name!r} fails over to {other.name!r}, which is in another Kubernetes cluster",
            detail="Network policies and the addresses of services end with the cluster.",
            remedy="Name an endpoint in the same cluster. Between clusters, DNS with health checks does it.",
            code="failover-other-cluster",
        )
    elif here is not there and here not in other.callers:
        scope.problem(
            f"endpoint {endpoint.name!r} fails over to {other.name!r}, which is not called from {here.name!r}",
            remedy=f"Name it there: `callers=[…, {here.name}]` of {other.name}.",
            code="failover-not-a-caller",
        )
    if other.served_by.ready != endpoint.served_by.ready:
        scope.problem(
            f"endpoint {endpoint.name!r} fails over to {other.name!r}, and their health is at different paths",
            detail=f"They are {endpoint.served_by.ready} and {other.served_by.ready}. Requests go there as they came, "
            "so that both have to have the same paths.",
            remedy="Let both be of the same runtime, or have the same `health_path`.",
            code="failover-other-paths",
        )
    if getattr(endpoint.address, "gateway", None) is not None or endpoint.variants or endpoint.shadow:
        scope.problem(
            f"endpoint {endpoint.name!r} has a failover, and a route by Gateway API that shares its traffic",
            detail="The route leads to the versions themselves, past what would fail over.",
            remedy="Leave one of the two out, or give it an address by an Ingress.",
            code="failover-route",
        )
