"""What an `Endpoint`'s pods are made by: Deployments, or a Rollout that Argo Rollouts' controller progresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlinfra.components import rollout_argo, rollout_gates, rollout_plain
from mlinfra.components.endpoint_values import GatewayAddress
from mlinfra.components.job_queue import cluster_of
from mlinfra.components.rollout_services import (
    add_service,
    by_gateway,
    take_over,
    variant_labels,
    variant_service,
)
from mlinfra.components.rollout_values import BlueGreen, Canary, Gate, Rolling, Shadow, Variant
from mlinfra.components.signals import VARIANT_LABEL
from mlinfra.components.values import Autoscale
from mlinfra.expansion import Scope
from mlinfra.graph import Ref

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

VARIANT_VARIABLE: Final = "MLINFRA_VARIANT"
"""The environment variable in which the pods of a variant find its name."""
_BESIDES_STARTING: Final = 300
"""Seconds that a new version has beside those in which a pod starts: for machines, and for pulling the image."""

PodTemplate = Callable[["Endpoint"], dict[str, Any]]
"""The template of the pods of an endpoint, or of one of its variants."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Something that an autoscaler scales.

    `suffix` tells it from others of the endpoint, empty for the only one; `target` is the autoscaler's
    `scaleTargetRef`.
    """

    suffix: str
    target: dict[str, Any]
    scale: Autoscale


def add_workload(endpoint: Endpoint, scope: Scope, template: PodTemplate) -> tuple[Scaled, ...]:
    """Add what makes an endpoint's pods; returns what an autoscaler scales, one for each version that serves.

    The endpoint's Service has to be in the graph already: some rollouts change where it leads.
    """
    check(endpoint, scope)
    if has_controller(endpoint):
        take_over(endpoint, scope)
    seconds = endpoint.startup_seconds + _BESIDES_STARTING
    if endpoint.variants or endpoint.shadow:
        return tuple(_served(endpoint, scope, template, seconds))
    scale = endpoint.scale_in(scope.environment.tier)
    pods = template(endpoint)
    match endpoint.rollout:
        case Canary():
            made = rollout_argo.add(endpoint, scope, pods, seconds)
            return (Scaled("", _target(made, rollout_gates.API, rollout_argo.KIND), scale),)
        case BlueGreen() if has_controller(endpoint):
            made = rollout_argo.add(endpoint, scope, pods, seconds)
            return (Scaled("", _target(made, rollout_gates.API, rollout_argo.KIND), scale),)
        case BlueGreen():
            made = rollout_plain.add_blue_green(endpoint, scope, pods, seconds)
        case Rolling():
            made = rollout_plain.add(scope, endpoint.cluster.namespace, pods, seconds)
    return (Scaled("", _target(made, "apps/v1", "Deployment"), scale),)


def _target(made: Ref, api: str, kind: str) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "name": Ref(made.node, ("metadata", "name"))}


def _served(endpoint: Endpoint, scope: Scope, template: PodTemplate, seconds: int) -> Iterator[Scaled]:
    """A Deployment and a Service for each variant, the shadow among them; without variants also for the endpoint."""
    namespace, tier = endpoint.cluster.namespace, scope.environment.tier
    if not endpoint.variants:
        made = rollout_plain.add(scope, namespace, template(endpoint), seconds)
        yield Scaled("", _target(made, "apps/v1", "Deployment"), endpoint.scale_in(tier))
    for item in besides(endpoint):
        labels = variant_labels(scope, item.name)
        pods = template(as_variant(endpoint, item))
        metadata = {**pods["metadata"], "labels": {**pods["metadata"]["labels"], VARIANT_LABEL: item.name}}
        suffix = f"-{item.name}"
        pods = {**pods, "metadata": metadata}
        made = rollout_plain.add(scope, namespace, pods, seconds, suffix=suffix, labels=labels)
        add_service(endpoint, scope, variant_service(item.name), item.name, labels)
        scale = item.scale or endpoint.scale_in(tier)
        yield Scaled(suffix, _target(made, "apps/v1", "Deployment"), scale)


def besides(endpoint: Endpoint) -> tuple[Variant | Shadow, ...]:
    """The versions that an endpoint has besides its own image and model."""
    return (*endpoint.variants, *([endpoint.shadow] if endpoint.shadow else []))


def gates_of(plan: Rolling | BlueGreen | Canary) -> list[Gate]:
    """The gates that a new version passes, in their order."""
    match plan:
        case Canary():
            return [step.gate or plan.gate for step in plan.steps]
        case BlueGreen():
            return [plan.gate] if plan.gate else []
    return []


def as_variant(endpoint: Endpoint, variant: Variant | Shadow) -> Endpoint:
    """The endpoint as one of its variants has it; it is no component of the blueprint."""
    env = {**endpoint.env, **variant.env, VARIANT_VARIABLE: variant.name}
    said = {"image": variant.image, "model": variant.model}
    return endpoint.model_copy(update={"env": env, **{key: value for key, value in said.items() if value is not None}})


def has_controller(endpoint: Endpoint) -> bool:
    """Whether Argo Rollouts' controller runs in the endpoint's cluster, as the cluster says."""
    cluster = cluster_of(endpoint.cluster)
    return cluster is not None and cluster.argo_rollouts


# ------------------------------------------------------------------------------------------------ checks


def check(endpoint: Endpoint, scope: Scope) -> None:
    """Note as errors what the cluster cannot do, and what cannot be together."""
    if (endpoint.variants or endpoint.shadow) and not isinstance(endpoint.rollout, Rolling):
        scope.problem(
            f"endpoint {endpoint.name!r} has variants or a shadow, and a {endpoint.rollout.kind} rollout",
            detail="Both would share the traffic among versions, each in its own way.",
            remedy="Leave one of them out. A new version of a variant takes over pod by pod.",
            code="rollout-and-variants",
        )
    shares = "variants" if endpoint.variants else "a shadow" if endpoint.shadow else ""
    shares = shares or ("a canary that shares traffic by its HTTPRoute" if by_gateway(endpoint) else "")
    if shares and not isinstance(endpoint.address, GatewayAddress):
        scope.problem(
            f"endpoint {endpoint.name!r} has {shares}, and no address by the Gateway API",
            detail="A Service knows no shares of the traffic and no copies of requests; an HTTPRoute does.",
            remedy="Give it one: `address=GatewayAddress(host=…, …)`, in a cluster with `gateway_api=True`.",
            code="rollout-without-route",
        )
    _check_meters(endpoint, scope)
    match endpoint.rollout:
        case Canary():
            _check_canary(endpoint, endpoint.rollout, scope)
        case BlueGreen() if not has_controller(endpoint) and (wants := endpoint.rollout.wants):
            scope.problem(
                f"the blue-green rollout of {endpoint.name!r} says {', '.join(wants)}: Kubernetes alone cannot do that",
                detail="Without Argo Rollouts `mlinfra up` makes the switch, and nothing looks on afterwards.",
                remedy=f"{_INSTALL} Or leave {', '.join(wants)} out.",
                code="rollout-without-controller",
            )


def _check_meters(endpoint: Endpoint, scope: Scope) -> None:
    """Note as errors gates that look at what nobody measures."""
    gates = gates_of(endpoint.rollout)
    if gates and endpoint.served_by.meters is None:
        scope.problem(
            f"the gates of {endpoint.name!r} have nothing to look at: its runtime {endpoint.runtime} tells no metrics",
            remedy="Serve it by another runtime, or by an image with `mlinfra.serving`. Or take `rollout=Rolling()`.",
            code="rollout-without-metrics",
        )
    if endpoint.runtime != "custom" and any(gate.accuracy for gate in gates):
        scope.problem(
            f"a gate of {endpoint.name!r} looks at accuracy, which its runtime {endpoint.runtime} knows nothing of",
            detail="`model_accuracy` comes from a program that gets the true answers later, by `mlinfra.serving`.",
            remedy="Leave `accuracy` out of the gate.",
            code="rollout-without-metrics",
        )


_INSTALL: Final = "Where Argo Rollouts runs in the cluster, say so: `TrainingCluster(…, argo_rollouts=True)`."


def _check_canary(endpoint: Endpoint, canary: Canary, scope: Scope) -> None:
    cluster = cluster_of(endpoint.cluster)
    where = f"cluster {cluster.name!r}" if cluster else "its cluster"
    if not has_controller(endpoint):
        scope.problem(
            f"endpoint {endpoint.name!r} has a canary rollout, and {where} does not say that it has Argo Rollouts",
            detail="A canary wants a controller that shares the traffic, asks Prometheus and goes back. Kubernetes has "
            "none: a Deployment knows no shares and no gates.",
            remedy=f'{_INSTALL} It is installed once for a cluster (Argo Rollouts, "Installation"). Else take '
            "`rollout=BlueGreen()` or `Rolling()`, which Kubernetes does alone.",
            code="rollout-without-controller",
        )
    if by_gateway(endpoint) and not (cluster and cluster.argo_gateway_plugin):
        scope.problem(
            f"the canary of {endpoint.name!r} shares traffic by its HTTPRoute, and {where} does not say that Argo "
            "Rollouts has its plugin for Gateway API there",
            detail=f"The controller itself knows no Gateway API: its plugin {rollout_argo.PLUGIN} writes the weights.",
            remedy="Where the plugin is installed, say so: `TrainingCluster(…, argo_gateway_plugin=True)`. Else leave "
            "`traffic` out: shares then follow the number of pods.",
            code="rollout-without-plugin",
        )
    least, first = endpoint.scale_in(scope.environment.tier).min, canary.steps[0].weight
    if canary.traffic == "replicas" and least * first < _ONE_POD:
        scope.warning(
            f"the canary of {endpoint.name!r} begins with {first} %, and one pod beside {least} is "
            f"{100 / (least + 1):.0f} %",
            detail="Traffic is shared by the number of pods, so that its first step gives the new version one pod's "
            "share.",
            remedy='Raise `scale.min`, begin with a larger weight, or share by Gateway API: `traffic="gateway"`.',
            code="rollout-coarse",
        )


_ONE_POD: Final = 100
