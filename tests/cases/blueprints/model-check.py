#: - {code: invalid-value, line: 12, says: ["NodePool 'cpu': min is 5, which is more than max, 1"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(NodePool("cpu", instance_type="m6i.xlarge", min=5))
