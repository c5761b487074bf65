"""Rollouts, whose controller is not here: a Deployment stands in for each, with the pods that the first version has.

These pods are there always, as those of any workload: they stand beside everything else, those of all rollouts at once,
while job templates are tried. A stand-in belongs to its Rollout, so that a pod is traced to it, and is gone afterwards.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlencode

from mlinfra.components.rollout_argo import KIND
from mlinfra.components.rollout_gates import API
from mlinfra.naming import dns_label
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import label, lookup
from mlinfra.workflow.rehearse_reasons import placed, refused
from mlinfra.workflow.rehearse_templates import STAND_IN

CONTROLLER: Final = "Argo Rollouts"
"""Whose part is played."""

_DEPLOYMENTS: Final = ("apps/v1", "Deployment")
_SCALERS: Final = ("autoscaling/v2", "HorizontalPodAutoscaler")
_REFUSED: Final = "ReplicaFailure"
_NAME_LIMIT: Final = 45  # a Deployment's name is part of its pods' names, with a hash and five letters after it
_PAUSE: Final = 0.3
_PATIENCE: Final = 10.0
"""Seconds that the controllers have to make pods which a quota has refused: it is late to learn of what is gone."""
_SECONDS: Final = 60.0
_SECONDS_A_POD: Final = 0.2
_PROPAGATION: Final = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}


@contextmanager
def stood_in(cluster: Cluster) -> Iterator[list[Object]]:
    """The Rollouts of a cluster, whose pods the scheduler has decided on, for as long as the block lasts.

    Each has `spec.replicas`, and in its status what a Deployment's would say of pods that could not be made.
    """
    rollouts = _rollouts(cluster)
    if not rollouts:
        yield []
        return
    refusals: dict[str, str] = {}
    try:
        for rollout in rollouts:
            refusals[_key(rollout)] = _make(cluster, rollout)
        refusals |= _decided(cluster, [item for item in rollouts if not refusals[_key(item)]])
        yield [_told(item, refusals[_key(item)]) for item in rollouts]
    finally:
        _remove(cluster, {item["metadata"]["namespace"] for item in rollouts})


def stand_in(rollout: Object) -> Object:
    """The Deployment that makes the pods of a Rollout.

    Source of what a Rollout shares with a Deployment: Argo Rollouts, "Migrating to Rollouts".
    """
    metadata, spec = rollout["metadata"], rollout["spec"]
    template = copy.deepcopy(spec["template"])
    key = {STAND_IN: _key(rollout)}
    template["metadata"] = {
        **(template.get("metadata") or {}),
        "labels": {**(lookup(template, "metadata", "labels") or {}), **key},
    }
    selector = spec.get("selector") or {}
    owner = {"apiVersion": rollout["apiVersion"], "kind": KIND, "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": _DEPLOYMENTS[0],
        "kind": _DEPLOYMENTS[1],
        "metadata": {
            "name": dns_label(metadata["name"], "stand-in", limit=_NAME_LIMIT),
            "namespace": metadata["namespace"],
            "labels": key,
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {
            "replicas": spec["replicas"],
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **key}},
            "template": template,
        },
    }


def _rollouts(cluster: Cluster) -> list[Object]:
    """Those that have a template of their own, each with its number of pods; others have a Deployment's."""
    if cluster.discovery.find(API, KIND) is None:
        return []
    found = [item for item in cluster.list(API, KIND) if lookup(item, "spec", "template")]
    scalers = cluster.list(*_SCALERS) if found else []
    return [{**item, "spec": {**item["spec"], "replicas": replicas(item, scalers)}} for item in found]


def replicas(rollout: Object, scalers: Sequence[Object]) -> int:
    """How many pods a Rollout begins with: what it says, or the fewest that its autoscaler wants, or one."""
    said = lookup(rollout, "spec", "replicas")
    if said is not None:
        return int(said)
    metadata = rollout["metadata"]
    for scaler in scalers:
        target = lookup(scaler, "spec", "scaleTargetRef") or {}
        same = scaler["metadata"]["namespace"] == metadata["namespace"]
        if same and (target.get("kind"), target.get("name")) == (KIND, metadata["name"]):
            return int(lookup(scaler, "spec", "minReplicas", default=1))
    return 1


def _key(rollout: Object) -> str:
    """The value of the stand-in's label: of this Rollout alone."""
    return dns_label(rollout["metadata"]["namespace"], rollout["metadata"]["name"])


def _make(cluster: Cluster, rollout: Object) -> str:
    """Make the stand-in; what the API server refuses, in its words."""
    made = stand_in(rollout)
    try:
        cluster.request("POST", cluster.path(*_DEPLOYMENTS, made["metadata"]["namespace"]), made)
    except ApiError as error:
        there = cluster.get(*_DEPLOYMENTS, made["metadata"]["name"], made["metadata"]["namespace"])
        if error.status != 409 or there is None or label(there, STAND_IN) != _key(rollout):
            return error.message
    return ""


def _decided(cluster: Cluster, rollouts: Sequence[Object]) -> dict[str, str]:
    """Wait until the scheduler has decided on every pod; why pods could not be made, by Rollout."""
    begun, count = time.monotonic(), sum(item["spec"]["replicas"] for item in rollouts)
    while True:
        took = time.monotonic() - begun
        pods = cluster.list("v1", "Pod", labels=STAND_IN)
        ready = {
            key: sum(label(pod, STAND_IN) == key and bool(placed(pod) or refused(pod)) for pod in pods)
            for key in map(_key, rollouts)
        }
        waits = [item for item in rollouts if ready[_key(item)] < item["spec"]["replicas"]]
        failures = _failures(cluster) if waits and took > _PATIENCE else {}
        if all(_key(item) in failures for item in waits) or took > _SECONDS + _SECONDS_A_POD * count:
            return {_key(item): failures.get(_key(item), "") for item in rollouts}
        time.sleep(_PAUSE)


def _failures(cluster: Cluster) -> dict[str, str]:
    return {
        label(item, STAND_IN): str(entry.get("message"))
        for item in cluster.list(*_DEPLOYMENTS, labels=STAND_IN)
        for entry in lookup(item, "status", "conditions") or []
        if entry.get("type") == _REFUSED and entry.get("status") == "True"
    }


def _told(rollout: Object, refusal: str) -> Object:
    """The Rollout with what its controller would say."""
    conditions = [{"type": _REFUSED, "status": "True", "message": refusal}] if refusal else []
    status: Mapping[str, Any] = {**(rollout.get("status") or {}), "conditions": conditions}
    return {**rollout, "status": status}


def _remove(cluster: Cluster, namespaces: set[str]) -> None:
    """Delete the stand-ins, and wait until their pods are gone."""
    query = urlencode({"labelSelector": STAND_IN})
    for namespace in sorted(namespaces):
        cluster.request("DELETE", f"{cluster.path(*_DEPLOYMENTS, namespace)}?{query}", _PROPAGATION)
    deadline = time.monotonic() + _SECONDS
    kinds = (_DEPLOYMENTS, ("apps/v1", "ReplicaSet"), ("v1", "Pod"))
    while any(cluster.list(*kind, labels=STAND_IN) for kind in kinds) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
