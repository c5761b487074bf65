#: - {code: invalid-value, line: 13, says: ["TrainingJob 'fit': pool", NodePool]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    cluster = TrainingCluster("train")
    return Blueprint(TrainingJob("fit", cluster=cluster, pool={"name": "cpu", "instance_type": "m6i.xlarge"}))
