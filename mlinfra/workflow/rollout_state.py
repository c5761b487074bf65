"""How far a rollout is, from its `Rollout` or `Deployment` and its AnalysisRuns as the cluster has them. Pure.

Sources: Argo Rollouts, "Specification", "Analysis & Progressive Delivery" and the API's types for status;
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import label, lookup
from mlinfra.providers.kubernetes.waitfor import condition
from mlinfra.rollouts import GateLook, Progress, RolloutState

HASH: Final = "rollouts-pod-template-hash"
"""The label of AnalysisRuns and pods that tells the version, as the controller writes it."""
STEP_INDEX: Final = "step-index"
_PHASES: Final = {
    "Healthy": Progress.DONE,
    "Progressing": Progress.PROGRESSING,
    "Paused": Progress.PAUSED,
    "Degraded": Progress.DEGRADED,
}
_WHOLE: Final = 100


def of_rollout(endpoint: str, live: Object, runs: Iterable[Object]) -> RolloutState:
    """The state of a `Rollout`, with what its gates saw of the version that it is about."""
    spec, status = live.get("spec") or {}, live.get("status") or {}
    canary = lookup(spec, "strategy", "canary")
    steps: list[Mapping[str, Any]] = list(lookup(canary, "steps", default=[]) or [])
    new, stable = str(status.get("currentPodHash") or ""), str(status.get("stableRS") or "")
    progress, message = _progress(live, status)
    index = status.get("currentStepIndex")
    return RolloutState(
        endpoint=endpoint,
        namespace=live["metadata"]["namespace"],
        name=live["metadata"]["name"],
        kind=live["kind"],
        strategy="canary" if canary is not None else "blue-green",
        progress=progress,
        message=message,
        step=min(int(index or 0), len(steps)) if steps else None,
        steps=len(steps),
        weight=_weight(status, steps, index, moved=new == stable),
        wanted=int(spec.get("replicas") or 1),
        updated=int(status.get("updatedReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        waits_for_person=_waits(status, steps, index),
        new=new,
        stable=stable,
        images=_images(spec),
        gates=tuple(_gates(run for run in runs if label(run, HASH) == new)) if new else (),
    )


def of_deployment(endpoint: str, live: Object, *, strategy: str = "rolling", variant: str = "") -> RolloutState:
    """The state of a Deployment, which Kubernetes itself rolls out."""
    spec, status = live.get("spec") or {}, live.get("status") or {}
    wanted = int(spec.get("replicas", 1))
    updated, available = int(status.get("updatedReplicas") or 0), int(status.get("availableReplicas") or 0)
    progressing = condition(live, "Progressing")
    message = ""
    if int(status.get("observedGeneration") or 0) < int(live["metadata"].get("generation") or 0):
        progress = Progress.UNSEEN
    elif progressing.get("reason") == "ProgressDeadlineExceeded":
        progress, message = Progress.DEGRADED, str(progressing.get("message") or "")
    elif updated == wanted == available == int(status.get("replicas") or 0):
        progress = Progress.DONE
    else:
        progress = Progress.PROGRESSING
    return RolloutState(
        endpoint=endpoint,
        namespace=live["metadata"]["namespace"],
        name=live["metadata"]["name"],
        kind=live["kind"],
        strategy=strategy,
        progress=progress,
        variant=variant,
        message=message,
        wanted=wanted,
        updated=updated,
        available=available,
        images=_images(spec),
    )


def _progress(live: Object, status: Mapping[str, Any]) -> tuple[Progress, str]:
    """How far it is. What the controller said of another generation says nothing of this one."""
    seen = str(status.get("observedGeneration") or "")
    if not status.get("phase") or seen != str(live["metadata"].get("generation")):
        return Progress.UNSEEN, ""
    message = str(status.get("message") or "")
    if status.get("abort"):
        return Progress.ABORTED, message
    return _PHASES.get(str(status["phase"]), Progress.PROGRESSING), message


def _weight(status: Mapping[str, Any], steps: list[Mapping[str, Any]], index: int | None, *, moved: bool) -> int | None:
    """Percent of the traffic that the new version is meant to have; None where nothing shares it."""
    if not steps:
        return None
    if status.get("abort"):
        return 0
    if moved:
        return _WHOLE
    real = lookup(status, "canary", "weights", "canary", "weight")
    if real is not None:
        return int(real)
    done = [step["setWeight"] for step in steps[: int(index or 0) + 1] if "setWeight" in step]
    return int(done[-1]) if done else 0


def _waits(status: Mapping[str, Any], steps: list[Mapping[str, Any]], index: int | None) -> bool:
    """Whether it is paused until somebody says how it goes on."""
    reasons = {entry.get("reason") for entry in status.get("pauseConditions") or []}
    if "CanaryPauseStep" in reasons and index is not None and index < len(steps):
        return not lookup(steps[index], "pause", "duration")
    return bool(reasons - {"CanaryPauseStep"})


def _images(spec: Mapping[str, Any]) -> dict[str, str]:
    containers = lookup(spec, "template", "spec", "containers", default=[])
    return {item["name"]: str(item.get("image")) for item in containers if item.get("image")}


def _gates(runs: Iterable[Object]) -> Iterable[GateLook]:
    """What each metric of each AnalysisRun came to, in the order in which they began."""
    for run in sorted(runs, key=lambda item: (item["metadata"].get("creationTimestamp") or "", _index(item))):
        index = _index(run)
        for result in lookup(run, "status", "metricResults", default=[]) or []:
            last = (result.get("measurements") or [{}])[-1]
            yield GateLook(
                name=str(result.get("name")),
                phase=str(result.get("phase") or "").lower(),
                step=_number(run, index),
                value=str(last.get("value") or ""),
                message=str(result.get("message") or last.get("message") or ""),
                good=int(result.get("successful") or 0),
                bad=int(result.get("failed") or 0),
                unclear=int(result.get("inconclusive") or 0),
                errors=int(result.get("error") or 0),
            )


def _index(run: Object) -> int:
    text = label(run, STEP_INDEX)
    return int(text) if text.isdigit() else -1


def _number(run: Object, index: int) -> int | None:
    return None if index < 0 or not label(run, STEP_INDEX) else index + 1
