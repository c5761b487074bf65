"""How many replicas an `Endpoint` has: its autoscaler, its disruption budget, and the hours in which it runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mlinfra.components.endpoint_images import pinned
from mlinfra.components.endpoint_values import WorkingHours
from mlinfra.components.job_queue import cluster_of
from mlinfra.components.network_policies import API_SERVER, let_out, tcp
from mlinfra.components.people import bind
from mlinfra.components.quantities import cores
from mlinfra.components.values import Autoscale, ScaleMetric
from mlinfra.components.workload import COMPONENT_LABEL, Request, container_security, pod_labels, pod_security, selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint
    from mlinfra.components.rollout import Scaled

SCHEDULE: Final = "schedule"
IMAGE: Final = "registry.k8s.io/kubectl:v1.34.0"

_REQUEST: Final = Request(cpu=0.05, memory=0.125)
_PART: Final = "app.kubernetes.io/component"


def add(endpoint: Endpoint, scope: Scope, scaled: Iterable[Scaled]) -> None:
    """The autoscaler of all that serves, the disruption budget, and what stops and starts it by the clock."""
    every = list(scaled)
    for item in every:
        _autoscaler(endpoint, scope, item)
    least = endpoint.scale_in(scope.environment.tier).min
    budget = {
        "selector": {"matchLabels": selector(scope)},
        # One at a time, also where there is only one: a budget that allows none blocks every drain of a node.
        "maxUnavailable": 1 if least < 4 else "25%",
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    scope.kubernetes(
        "disruption-budget",
        "policy/v1",
        "PodDisruptionBudget",
        endpoint.identity,
        {"spec": budget},
        namespace=endpoint.cluster.namespace,
    )
    if endpoint.hours and not scope.environment.tier.protected:
        _hours(endpoint, endpoint.hours, scope, every)


# ------------------------------------------------------------------------------------------------ by load


def _autoscaler(endpoint: Endpoint, scope: Scope, scaled: Scaled) -> None:
    """The autoscaler of its pods, or of a variant's."""
    scaler = {
        "scaleTargetRef": scaled.target,
        "minReplicas": scaled.scale.min,
        "maxReplicas": scaled.scale.max,
        "metrics": _metrics(endpoint, scope, scaled.scale),
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    }
    scope.kubernetes(
        f"autoscaler{scaled.suffix}",
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        f"{endpoint.identity}{scaled.suffix}",
        {"spec": scaler},
        namespace=endpoint.cluster.namespace,
    )


def _metrics(endpoint: Endpoint, scope: Scope, scale: Autoscale) -> list[Value]:
    """What moves the number (Kubernetes, "HorizontalPodAutoscaler Walkthrough", "Autoscaling on multiple metrics and
    custom metrics")."""
    found: list[Value] = []
    if scale.cpu_percent is not None:
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": scale.cpu_percent}}
        found.append({"type": "Resource", "resource": cpu})
    if scale.metric:
        _check_adapter(endpoint, scope, scale.metric)
        labels = {"selector": {"matchLabels": dict(scale.metric.labels)}} if scale.metric.labels else {}
        told = {
            "metric": {"name": scale.metric.name, **labels},
            # Quantities have no unit of their own: thousandths are written as those of cores are.
            "target": {"type": "AverageValue", "averageValue": cores(scale.metric.target)},
        }
        pods = scale.metric.of == "pods"
        found.append({"type": "Pods", "pods": told} if pods else {"type": "External", "external": told})
    return found


def _check_adapter(endpoint: Endpoint, scope: Scope, metric: ScaleMetric) -> None:
    cluster = cluster_of(endpoint.cluster)
    if cluster is None or cluster.metrics_adapter:
        return
    scope.problem(
        f"endpoint {endpoint.name!r} follows the metric {metric.name!r}, and cluster {cluster.name!r} does not say "
        "that it has an adapter for metrics",
        detail="Kubernetes knows CPU and memory by itself. Metrics of Prometheus reach the autoscaler by an adapter, "
        "the Prometheus adapter or KEDA; without one it would stay at the number of replicas that it has.",
        remedy="Where one runs in the cluster, say so: `TrainingCluster(…, metrics_adapter=True)`. Else leave `metric` "
        "out.",
        code="metrics-adapter-missing",
    )


# ------------------------------------------------------------------------------------------------ by the clock


def _hours(endpoint: Endpoint, hours: WorkingHours, scope: Scope, scaled: list[Scaled]) -> None:
    """Two CronJobs that scale it to none and up again, and a role for that alone.

    At none the autoscaler rests until somebody scales it up, and nothing that is declared has changed (Kubernetes,
    "Horizontal Pod Autoscaling", "Implicit maintenance-mode deactivation").
    """
    namespace, name = endpoint.cluster.namespace, f"{endpoint.identity}.{SCHEDULE}"
    account = scope.kubernetes(
        SCHEDULE, "v1", "ServiceAccount", name, {"automountServiceAccountToken": False}, namespace=namespace
    )
    account_name = Ref(account.node, ("metadata", "name"))
    subject = {"kind": "ServiceAccount", "name": account_name, "namespace": namespace}
    bind(scope, f"{SCHEDULE}-role", name, [rule for item in scaled for rule in _rules(item)], [subject], namespace)
    labels = {key: value for key, value in pod_labels(scope).items() if key != COMPONENT_LABEL} | {_PART: SCHEDULE}
    let_out(scope, namespace, tcp(*API_SERVER), labels={_PART: SCHEDULE, **_mine(labels)}, local="schedule-egress")
    image = pinned(scope, endpoint.helpers.schedule, IMAGE, "helpers=HelperImages(schedule=…)")
    # One is enough to wake the autoscaler, which then goes to its minimum.
    for verb, clock, replicas in (("stop", hours.stop, 0), ("start", hours.start, 1)):
        command = ["kubectl", "scale", f"--replicas={replicas}", *(_named(item) for item in scaled)]
        spec = {
            "schedule": hours.cron(clock),
            "timeZone": hours.time_zone,
            "concurrencyPolicy": "Replace",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 6,
                    "activeDeadlineSeconds": 1800,
                    "template": {"metadata": {"labels": labels}, "spec": _pod(account_name, image, command)},
                }
            },
        }
        job = f"{endpoint.identity}-{verb}"
        scope.kubernetes(f"{SCHEDULE}-{verb}", "batch/v1", "CronJob", job, {"spec": spec}, namespace=namespace)


def _mine(labels: dict[str, str]) -> dict[str, str]:
    return {key: labels[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}


def _rules(scaled: Scaled) -> list[Value]:
    """Read one object and change its scale: what `kubectl scale` does."""
    group, plural = scaled.target["apiVersion"].partition("/")[0], f"{scaled.target['kind'].lower()}s"
    common = {"apiGroups": [group], "resourceNames": [scaled.target["name"]]}
    return [
        {**common, "resources": [plural], "verbs": ["get"]},
        {**common, "resources": [f"{plural}/scale"], "verbs": ["get", "patch", "update"]},
    ]


def _named(scaled: Scaled) -> Value:
    group = scaled.target["apiVersion"].partition("/")[0]
    return join(f"{scaled.target['kind'].lower()}s.{group}/", scaled.target["name"])


def _pod(account: Ref, image: str, command: list[Value]) -> dict[str, Value]:
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": pod_security(),
        "containers": [
            {
                "name": "kubectl",
                "image": image,
                "command": command,
                "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 — the container's own; kubectl keeps a cache there
                "resources": _REQUEST.resources(),
                "securityContext": container_security(read_only=True),
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
