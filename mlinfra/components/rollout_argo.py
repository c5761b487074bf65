"""A canary or a blue-green rollout as a `Rollout`, which Argo Rollouts' controller progresses.

What the controller owns is not declared: the number of replicas, which is the autoscaler's, too, and the selectors of
the Services that it points at one version or another. Source of the fields: Argo Rollouts, "Specification"; of what the
controller writes: its "Canary", "BlueGreen" and "Ephemeral Metadata" pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlinfra.components.rollout_gates import API, add_gate, add_load_test, prometheus_of
from mlinfra.components.rollout_services import (
    CANARY_SERVICE,
    PREVIEW_SERVICE,
    add_service,
    hand_over,
    leave_unawaited,
)
from mlinfra.components.rollout_values import BlueGreen, Canary
from mlinfra.components.signals import VARIANT_LABEL
from mlinfra.components.workload import selector
from mlinfra.environment import LOCAL
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

KIND: Final = "Rollout"
NODE: Final = "rollout"
PLUGIN: Final = "argoproj-labs/gatewayAPI"
"""The name under which the controller knows its plugin for Gateway API."""

HASH_LABEL: Final = "rollouts-pod-template-hash"
"""The controller's label of pods, which tells their version, as `pod-template-hash` does for a Deployment's."""

KEPT_REVISIONS: Final = 3
"""How many versions back a canary comes back to without steps."""
_RUNS_KEPT: Final = 5
_LOAD_TEST: Final = 3600
"""Seconds that a load test may take."""


def add(endpoint: Endpoint, scope: Scope, template: dict[str, Any], seconds: int) -> Ref:
    """Add the Rollout, the templates of its gates, and the Services that it needs; returns its node.

    `seconds` is how long a new version may take until it is ready.
    """
    leave_unawaited(endpoint, scope)
    match endpoint.rollout:
        case Canary():
            strategy = {"canary": _canary(endpoint, scope, endpoint.rollout)}
        case BlueGreen():
            strategy = {"blueGreen": _blue_green(endpoint, scope, endpoint.rollout)}
            seconds += _looking(endpoint.rollout)
    spec = {
        # No `replicas`: the autoscaler owns them.
        "selector": {"matchLabels": selector(scope)},
        "template": _spread_by_version(template),
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": seconds,
        "progressDeadlineAbort": True,
        "rollbackWindow": {"revisions": KEPT_REVISIONS},
        "analysis": {"successfulRunHistoryLimit": _RUNS_KEPT, "unsuccessfulRunHistoryLimit": _RUNS_KEPT},
        "strategy": strategy,
    }
    # The first version is waited for, later ones are not: while they are rolled out the old one is there. On the local
    # target nothing would make its pods.
    awaited = {"pulumi.com/waitFor": "condition=Available"} if scope.environment.cluster != LOCAL else None
    return scope.kubernetes(
        NODE,
        API,
        KIND,
        endpoint.identity,
        {"spec": spec},
        namespace=endpoint.cluster.namespace,
        labels=selector(scope),
        annotations=awaited,
    )


# ------------------------------------------------------------------------------------------------ canary


def _canary(endpoint: Endpoint, scope: Scope, canary: Canary) -> dict[str, Any]:
    """The strategy of a canary (Argo Rollouts, "Canary")."""
    gates = [step.gate or canary.gate for step in canary.steps]
    services = _services(endpoint, scope, canary, tested=any(gate.load_test for gate in gates))
    address = prometheus_of(scope, endpoint, canary.prometheus)
    steps: list[Value] = []
    for number, (step, gate) in enumerate(zip(canary.steps, gates, strict=True), start=1):
        local = f"gate-{number}"
        name = add_gate(
            scope, endpoint, gate, local=local, seconds=step.seconds, variant="canary", address=address, wait=0
        )
        names: list[Ref | None] = [name]
        if gate.load_test:
            service = services["canaryService"]
            names.append(add_load_test(scope, endpoint, gate.load_test, local=f"{local}-load", service=service))
        steps.append({"setWeight": step.weight})
        # The steps are one atomic list, into which the controller writes the empty field: left out, it would be drift.
        templates = [{"templateName": item} for item in names if item]
        steps.append({"analysis": {"analysisRunMetadata": {}, "templates": templates}})
        if step.approve:
            steps.append({"pause": {}})
    return {**_marked("stable", "canary"), "maxSurge": "25%", "maxUnavailable": 0, **services, "steps": steps}


def _services(endpoint: Endpoint, scope: Scope, canary: Canary, *, tested: bool) -> dict[str, Any]:
    """The Services of the versions, where anything has to reach one of them alone; and who writes the weights.

    Callers within the cluster reach the version before while traffic is shared by the HTTPRoute.
    """
    if canary.traffic == "replicas":
        return {"canaryService": add_service(endpoint, scope, CANARY_SERVICE, "canary")} if tested else {}
    route = {"httpRoute": endpoint.identity, "namespace": endpoint.cluster.namespace}
    return {
        "stableService": hand_over(endpoint, scope),
        "canaryService": add_service(endpoint, scope, CANARY_SERVICE, "canary"),
        "trafficRouting": {"plugins": {PLUGIN: route}},
    }


# ------------------------------------------------------------------------------------------------ blue-green


def _blue_green(endpoint: Endpoint, scope: Scope, plan: BlueGreen) -> dict[str, Any]:
    """The strategy of a blue-green rollout (Argo Rollouts, "BlueGreen")."""
    preview = add_service(endpoint, scope, PREVIEW_SERVICE, "preview")
    strategy: dict[str, Any] = {
        "activeService": hand_over(endpoint, scope),
        "previewService": preview,
        **_marked("active", "preview"),
        "autoPromotionEnabled": not plan.approve,
        "scaleDownDelaySeconds": plan.keep_seconds,
    }
    gate = plan.gate
    if gate is None:
        return strategy
    if gate.load_test and (test := add_load_test(scope, endpoint, gate.load_test, local="gate-load", service=preview)):
        strategy["prePromotionAnalysis"] = {"templates": [{"templateName": test}]}
    # What the old version's pods were asked as the active ones is still in the window at first.
    after = add_gate(
        scope,
        endpoint,
        gate,
        local="gate",
        seconds=plan.seconds,
        variant="active",
        address=prometheus_of(scope, endpoint, plan.prometheus),
        wait=gate.window_seconds,
    )
    strategy["postPromotionAnalysis"] = {"templates": [{"templateName": after}]}
    return strategy


def _looking(plan: BlueGreen) -> int:
    """How long its gate takes. In a canary's steps the controller counts no time while a gate looks on; here it does,
    and would take a new version for one that does not become ready."""
    if plan.gate is None:
        return 0
    return plan.gate.window_seconds + plan.seconds + (_LOAD_TEST if plan.gate.load_test else 0)


# ------------------------------------------------------------------------------------------------ common parts


def _marked(old: str, new: str) -> dict[str, Any]:
    """The label by which Prometheus tells the versions' pods apart; the controller moves it on with the rollout."""
    names = {"canary": ("stableMetadata", "canaryMetadata"), "preview": ("activeMetadata", "previewMetadata")}[new]
    return {key: {"labels": {VARIANT_LABEL: value}} for key, value in zip(names, (old, new), strict=True)}


def _spread_by_version(template: dict[str, Any]) -> dict[str, Any]:
    """The pods' template, whose pods are spread version by version: the controller's label for it is its own."""
    spec = template["spec"]
    spread = [
        {**item, "matchLabelKeys": [HASH_LABEL if key == "pod-template-hash" else key for key in keys]}
        if (keys := item.get("matchLabelKeys"))
        else item
        for item in spec.get("topologySpreadConstraints", ())
    ]
    return {**template, "spec": {**spec, **({"topologySpreadConstraints": spread} if spread else {})}}
