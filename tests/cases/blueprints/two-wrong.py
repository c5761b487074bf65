#: - {code: invalid-value, line: 14, says: ["Bucket 'data': old_version_days"]}
#: - {code: invalid-value, line: 15, says: ["Bucket 'Models': name"]}
#: - {code: invalid-value, line: 16, says: ["NodePool 'cpu': instance_type", "'m6i.huge'"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    data = Bucket("data", old_version_days=0)
    models = Bucket("Models")
    cpu = NodePool("cpu", instance_type="m6i.huge")
    return Blueprint(data, models, TrainingCluster("train", pools=[cpu]))
