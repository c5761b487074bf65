"""A fleet: as many machines and job templates as asked for, and a service that always runs beside them."""

from mlinfra import Blueprint, Bucket, Environment, NodePool, Params, Raw, TrainingCluster, blueprint

SIZES = {
    "cpu": ("m6i.2xlarge", 0.6),
    "gpu": ("g5.xlarge", 0.2),
    "gpus": ("g5.12xlarge", 0.1),
    "big": ("p4d.24xlarge", 0.05),
    "serving": ("g4dn.12xlarge", 0.05),
}
"""Of each pool: the machines' type, and what share of all machines it has."""

SHAPES = (("cpu", 0, 1), ("cpu", 0, 4), ("gpu", 1, 1), ("gpus", 4, 1), ("gpus", 2, 2), ("big", 8, 2))
"""What jobs ask for, in turn: the pool, GPUs of a pod, pods at once."""


class FleetParams(Params):
    nodes: int = 20
    jobs: int = 12
    too_many: bool = False  # a job that asks for one GPU more than the service leaves on a machine
    too_wide: bool = False  # a job of one pod more than there are machines


@blueprint("fleet", version="1.0.0")
def fleet(env: Environment, p: FleetParams) -> Blueprint:
    """Pools, a service, jobs."""
    pools = {
        name: NodePool(name, instance_type=kind, max=max(1, round(p.nodes * share)))
        for name, (kind, share) in SIZES.items()
    }
    cluster = TrainingCluster("train", pools=list(pools.values()))
    data = Bucket("data")
    jobs = [job(f"job-{index:03}", cluster, *SHAPES[index % len(SHAPES)]) for index in range(p.jobs)]
    if p.too_many:
        jobs.append(job("too-many", cluster, "serving", 4, 1))
    if p.too_wide:
        jobs.append(job("too-wide", cluster, "big", 8, pools["big"].max + 1))
    web = Raw("web", type="kubernetes:apps/v1:Deployment", inputs=deployment(cluster, pools["serving"].max))
    return Blueprint(cluster, data, web, *jobs)


def job(name: str, cluster: TrainingCluster, pool: str, gpus: int, pods: int) -> Raw:
    pod = {**on(pool, gpus), "restartPolicy": "Never", "containers": [container("train", 2, 8, gpus)]}
    labels = {"mlinfra.dev/component": name}
    spec = {
        "completions": pods,
        "parallelism": pods,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return Raw(
        name,
        type="kubernetes:batch/v1:CronJob",
        inputs={
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": name, "namespace": cluster.namespace, "labels": labels},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": spec}},
        },
    )


def deployment(cluster: TrainingCluster, replicas: int) -> dict:
    """A service with one pod, of one GPU, on each machine of its pool."""
    labels = {"app": "web"}
    apart = [{"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}]
    pod = {
        **on("serving", 1),
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}},
        "containers": [container("web", 1, 4, 1)],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": cluster.namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def on(pool: str, gpus: int) -> dict:
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}] if gpus else []
    return {"nodeSelector": {"node.kubernetes.io/instance-type": SIZES[pool][0]}, "tolerations": tolerations}


def container(name: str, cpu: int, memory: int, gpus: int) -> dict:
    more = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    asks = {"cpu": str(cpu), "memory": f"{memory}Gi"}
    resources = {"requests": {**asks, **more}, "limits": {"memory": asks["memory"], **more}}
    return {"name": name, "image": "registry.example.com/fleet@sha256:" + "0" * 64, "resources": resources}
