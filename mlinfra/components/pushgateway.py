"""The Pushgateway of a `Monitoring`: where jobs that end leave their numbers, until the next run leaves others.

Source: Prometheus, "When to use the Pushgateway".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.cluster_store import let_in
from mlinfra.components.monitoring_part import Part
from mlinfra.components.network_policies import NETWORKING, is_closed, pods, tcp
from mlinfra.components.workload import Request
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

PORT: Final = 9091
_NAME: Final = "pushgateway"
_REQUEST: Final = Request(cpu=0.02, memory=0.0625)


def is_wanted(monitoring: Monitoring) -> bool:
    """Whether there is one: something that is watched pushes, or the blueprint asks for one."""
    return monitoring.pushgateway or any(component.pushes for component in monitoring.watches)


def host(monitoring: Monitoring, scope: Scope) -> str:
    """Host and port, as Prometheus finds it."""
    return f"{_part(monitoring, scope).identity}:{PORT}"


def address(monitoring: Monitoring) -> Value:
    """Its URL, for pods of the cluster."""
    name = monitoring.output(f"{_NAME}-service", "metadata", "name")
    return join("http://", name, ".", monitoring.cluster.namespace, f".svc:{PORT}")


def add(monitoring: Monitoring, scope: Scope, account: Ref) -> None:
    """The Pushgateway where it is wanted; those that push hear where it is, and are let in."""
    if not is_wanted(monitoring):
        return
    part = _part(monitoring, scope)
    container = {
        "image": monitoring.pushgateway_image,
        "args": [f"--web.listen-address=:{PORT}"],
        "ports": [{"name": _NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": _REQUEST.resources(),
        **part.probes("/-/ready", "/-/healthy"),
    }
    pod = part.pod(account, monitoring.cluster.priority_class("serving"), container)
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": part.selector},
        "strategy": {"type": "Recreate"},  # two would each have half of what is pushed
        "template": {"metadata": {"labels": part.labels()}, "spec": pod},
    }
    scope.kubernetes(_NAME, "apps/v1", "Deployment", part.identity, {"spec": spec}, namespace=part.namespace)
    part.add_service()
    if monitoring.pushgateway:
        _open(part)
    for component in monitoring.watches:
        if component.pushes:
            component.push_to(scope, address(monitoring))
            if is_closed(scope, part.namespace):
                let_in(Scope(scope.expansion, component), _NAME, part.selector, PORT, part.namespace)


def _part(monitoring: Monitoring, scope: Scope) -> Part:
    return Part(scope, monitoring.cluster.namespace, _NAME, PORT)


def _open(part: Part) -> None:
    """Let all pods of the namespace push."""
    if not is_closed(part.scope, part.namespace):
        return
    identity, way = part.scope.component.identity, tcp(PORT)
    ingress = {
        "podSelector": {"matchLabels": part.selector},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [pods({}, part.namespace)], **way}],
    }
    egress = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [pods(part.selector, part.namespace)], **way}],
    }
    for local, name, spec in (
        (f"{_NAME}-callers", f"{identity}.{_NAME}-callers", ingress),
        (f"{_NAME}-calls", f"{identity}.{_NAME}-calls", egress),
    ):
        part.scope.kubernetes(local, NETWORKING, "NetworkPolicy", name, {"spec": spec}, namespace=part.namespace)
