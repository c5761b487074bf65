"""Why a workload is not ready, in words: the pod that is worst off, and its reason.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.objects import lookup
from mlinfra.providers.kubernetes.waitfor import condition

_STARTING: Final = ("ContainerCreating", "PodInitializing")
_WITH_PODS: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Service")
_AT_MOST: Final = 50
_ASIDES: Final = re.compile(r" ?no new claims to deallocate,| preemption: .*", re.DOTALL)
"""What the scheduler says beyond why a pod fits nowhere: that no other pod can be pushed out for it."""


def trouble(cluster: Cluster, item: Object) -> str:
    """What keeps the pods of an object from being ready, or an empty text where there is nothing to say."""
    if item["kind"] == "Pod":
        return _worst([item])
    namespace, selector = item["metadata"].get("namespace"), label_selector(item)
    if item["kind"] not in _WITH_PODS or not namespace or not selector:
        return ""
    try:
        pods = cluster.list("v1", "Pod", namespace, labels=selector, limit=_AT_MOST)
    except MlinfraError:  # an addition to a message: what it is added to is told anyway
        return ""
    return _worst(pods) if pods else "no pods exist yet"


def label_selector(item: Object) -> str:
    """The label selector of a workload or a Service, as the API takes it; empty where it has none.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
    """
    selector = lookup(item, "spec", "selector")
    if not isinstance(selector, Mapping):
        return ""
    labels = selector if item["kind"] == "Service" else selector.get("matchLabels") or {}
    parts = [f"{key}={value}" for key, value in labels.items()]
    if item["kind"] != "Service":
        parts += [_expression(entry) for entry in selector.get("matchExpressions") or []]
    return ",".join(parts)


def without_asides(message: str) -> str:
    """What the scheduler says of a pod that fits nowhere, without what it says of pushing out others."""
    return _ASIDES.sub("", message).rstrip()


def _expression(entry: Mapping[str, Any]) -> str:
    key, values = str(entry["key"]), ",".join(entry.get("values") or [])
    return {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "DoesNotExist": f"!{key}"}.get(
        entry["operator"], key
    )


def _worst(pods: list[Object]) -> str:
    told = sorted(entry for pod in pods for entry in _complaints(pod))
    return told[0][1] if told else ""


def _complaints(pod: Object) -> Iterator[tuple[int, str]]:
    """What is wrong with a pod: how much it explains (less is more), and the words."""
    status = pod.get("status") or {}
    name = f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        yield from _container_complaints(name, container)
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield 2, f"{name}: {scheduled.get('reason')}: {without_asides(scheduled.get('message') or '')}"
    if condition(pod, "Ready").get("status") != "True" and status.get("phase") != "Succeeded":
        why = f": {status['reason']}: {status.get('message', '')}" if status.get("reason") else ", not ready"
        yield 3, f"{name}: phase {status.get('phase')}{why}"


def _container_complaints(name: str, container: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    waiting = lookup(container, "state", "waiting", default={})
    ended = lookup(container, "lastState", "terminated") or lookup(container, "state", "terminated") or {}
    if waiting.get("reason") and waiting["reason"] not in _STARTING:
        last = f" (last exit code {ended['exitCode']}, {ended.get('reason')})" if ended else ""
        yield 0, f"{name}: container {container['name']}: {waiting['reason']}: {waiting.get('message', '')}{last}"
    elif ended.get("exitCode"):
        yield 1, f"{name}: container {container['name']} exited with code {ended['exitCode']} ({ended.get('reason')})"
