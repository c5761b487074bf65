"""What all pods of ours have in common: how much they ask for, where they may run, and what they may not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlinfra.components.node_pool import INSTANCE_TYPE, NodePool
from mlinfra.components.quantities import GPU, cores, counted, gibibytes
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Value

if TYPE_CHECKING:
    from mlinfra.components.place import Place

USER: Final = 1000
"""User and group that containers run as, unless the component says otherwise; images need not name a user."""

COMPONENT_LABEL: Final = f"{DOMAIN}/component"
_MOVING: Final = f"{DOMAIN}/blueprint-version"

HTTP: Final = "http"
"""The name of the port at which pods answer over HTTP."""

_SHARE: Final = 0.9
"""How much of a machine's offer pods with GPUs take by default, by their share of its GPUs; the rest is for what runs
on every machine, such as agents."""

UNAWAITED: Final = {"pulumi.com/skipAwait": "true"}
"""Annotations of what nobody waits for: with it an update does not stop until it is ready."""

_SHARED: Final = "shared-memory"
SHARED_MEMORY: Final = {"name": _SHARED, "mountPath": "/dev/shm"}  # noqa: S108 — where PyTorch looks
"""Where a container has the volume of `shared_memory`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one pod asks for: `cpu` in cores, `memory` in GiB, `gpus` whole ones."""

    cpu: float
    memory: float
    gpus: int = 0

    def resources(self) -> dict[str, Value]:
        """The container's `resources`.

        Memory is limited to what is requested, so that a pod cannot crowd out its neighbours; CPU is not limited, since
        unused cores are better used (Kubernetes, "Resource Management for Pods and Containers"). For an extended
        resource such as a GPU, request and limit must be equal (Kubernetes, "Schedule GPUs").
        """
        accelerators = {GPU: str(self.gpus)} if self.gpus else {}
        memory = {"memory": gibibytes(self.memory)}
        return {"requests": {"cpu": cores(self.cpu), **memory, **accelerators}, "limits": {**memory, **accelerators}}


def requested(pool: NodePool | None, gpus: int, cpu: float | None, memory: float | None, usual: Request) -> Request:
    """What a pod asks for where nobody says: its share of a machine by GPUs, and without GPUs `usual`."""
    machine = pool.machine if pool else None
    if machine and gpus and machine.gpus:
        share = _SHARE * gpus / machine.gpus
        usual = Request(round(machine.cpu * share, 1), float(int(machine.memory * share)))
    return Request(cpu or usual.cpu, memory or usual.memory, gpus)


def check_placement(scope: Scope, cluster: Place, pool: NodePool | None, request: Request) -> None:
    """Note as errors what keeps a pod from ever running: a pool of another cluster, more than one machine has."""
    name = scope.component.name
    if pool is None:
        if request.gpus:
            scope.problem(
                f"{name} asks for GPUs, but for no pool that has them",
                remedy="Name the pool: `pool=<a NodePool with GPUs>`.",
                code="placement-no-pool",
            )
        return
    if pool not in cluster.pools:
        known = ", ".join(item.name for item in cluster.pools) or "none"
        scope.problem(
            f"{name} runs on pool {pool.name!r}, which is no pool of cluster {cluster.name!r}",
            detail=f"The cluster's pools are {known}.",
            remedy=f"Add it to the cluster: `pools=[…, {pool.name}]`.",
            code="placement-other-cluster",
        )
    machine = pool.machine
    for what, asked, offered in (
        ("GPUs", request.gpus, machine.gpus),
        ("cores", request.cpu, machine.cpu),
        ("GiB memory", request.memory, machine.memory),
    ):
        if asked > offered:
            scope.problem(
                f"{name} asks for {counted(asked, what)}, more than one machine of pool {pool.name!r} has",
                detail=f"A {machine.name} leaves {counted(offered, what)} to pods.",
                remedy="Ask for less, or give the pool a larger instance type.",
                code="placement-too-large",
            )


def placement(scope: Scope, pool: NodePool | None) -> dict[str, Value]:
    """The part of a pod's spec that sends it to a pool.

    Machines are chosen by instance type, which only AWS's have; a pool's own labels hold everywhere.
    """
    if pool is None:
        return {}
    by_type = {INSTANCE_TYPE: pool.instance_type} if scope.environment.has_aws else {}
    spec: dict[str, Value] = {}
    if selector := {**by_type, **pool.labels}:
        spec["nodeSelector"] = selector
    # Clusters differ in the value of the accelerators' taints, so any value is tolerated.
    tolerations: list[Value] = [
        {"key": name, "operator": "Exists", "effect": "NoSchedule"} for name in pool.accelerators
    ]
    tolerations += [
        {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect} for taint in pool.taints
    ]
    if tolerations:
        spec["tolerations"] = tolerations
    return spec


def selector(scope: Scope) -> dict[str, str]:
    """The labels by which a component's pods are found. Selectors are immutable, so these never change."""
    return {COMPONENT_LABEL: scope.component.identity}


def pod_labels(scope: Scope) -> dict[str, str]:
    """A pod's labels: those of every object, without what would restart all pods for each version of the blueprint."""
    return {**{key: value for key, value in scope.labels.items() if key != _MOVING}, **selector(scope)}


def variables(*sources: Mapping[str, Value]) -> list[Value]:
    """A container's `env`; later sources win. A value that is a map is where Kubernetes takes it from, `valueFrom`."""
    merged = {key: value for source in sources for key, value in source.items()}
    return [
        {"name": key, "valueFrom" if isinstance(merged[key], Mapping) else "value": merged[key]}
        for key in sorted(merged)
    ]


def shared_memory(gib: float) -> dict[str, Value]:
    """The volume for `/dev/shm`, which counts as the pod's memory.

    The default of 64 MiB is too small for data loaders with several workers.
    """
    return {"name": _SHARED, "emptyDir": {"medium": "Memory", "sizeLimit": f"{max(64, int(gib * 1024))}Mi"}}


def add_service(
    scope: Scope, namespace: Value, port: int, *, awaited: bool = True, depends_on: tuple[str, ...] = ()
) -> None:
    """Add the Service by which the cluster reaches the port `http` of the component's pods.

    The provider waits until a Service has pods, unless it is not `awaited`: there may be none.
    """
    ports = [{"name": HTTP, "port": port, "targetPort": HTTP, "protocol": "TCP"}]
    scope.kubernetes(
        "service",
        "v1",
        "Service",
        scope.component.identity,
        {"spec": {"type": "ClusterIP", "selector": selector(scope), "ports": ports}},
        namespace=namespace,
        annotations=None if awaited else UNAWAITED,
        depends_on=depends_on,
    )


def pod_security(user: int = USER) -> dict[str, Value]:
    """A pod's security context, as the level `restricted` wants it (Kubernetes, "Pod Security Standards")."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(*, read_only: bool) -> dict[str, Value]:
    """A container's security context, as the level `restricted` wants it."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "capabilities": {"drop": ["ALL"]},
    }
