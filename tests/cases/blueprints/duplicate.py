#: - {code: component-duplicate, line: 13, says: ["the name 'data' is used by two components", "The first is at blueprints/case.py:12"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    first = Bucket("data")
    second = NodePool("data", instance_type="m6i.xlarge")
    return Blueprint(first, second)
