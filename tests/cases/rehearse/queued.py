"""Jobs whose controllers are not on the local target: runs that wait in Kueue's queues, and one on a Ray cluster."""

from mlinfra import (
    Blueprint,
    Environment,
    JobQueue,
    NodePool,
    Params,
    Ranks,
    Raw,
    Ray,
    TrainingCluster,
    TrainingJob,
    blueprint,
)

IMAGE = "registry.example.com/train@sha256:" + "0" * 64


class QueuedParams(Params):
    poor: bool = False  # whether the queue has too little quota for the second job


@blueprint("queued", version="1.0.0")
def queued(env: Environment, p: QueuedParams) -> Blueprint:
    """Two pools, a queue, four jobs."""
    cpu = NodePool("cpu", instance_type="m6i.2xlarge", max=3)
    gpu = NodePool("gpu", instance_type="g5.xlarge", max=4)
    cluster = TrainingCluster("train", pools=[cpu, gpu], kueue=True)
    queue = JobQueue("research", cluster=cluster, pools=[cpu, gpu])
    common = {"cluster": cluster, "image": IMAGE, "queue": queue, "command": ["python", "train.py"]}
    ranks = TrainingJob("ranks", **common, pool=gpu, gpus=1, ranks=Ranks(count=4))
    plain = TrainingJob("plain", **common, pool=cpu)
    tune = TrainingJob("tune", **common, pool=gpu, gpus=1, ray=Ray(workers=2, head_pool=cpu))
    parts = [ranks, plain, tune]
    if p.poor:
        parts.append(template(cluster))
    return Blueprint(*parts)


def template(cluster: TrainingCluster) -> Raw:
    """A template that waits in a queue which nobody has declared."""
    labels = {"mlinfra.dev/component": "lost"}
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": IMAGE}]}
    job = {
        "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "nowhere"}},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    return Raw(
        "lost",
        type="kubernetes:batch/v1:CronJob",
        inputs={
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "lost", "namespace": cluster.namespace, "labels": labels},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": job},
        },
    )
