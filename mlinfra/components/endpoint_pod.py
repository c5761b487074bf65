"""The pod of an `Endpoint`: its container, when it counts as alive and ready, how it leaves, where it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components.access import data_variables
from mlinfra.components.model_store import MODEL_VARIABLE
from mlinfra.components.workload import HTTP, container_security, placement, pod_security, selector, variables
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

_LEAVE_SECONDS: Final = 10
"""How long a replica that goes still takes requests: services and load balancers learn of it only by and by."""


def spec(endpoint: Endpoint, scope: Scope, account: Ref) -> dict[str, Value]:
    """The pod's spec."""
    return {
        **placement(scope, endpoint.pool),
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": endpoint.cluster.priority_class("serving"),
        "terminationGracePeriodSeconds": _LEAVE_SECONDS + endpoint.drain_seconds,
        "securityContext": pod_security(endpoint.run_as_user),
        "topologySpreadConstraints": [
            _spread(scope, key) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "containers": [_container(endpoint, scope)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _spread(scope: Scope, key: str) -> dict[str, Value]:
    """Replicas of one version spread over zones and machines as well as the machines there are allow."""
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(scope)},
        "matchLabelKeys": ["pod-template-hash"],
    }


def _container(endpoint: Endpoint, scope: Scope) -> dict[str, Value]:
    data = data_variables(scope, endpoint.cluster.namespace, endpoint.read_stores, endpoint.writes)
    model = {MODEL_VARIABLE: endpoint.model} if isinstance(endpoint.model, str) else {}
    return {
        "name": "serve",
        "image": endpoint.image,
        "ports": [{"name": HTTP, "containerPort": endpoint.port, "protocol": "TCP"}],
        "env": variables(data, model, {"PORT": str(endpoint.port)}, endpoint.env),
        "resources": endpoint.request.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 — the container's own
        "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVE_SECONDS}}},
        # Until startup has succeeded the other two wait, so that a large model is not killed while it loads.
        "startupProbe": _probe(endpoint, period=5, failures=-(-endpoint.startup_seconds // 5)),
        "readinessProbe": _probe(endpoint, period=5, failures=3),
        "livenessProbe": _probe(endpoint, period=10, failures=6),
    }


def _probe(endpoint: Endpoint, *, period: int, failures: int) -> dict[str, Value]:
    return {
        "httpGet": {"path": endpoint.health_path, "port": HTTP},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }
