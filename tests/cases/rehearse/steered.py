"""Endpoints whose pods a controller makes that is not on the local target: a canary and a blue-green rollout."""

from mlinfra import (
    Autoscale,
    BlueGreen,
    Blueprint,
    Canary,
    Endpoint,
    Environment,
    Field,
    NodePool,
    Params,
    Step,
    TrainingCluster,
    TrainingJob,
    blueprint,
)

IMAGE = "registry.example.com/serve@sha256:" + "0" * 64


class SteeredParams(Params):
    replicas: int = Field(2, ge=1)  # of each endpoint; the pool has room for six of their pods


@blueprint("steered", version="1.0.0")
def steered(env: Environment, p: SteeredParams) -> Blueprint:
    """Two endpoints that share a pool, and a job that needs what they leave of it."""
    pool = NodePool("cpu", instance_type="m6i.2xlarge", max=2)
    cluster = TrainingCluster("train", pools=[pool], argo_rollouts=True)
    scale = Autoscale(min=p.replicas, max=8)
    common = {"cluster": cluster, "pool": pool, "image": IMAGE, "scale": scale, "cpu": 2, "memory": 1}
    steps = Canary(steps=[Step(weight=50, seconds=60)], prometheus="http://prometheus.monitoring.svc:9090")
    fit = TrainingJob("fit", cluster=cluster, pool=pool, image=IMAGE, cpu=2, memory=1)
    return Blueprint(Endpoint("slow", **common, rollout=steps), Endpoint("fast", **common, rollout=BlueGreen()), fit)
