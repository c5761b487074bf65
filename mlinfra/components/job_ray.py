"""A `TrainingJob` as a RayJob: a Ray cluster that KubeRay makes for a run and takes down after it.

Source: KubeRay, "API Reference" (ray.io/v1), and Ray, "RayJob Quickstart".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mlinfra.components import job_pod
from mlinfra.components.job_data import RUN
from mlinfra.components.network_policies import among, let_call
from mlinfra.components.workload import Request, pod_labels
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.job_values import Ray
    from mlinfra.components.node_pool import NodePool
    from mlinfra.components.training_job import TrainingJob

API: Final = "ray.io/v1"
KIND: Final = "RayJob"
WORKERS: Final = "workers"
"""The name of the group of workers."""

_STORE: Final = 0.4
"""Share of a pod's memory for `/dev/shm`: Ray keeps objects there, in 30 % of the memory by default, and falls back to
slow disks where it finds less (Ray, "Memory Management")."""

_LINGER: Final = 60
"""Seconds that a Ray cluster stays after its command has ended, for its last lines to be read."""

_SUBMITTER: Final = Request(cpu=0.5, memory=0.5)
_PORTS: Final = {"gcs-server": 6379, "dashboard": 8265, "client": 10001}


def open_ways(ray: Ray, scope: Scope, namespace: Value) -> None:
    """Let head, workers and submitter reach each other, and KubeRay's operator ask the head how the job is."""
    among(scope, namespace)
    let_call(scope, namespace, _PORTS["dashboard"], {}, [ray.operator_namespace])


def manifest(
    job: TrainingJob, ray: Ray, scope: Scope, account: Ref, maps: Mapping[str, Ref], labels: Mapping[str, Value]
) -> dict[str, Value]:
    """The RayJob that runs are made from: named like the job, and `MLINFRA_RUN` says that name in each pod.

    Who makes a run gives it a name of its own, in both places.
    """
    spec: dict[str, Value] = {
        "entrypoint": shlex.join(job.command or ()),
        "submissionMode": "K8sJobMode",
        "backoffLimit": job.retries,
        "activeDeadlineSeconds": job.deadline_seconds,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": _LINGER,
        "rayClusterSpec": _cluster(job, ray, scope, account, maps),
        "submitterPodTemplate": _submitter(job, ray, scope, account),
    }
    if job.queue:
        spec["suspend"] = True
    return {
        "apiVersion": API,
        "kind": KIND,
        "metadata": {"name": job.identity, "namespace": job.cluster.namespace, "labels": dict(labels)},
        "spec": spec,
    }


def _cluster(job: TrainingJob, ray: Ray, scope: Scope, account: Ref, maps: Mapping[str, Ref]) -> dict[str, Value]:
    env = job_pod.environment(job, scope, run=job.identity)
    ports = [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in _PORTS.items()]
    head = job_pod.container(job, ray.head_request, env, maps, "ray-head", ports=ports)
    worker = job_pod.container(job, job.request, env, maps, "ray-worker")

    def template(container: Mapping[str, Value], pool: NodePool, request: Request) -> dict[str, Value]:
        shared = request.memory * _STORE
        pod = job_pod.spec(job, scope, account, pool, [container], maps=maps, shared=shared)
        return {"metadata": {"labels": pod_labels(scope)}, "spec": pod}

    return {
        **({"rayVersion": ray.version} if ray.version else {}),
        "headGroupSpec": {
            # No tasks on the head: it is small, and has the command and the cluster's own services to run.
            "rayStartParams": {"num-cpus": "0"},
            "template": template(head, ray.head_pool or job.pool, ray.head_request),
        },
        "workerGroupSpecs": [
            {
                "groupName": WORKERS,
                "replicas": ray.workers,
                "minReplicas": ray.workers,
                "maxReplicas": ray.workers,
                "rayStartParams": {},
                "template": template(worker, job.pool, job.request),
            }
        ],
    }


def _submitter(job: TrainingJob, ray: Ray, scope: Scope, account: Ref) -> dict[str, Value]:
    """The pod that hands the command to the head and waits for it; KubeRay adds the command."""
    env: list[Value] = [{"name": RUN, "value": job.identity}]
    submit = job_pod.container(job, _SUBMITTER, env, (), "ray-job-submitter", volumeMounts=[])
    pod = job_pod.spec(job, scope, account, ray.head_pool or job.pool, [submit], maps={}, shared=0)
    pod |= {"restartPolicy": "Never", "volumes": []}
    return {"metadata": {"labels": pod_labels(scope)}, "spec": pod}
