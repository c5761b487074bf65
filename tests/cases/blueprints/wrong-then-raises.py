#: - {code: invalid-value, line: 12, says: ["NodePool 'cpu': instance_type"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    cpu = NodePool("cpu", instance_type=3)
    return Blueprint(TrainingCluster("train", pools=[cpu]), Bucket("data", expire_days=cpu.machine.gpus))
