"""The pod of a `Workspace`: the notebook server, its home, and what stops it when nobody uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.components import cluster_store
from mlinfra.components.access import data_variables
from mlinfra.components.workload import (
    HTTP,
    SHARED_MEMORY,
    Request,
    container_security,
    placement,
    pod_labels,
    pod_security,
    selector,
    shared_memory,
    variables,
)
from mlinfra.components.workspace_access import PROGRAM
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.workspace import Framework, Workspace

_REPOSITORY: Final = "quay.io/jupyter/{framework}-notebook"
_DATE: Final = "2025-08-18"
_CUDA: Final = {"pytorch": "cuda12-", "tensorflow": "cuda-"}
"""The Jupyter project's images: repositories, the date of a build, and what stands before it in the tags of those with
CUDA (Jupyter Docker Stacks, "Selecting an Image")."""

_GROUP: Final = 100
"""The group of the user `jovyan` in these images, which owns what can be installed into (Jupyter Docker Stacks, "Common
Features")."""

PORT: Final = 8888
_PROGRAMS: Final = "/opt/mlinfra"
_ACCESS: Final = "/var/run/mlinfra/api"
_STOPPER: Final = Request(cpu=0.01, memory=0.0625)


def repository(framework: Framework) -> str:
    """The repository of the Jupyter project's image for a framework."""
    return _REPOSITORY.format(framework=framework)


def preset(framework: Framework, *, gpus: bool) -> str:
    """The Jupyter project's image for a framework."""
    return f"{repository(framework)}:{_CUDA[framework] if gpus else ''}{_DATE}"


def stateful_set(
    workspace: Workspace, scope: Scope, image: str, account: Ref, token: dict[str, Value], stopper: Ref | None
) -> dict[str, Value]:
    """The StatefulSet's spec. `token` is a key of a Secret, `stopper` the ConfigMap with the program that stops it.

    It says no `replicas`: there is one at first, and then whoever starts and stops it owns their number.
    """
    kept = "Delete" if scope.environment.tier.defaults.empty_on_delete else "Retain"
    labels = pod_labels(scope)
    claimed = cluster_store.claim(
        scope,
        f"home-{workspace.identity}-0",
        workspace.cluster.namespace,
        workspace.home_gib,
        workspace.storage_class,
        scope.label_name(),
    )
    return {
        "serviceName": workspace.identity,
        "selector": {"matchLabels": selector(scope)},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": kept, "whenScaled": "Retain"},
        "volumeClaimTemplates": [{"metadata": {"name": "home", "labels": labels}, "spec": claimed}],
        "template": {
            "metadata": {
                "labels": labels,
                # Whoever takes machines away must not take one from somebody at work (cluster-autoscaler, FAQ;
                # Karpenter, "Disruption").
                "annotations": {
                    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                    "karpenter.sh/do-not-disrupt": "true",
                },
            },
            "spec": _pod(workspace, scope, image, account, token, stopper),
        },
    }


def _pod(
    workspace: Workspace, scope: Scope, image: str, account: Ref, token: dict[str, Value], stopper: Ref | None
) -> dict[str, Value]:
    containers = [_server(workspace, scope, image, token)]
    volumes: list[Value] = [shared_memory(workspace.request.memory / 4)]
    if stopper is not None:
        containers.append(_stopper(workspace, image, token))
        volumes += [{"name": "stopper", "configMap": {"name": stopper}}, {"name": "api", "projected": _api_access()}]
    security = {**pod_security(workspace.run_as_user), "runAsGroup": _GROUP, "fsGroup": _GROUP}
    return {
        **placement(scope, workspace.pool),
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": workspace.cluster.priority_class("training-high"),
        # A home with many files need not be gone through at each start.
        "securityContext": {**security, "fsGroupChangePolicy": "OnRootMismatch"},
        "containers": containers,
        "volumes": volumes,
    }


def _server(workspace: Workspace, scope: Scope, image: str, token: dict[str, Value]) -> dict[str, Value]:
    """Jupyter takes its token from the environment (Jupyter Server, "Security in the Jupyter Server")."""
    data = data_variables(scope, workspace.cluster.namespace, workspace.reads, (*workspace.writes, *workspace.erases))
    alive = {"httpGet": {"path": "/api", "port": HTTP}, "timeoutSeconds": 5}
    return {
        "name": "notebook",
        "image": image,
        "ports": [{"name": HTTP, "containerPort": PORT, "protocol": "TCP"}],
        "env": variables(data, workspace.env, {"JUPYTER_TOKEN": {"secretKeyRef": token}}),
        "resources": workspace.request.resources(),
        "securityContext": container_security(read_only=False),
        "volumeMounts": [{"name": "home", "mountPath": workspace.home_path}, SHARED_MEMORY],
        "startupProbe": {**alive, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**alive, "periodSeconds": 10, "failureThreshold": 3},
    }


def _stopper(workspace: Workspace, image: str, token: dict[str, Value]) -> dict[str, Value]:
    """From the same image, which the machine has already; notebooks do not see its access to the API."""
    env = {
        "API_ACCESS": _ACCESS,
        "JUPYTER_TOKEN": {"secretKeyRef": token},
        "JUPYTER_URL": f"http://localhost:{PORT}",
    }
    return {
        "name": "idle",
        "image": image,
        "command": ["python3", f"{_PROGRAMS}/{PROGRAM.name}", str(workspace.idle_minutes), workspace.identity],
        "env": variables(env),
        "resources": _STOPPER.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [
            {"name": "stopper", "mountPath": _PROGRAMS, "readOnly": True},
            {"name": "api", "mountPath": _ACCESS, "readOnly": True},
        ],
    }


def _api_access() -> dict[str, Value]:
    """What pods get by themselves where a token is mounted into all of their containers (Kubernetes, "Configure Service
    Accounts for Pods", "ServiceAccount token volume projection")."""
    authority = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": 0o440,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3600, "path": "token"}},
            {"configMap": authority},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }
