#: - {code: component-duplicate, line: 13, says: ["the name 'data' is used by two components"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    first = Bucket("data")
    return Blueprint(first, Bucket("models", moved_from="data"))
