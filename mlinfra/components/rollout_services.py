"""The Services by which versions of an endpoint are reached, and the shares that its HTTPRoute gives them.

Sources: Gateway API, "HTTP traffic splitting" and "HTTP request mirroring"; Argo Rollouts, "Traffic Management".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mlinfra.components.rollout_values import Canary
from mlinfra.components.signals import VARIANT_LABEL
from mlinfra.components.workload import HTTP, UNAWAITED, selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

SERVICE: Final = "service"
"""The node of the endpoint's own Service."""
CANARY_SERVICE: Final = "service-canary"
PREVIEW_SERVICE: Final = "service-preview"

_FORCE: Final = {"pulumi.com/patchForce": "true"}
WEIGHTS: Final = "spec.rules[*].backendRefs[*].weight"
"""What the controller writes into an HTTPRoute, as a property path."""


def point(endpoint: Endpoint, scope: Scope, labels: Mapping[str, str], *, after: tuple[str, ...]) -> None:
    """Let the endpoint's Service lead to the pods with these labels, once other nodes are there."""
    name = endpoint.node(SERVICE)
    node = scope.expansion.nodes[name]
    options = replace(node.options, depends_on=(*node.options.depends_on, *after))
    spec = {**node.inputs["spec"], "selector": dict(labels)}
    scope.expansion.nodes[name] = replace(node, inputs={**node.inputs, "spec": spec}, options=options)


def hand_over(endpoint: Endpoint, scope: Scope) -> Ref:
    """Leave the selector of the endpoint's Service to the controller, which points it at one version; its name.

    It is not declared then, so that what the controller writes is no drift.
    """
    name = endpoint.node(SERVICE)
    held = scope.expansion.nodes[name].inputs["spec"]
    scope.expansion.change(name, spec={key: value for key, value in held.items() if key != "selector"})
    return Ref(name, ("metadata", "name"))


def leave_unawaited(endpoint: Endpoint, scope: Scope) -> None:
    """Let nobody wait for pods behind the endpoint's Service: they are the controller's to make."""
    _annotate(endpoint, scope, UNAWAITED)


def take_over(endpoint: Endpoint, scope: Scope) -> None:
    """Let hold what is declared of the endpoint's Service, whoever wrote it before.

    Its selector is the controller's in some rollouts, and ours again once the endpoint has another one.
    """
    _annotate(endpoint, scope, _FORCE)


def _annotate(endpoint: Endpoint, scope: Scope, marks: Mapping[str, str]) -> None:
    name = endpoint.node(SERVICE)
    held = scope.expansion.nodes[name].inputs["metadata"]
    annotations = {**held.get("annotations", {}), **marks}
    scope.expansion.change(name, metadata={**held, "annotations": annotations})


def add_service(
    endpoint: Endpoint, scope: Scope, local: str, suffix: str, labels: Mapping[str, str] | None = None
) -> Ref:
    """Add a further Service, `<endpoint>-<suffix>`, of pods with these labels, or left to the controller; its name."""
    spec: dict[str, Value] = {
        "type": "ClusterIP",
        "ports": [{"name": HTTP, "port": endpoint.port, "targetPort": HTTP, "protocol": "TCP"}],
        **({"selector": dict(labels)} if labels else {}),
    }
    made = scope.kubernetes(
        local,
        "v1",
        "Service",
        f"{endpoint.identity}-{suffix}",
        {"spec": spec},
        namespace=endpoint.cluster.namespace,
        annotations=None if labels else UNAWAITED,
    )
    return Ref(made.node, ("metadata", "name"))


def variant_service(name: str) -> str:
    """The node of a variant's Service."""
    return f"{SERVICE}-{name}"


def variant_labels(scope: Scope, name: str) -> dict[str, str]:
    """The labels by which a variant's pods are found."""
    return {**selector(scope), VARIANT_LABEL: name}


# ------------------------------------------------------------------------------------------------ shares


def backends(endpoint: Endpoint) -> list[dict[str, Any]]:
    """The `backendRefs` of the endpoint's HTTPRoute: its versions, and their shares of the traffic."""

    def backend(local: str, weight: int | None = None) -> dict[str, Any]:
        share = {} if weight is None else {"weight": weight}
        return {"name": endpoint.output(local, "metadata", "name"), "port": endpoint.port, **share}

    if endpoint.waits_for:
        return [backend(SERVICE)]
    if endpoint.variants:
        return [backend(variant_service(item.name), item.weight) for item in endpoint.variants]
    if by_gateway(endpoint):
        return [backend(SERVICE, 100), backend(CANARY_SERVICE, 0)]
    return [backend(SERVICE)]


def filters(endpoint: Endpoint) -> list[dict[str, Any]]:
    """The `filters` of the HTTPRoute's rules: a copy of each request for the shadow."""
    if endpoint.shadow is None or endpoint.waits_for:
        return []
    name = endpoint.output(variant_service(endpoint.shadow.name), "metadata", "name")
    mirror = {"backendRef": {"name": name, "port": endpoint.port}}
    return [{"type": "RequestMirror", "requestMirror": mirror}]


def not_ours(endpoint: Endpoint) -> tuple[str, ...]:
    """The properties of the HTTPRoute that the controller owns, for the route's `ignore_changes`."""
    return (WEIGHTS,) if by_gateway(endpoint) and not endpoint.waits_for else ()


def by_gateway(endpoint: Endpoint) -> bool:
    """Whether the controller shares traffic by the HTTPRoute's weights."""
    return isinstance(endpoint.rollout, Canary) and endpoint.rollout.traffic == "gateway"
