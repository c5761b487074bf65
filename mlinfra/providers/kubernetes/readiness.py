"""When an object is ready: one function for each kind that is waited for, in one table.

A function gets the object and the cluster's watches, and says what is still missing, None when nothing is. It raises
`NeverReadyError` when waiting longer is of no use. The rules are those of `kubectl rollout status` and of
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import SKIP_AWAIT, WAIT_FOR, annotation, lookup
from mlinfra.providers.kubernetes.waitfor import condition, parse
from mlinfra.providers.kubernetes.watch import Watches

Missing: TypeAlias = Callable[[Object, Watches], str | None]


class NeverReadyError(Exception):
    """The object cannot become ready any more; the text says why."""


def awaited(item: Object) -> bool:
    """Whether an object of this kind, with these annotations, is waited for."""
    if annotation(item, SKIP_AWAIT) == "true":
        return False
    return (item["apiVersion"].partition("/")[0], item["kind"]) in TABLE or bool(annotation(item, WAIT_FOR))


def missing(item: Object, watches: Watches) -> str | None:
    """What an object still lacks to be ready, in words, or None when it is ready."""
    if text := annotation(item, WAIT_FOR):
        return next((words for wait in parse(text) if (words := wait.missing(item))), None)
    return TABLE[item["apiVersion"].partition("/")[0], item["kind"]](item, watches)


def _is(item: Object, name: str, status: str = "True") -> bool:
    return bool(condition(item, name).get("status") == status)


def _number(item: Object, *path: str, default: int = 0) -> int:
    return int(lookup(item, *path, default=None) or default)


def _replicas(item: Object) -> int:
    wanted = lookup(item, "spec", "replicas")
    return 1 if wanted is None else int(wanted)


def _unseen(item: Object) -> str | None:
    seen = _number(item, "status", "observedGeneration") >= _number(item, "metadata", "generation")
    return None if seen else "its controller to notice the change"


def _deployment(item: Object, _: Watches) -> str | None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status."""
    if unseen := _unseen(item):
        return unseen
    progressing = condition(item, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        raise NeverReadyError(progressing.get("message") or "its progress deadline is exceeded")
    if lookup(item, "spec", "paused"):
        return None
    wanted, available = _replicas(item), _number(item, "status", "availableReplicas")
    if _number(item, "status", "updatedReplicas") == wanted == available == _number(item, "status", "replicas"):
        return None
    failure = condition(item, "ReplicaFailure")
    why = f" ({failure.get('message')})" if failure.get("status") == "True" else ""
    return f"{available} of {wanted} replicas are available{why}"


def _stateful_set(item: Object, _: Watches) -> str | None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies."""
    if unseen := _unseen(item):
        return unseen
    wanted, ready = _replicas(item), _number(item, "status", "readyReplicas")
    strategy = lookup(item, "spec", "updateStrategy", default={})
    staged = strategy.get("type") == "OnDelete" or _number(strategy, "rollingUpdate", "partition") > 0
    updated = staged or _number(item, "status", "updatedReplicas") >= wanted
    return None if updated and ready == wanted else f"{ready} of {wanted} replicas are ready"


def _daemon_set(item: Object, _: Watches) -> str | None:
    if unseen := _unseen(item):
        return unseen
    wanted = _number(item, "status", "desiredNumberScheduled")
    available = _number(item, "status", "numberAvailable")
    updated = _number(item, "status", "updatedNumberScheduled")
    strategy = lookup(item, "spec", "updateStrategy", "type")
    if available >= wanted and (strategy == "OnDelete" or updated >= wanted):
        return None
    return f"{available} of {wanted} pods are available"


def _job(item: Object, _: Watches) -> str | None:
    """A suspended Job is ready: a queue decides when it runs (Kueue: https://kueue.sigs.k8s.io/docs/tasks/run/jobs/)."""
    for name in ("Failed", "FailureTarget"):  # the latter while the pods of a job that has failed are ending
        failed = condition(item, name)
        if failed.get("status") == "True":
            raise NeverReadyError(f"the job failed: {failed.get('reason')}: {failed.get('message')}")
    if _is(item, "Complete") or lookup(item, "spec", "suspend"):
        return None
    done, active = _number(item, "status", "succeeded"), _number(item, "status", "active")
    return f"{done} of {_number(item, 'spec', 'completions', default=1)} pods have succeeded, {active} run"


def _claim(item: Object, watches: Watches) -> str | None:
    """A claim of a class that binds with the first pod is ready at once.

    https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
    """
    phase = lookup(item, "status", "phase", default="Pending")
    if phase == "Bound":
        return None
    if phase == "Lost":
        raise NeverReadyError("the claim has lost its volume")
    name = lookup(item, "spec", "storageClassName")
    storage = watches.cluster.get("storage.k8s.io/v1", "StorageClass", name) if name else None
    if storage and storage.get("volumeBindingMode") == "WaitForFirstConsumer":
        return None
    return f"a volume (phase {phase}, storage class {name or 'none'})"


def _service(item: Object, watches: Watches) -> str | None:
    """https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions."""
    spec = item.get("spec") or {}
    if spec.get("type") == "LoadBalancer" and not lookup(item, "status", "loadBalancer", "ingress"):
        return "an address from the load balancer"
    if spec.get("type") in ("ExternalName", "LoadBalancer") or spec.get("clusterIP") == "None":
        return None
    if not spec.get("selector"):
        return None
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    for part in watches.objects("discovery.k8s.io/v1", "EndpointSlice", namespace):
        if lookup(part, "metadata", "labels", "kubernetes.io/service-name") == name and any(
            lookup(endpoint, "conditions", "ready") is not False for endpoint in part.get("endpoints") or []
        ):
            return None
    return "a ready pod behind the service"


def _pod(item: Object, _: Watches) -> str | None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase."""
    phase = lookup(item, "status", "phase")
    if phase == "Failed":
        status = item["status"]
        raise NeverReadyError(f"the pod failed: {status.get('reason', '')} {status.get('message', '')}".rstrip(": "))
    return None if phase == "Succeeded" or _is(item, "Ready") else f"the pod to be ready (phase {phase})"


def _definition(item: Object, _: Watches) -> str | None:
    if _is(item, "NamesAccepted", "False"):
        raise NeverReadyError(f"its names are not accepted: {condition(item, 'NamesAccepted').get('message')}")
    return None if _is(item, "Established") else "the definition to be established"


TABLE: Final[Mapping[tuple[str, str], Missing]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "Service"): _service,
    ("v1", "Pod"): _pod,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
"""By API group (`v1` for the core group) and kind. What is not here is ready once it is applied."""
