"""What Kubernetes and `mlinfra up` do without a controller: a rolling update, and blue-green by a second Deployment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mlinfra.components.rollout_services import point
from mlinfra.components.workload import selector
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value, to_json
from mlinfra.naming import short_hash

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

NODE: Final = "deployment"
VERSION_LABEL: Final = f"{DOMAIN}/version"
"""The label of a version's pods, and of its Deployment, in a blue-green rollout without a controller."""


def add(
    scope: Scope,
    namespace: Value,
    template: dict[str, Any],
    seconds: int,
    *,
    suffix: str = "",
    labels: dict[str, str] | None = None,
) -> Ref:
    """Add a Deployment whose pods a new version replaces one by one; `labels` are those that its pods are found by."""
    spec = {
        # No `replicas`: the autoscaler owns them.
        "selector": {"matchLabels": labels or selector(scope)},
        "template": template,
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": seconds,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
    }
    name = f"{scope.component.identity}{suffix}"
    return scope.kubernetes(f"{NODE}{suffix}", "apps/v1", "Deployment", name, {"spec": spec}, namespace=namespace)


def add_blue_green(endpoint: Endpoint, scope: Scope, template: dict[str, Any], seconds: int) -> Ref:
    """Add the Deployment of this version, and point the endpoint's Service at it once all of its pods are ready.

    Node and name are made of what the version is, so that another version is another node: the engine makes it, waits
    for it, changes the Service, and deletes the one before last of all, and only where nothing before has failed.
    """
    version = short_hash(json.dumps(to_json(template), sort_keys=True), length=10)
    labels = {**selector(scope), VERSION_LABEL: version}
    metadata = {**template["metadata"], "labels": {**template["metadata"]["labels"], VERSION_LABEL: version}}
    spec = {
        # What it begins with, before the Service leads to it; later they are the autoscaler's.
        "replicas": endpoint.scale_in(scope.environment.tier).min,
        "selector": {"matchLabels": labels},
        "template": {**template, "metadata": metadata},
        "revisionHistoryLimit": 1,
        "progressDeadlineSeconds": seconds,
    }
    made = scope.kubernetes(
        f"{NODE}-{version}",
        "apps/v1",
        "Deployment",
        f"{endpoint.identity}-{version}",
        {"spec": spec},
        namespace=endpoint.cluster.namespace,
        labels=labels,
        # Applying anything to it would apply the replicas that it began with, too.
        ignore_changes=("spec.replicas", "metadata.labels"),
    )
    point(endpoint, scope, labels, after=(made.node,))
    return made
