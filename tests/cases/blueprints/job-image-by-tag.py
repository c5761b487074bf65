#: - {code: invalid-value, line: 9, says: ["'registry.example.com/team/train:latest' is not an image by digest"]}
from mlinfra import Blueprint, Environment, NodePool, Params, TrainingCluster, TrainingJob, blueprint


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    pool = NodePool("gpu", instance_type="g5.12xlarge")
    cluster = TrainingCluster("train", pools=[pool])
    fit = TrainingJob("fit", cluster=cluster, pool=pool, image="registry.example.com/team/train:latest")
    return Blueprint(fit)
