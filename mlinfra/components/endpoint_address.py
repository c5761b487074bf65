"""The address of an `Endpoint` in the world: an Ingress, or a route by the Gateway API, over TLS.

Sources: Kubernetes, "Ingress"; Gateway API, "HTTPRoute" and "Gateway".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.endpoint_values import GatewayAddress, IngressAddress
from mlinfra.components.failover import front
from mlinfra.components.job_queue import cluster_of
from mlinfra.components.network_policies import NETWORKING
from mlinfra.components.rollout_services import backends, filters, not_ours
from mlinfra.components.workload import HTTP, UNAWAITED
from mlinfra.environment import LOCAL
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

GATEWAY_API: Final = "gateway.networking.k8s.io/v1"
ROUTE: Final = "route"
"""The node of the HTTPRoute."""


def add(endpoint: Endpoint, scope: Scope) -> None:
    """What leads from the host's name to the endpoint's Service, if it has one."""
    match endpoint.address:
        case IngressAddress():
            _ingress(endpoint, endpoint.address, scope)
        case GatewayAddress():
            _check_gateway(endpoint, scope)
            _route(endpoint, endpoint.address, scope)


def _ingress(endpoint: Endpoint, address: IngressAddress, scope: Scope) -> None:
    service = {"name": endpoint.output(front(endpoint), "metadata", "name"), "port": {"name": HTTP}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": {"service": service}}]
    spec = {
        "ingressClassName": address.ingress_class,
        "tls": [{"hosts": [address.host], "secretName": address.certificate(endpoint.identity)}],
        "rules": [{"host": address.host, "http": {"paths": paths}}],
    }
    # The provider waits for an address, which nothing gives it on the local target, and which waits for pods.
    waits = scope.environment.cluster == LOCAL or endpoint.waits_for or endpoint.hours
    skip = UNAWAITED if waits else {}
    scope.kubernetes(
        "ingress",
        NETWORKING,
        "Ingress",
        endpoint.identity,
        {"spec": spec},
        namespace=endpoint.cluster.namespace,
        annotations={**address.notes, **skip},
    )


def _route(endpoint: Endpoint, address: GatewayAddress, scope: Scope) -> None:
    namespace = endpoint.cluster.namespace
    spec = {
        "parentRefs": [_parent(endpoint, address, scope)],
        "hostnames": [address.host],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": backends(endpoint),
                **({"filters": found} if (found := filters(endpoint)) else {}),
            }
        ],
    }
    scope.kubernetes(
        ROUTE,
        GATEWAY_API,
        "HTTPRoute",
        endpoint.identity,
        {"spec": spec},
        namespace=namespace,
        annotations=None if address.gateway_class else address.annotations,
        ignore_changes=not_ours(endpoint),
    )


def _parent(endpoint: Endpoint, address: GatewayAddress, scope: Scope) -> dict[str, Value]:
    """The Gateway's listener that the route is on; the Gateway is made where it is the endpoint's own."""
    name: Value = address.gateway
    elsewhere = {"namespace": address.gateway_namespace} if address.gateway_namespace else {}
    if address.gateway_class:
        name = Ref(_gateway(endpoint, address, scope).node, ("metadata", "name"))
    return {"name": name, **elsewhere, "sectionName": address.listener}


def _gateway(endpoint: Endpoint, address: GatewayAddress, scope: Scope) -> Ref:
    certificate = {"kind": "Secret", "name": address.certificate(endpoint.identity)}
    listener = {
        "name": address.listener,
        "hostname": address.host,
        "port": 443,
        "protocol": "HTTPS",
        "tls": {"mode": "Terminate", "certificateRefs": [certificate]},
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    spec = {"gatewayClassName": address.gateway_class, "listeners": [listener]}
    return scope.kubernetes(
        "gateway",
        GATEWAY_API,
        "Gateway",
        endpoint.identity,
        {"spec": spec},
        namespace=endpoint.cluster.namespace,
        annotations=address.notes,
    )


def _check_gateway(endpoint: Endpoint, scope: Scope) -> None:
    cluster = cluster_of(endpoint.cluster)
    if cluster is None or cluster.gateway_api:
        return
    scope.problem(
        f"endpoint {endpoint.name!r} has an address by the Gateway API, and cluster {cluster.name!r} does not say that "
        "it has that",
        detail="Without a controller for it nothing would come of a route.",
        remedy="Where one runs in the cluster, say so: `TrainingCluster(…, gateway_api=True)`. Else take "
        "`IngressAddress(…)`.",
        code="gateway-api-missing",
    )
